"""The command as a process: Ctrl-C, pipes, closed and full outputs, what is imported."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest
from cli_run import files_in, loan_lines, run, start, write_lines

MANY = 5_000  # rows, whose scores are more than a pipe holds
SLACK = 3.0  # seconds: what a busy machine may add to the second that is promised


@pytest.fixture
def loans(tmp_path):
    return write_lines(tmp_path / "loans.csv", loan_lines())


@pytest.fixture(scope="module")
def model_bytes(tmp_path_factory):
    """A model of the loans."""
    folder = tmp_path_factory.mktemp("trained")
    table, model = write_lines(folder / "loans.csv", loan_lines()), folder / "model.json"
    assert run("train", table, "--target", "granted", "-o", model).exit_code == 0
    return model.read_bytes()


@pytest.fixture
def trained(tmp_path, model_bytes):
    model = tmp_path / "model.json"
    model.write_bytes(model_bytes)
    return model


def read_until(terminal, wanted, seconds=60.0):
    """What a terminal shows until it shows `wanted`."""
    shown, end = b"", time.monotonic() + seconds
    while wanted not in shown:
        assert time.monotonic() < end, shown
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                shown += os.read(terminal, 65536)
            except OSError:  # the other end is closed
                break
    return shown


def train_for_ever(folder, table, **options):
    return start(
        *("train", table, "--target", "granted", "-o", folder / "model.json"),
        *("--solver", "gradient-descent", "--num-iterations", "100000000", "--learning-rate"),
        *("1e-9",),
        **options,
    )


def test_a_bar_on_a_terminal_and_ctrl_c_within_a_second(tmp_path, loans, trained):
    before = trained.read_bytes()
    ours, theirs = pty.openpty()
    process = train_for_ever(tmp_path, loans, stderr=theirs)
    os.close(theirs)
    assert b"cost" in read_until(ours, b"training: step")
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert time.monotonic() - sent < 1 + SLACK
    shown = read_until(ours, b"nothing was written")
    os.close(ours)
    assert b"onelayer: interrupted; nothing was written" in shown
    assert b"Traceback" not in shown
    assert process.stdout.read() == b""
    process.stdout.close()
    assert trained.read_bytes() == before
    assert files_in(tmp_path) == {"loans.csv", "model.json"}


COMPILED = """
import hashlib, sys
from onelayer.cli.errors import run_guarded
print("at work", flush=True)
sys.exit(run_guarded(lambda: hashlib.pbkdf2_hmac("sha256", b"", b"", 400_000_000)))
"""


def test_ctrl_c_ends_even_what_no_python_can_interrupt():
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", COMPILED], **pipes) as process:
        assert process.stdout.readline() == b"at work\n"
        time.sleep(0.3)
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert time.monotonic() - sent < 1 + SLACK
    assert process.returncode == 130
    assert said == b"onelayer: interrupted; nothing was written\n"


def test_ctrl_c_after_the_file_says_so(tmp_path, loans, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    # By its module, for the package's attribute of that name is the command.
    monkeypatch.setattr(sys.modules["onelayer.cli.train"], "print_lines", interrupt)
    result = run("train", loans, "--target", "granted", "-o", tmp_path / "m.json")
    assert result.exit_code == 130
    assert re.fullmatch(r"onelayer: interrupted; \S+m\.json was written\n", result.stderr)


def test_ctrl_c_while_the_file_is_written_leaves_the_old_one(tmp_path, loans, trained, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    before = trained.read_bytes()
    monkeypatch.setattr("os.replace", interrupt)
    result = run("train", loans, "--target", "granted", "-o", trained, "--C", "2")
    assert result.exit_code == 130
    assert result.stderr == "onelayer: interrupted; nothing was written\n"
    assert trained.read_bytes() == before
    assert files_in(tmp_path) == {"loans.csv", "model.json"}


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_pipe_that_nobody_reads_is_quiet(tmp_path, trained, unbuffered):
    table = write_lines(tmp_path / "many.csv", loan_lines(MANY))
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    process = start("predict", trained, table, env=environment)
    assert process.stdout.readline() == b"row,id,probability,prediction\n"
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(30) == 141


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_slow_pipe_gets_every_byte(tmp_path, trained, unbuffered):
    table = write_lines(tmp_path / "many.csv", loan_lines(MANY))
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    written, _ = start("predict", trained, table, env=environment).communicate(timeout=60)
    assert written.count(b"\n") == MANY + 1


def test_a_closed_output(trained, loans):
    ends = []
    for command in (["predict", trained, loans], ["show", trained]):
        words = [sys.executable, "-m", "onelayer", *map(str, command)]
        shell = ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *words]
        ends.append(subprocess.run(shell, stderr=subprocess.PIPE, check=False))
    assert [end.returncode for end in ends] == [2, 0]
    assert ends[0].stderr.count(b"\n") == 1
    assert b"standard output is closed" in ends[0].stderr
    assert ends[1].stderr == b""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
@pytest.mark.parametrize("command", ["predict", "show", "train"])
def test_a_full_disk_behind_the_output(command, trained, loans):
    arguments = {
        "predict": ["predict", trained, loans],
        "show": ["show", trained],
        "train": ["train", loans, "--target", "granted", "-o", "-"],
    }[command]
    with open("/dev/full", "wb") as full:
        process = start(*arguments, stdout=full)
        said = process.stderr.read().decode().splitlines()
        process.stderr.close()
    assert process.wait(30) == 2
    assert said[-1] == "onelayer: error: cannot write to standard output: No space left on device"


def test_output_that_the_encoding_cannot_show(tmp_path):
    lines = loan_lines()
    lines[0] = lines[0].replace("income", "収入")
    table = write_lines(tmp_path / "loans.csv", lines)
    process = start(
        *("train", table, "--target", "granted", "-o", tmp_path / "m.json"),
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert rb"\u53ce\u5165" in said


IMPORTED = """
import sys
import click, csv, json, bz2, shlex
before = set(sys.modules)
from onelayer.cli import onelayer
try:
    onelayer.main(sys.argv[1:])
except SystemExit:
    pass
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before}), file=sys.stderr)
"""


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["--version"], ["trian"]])
def test_help_loads_click_and_the_standard_library_alone(words):
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, *words], capture_output=True, text=True, check=True
    )
    loaded = set(done.stderr.splitlines()[-1].split())
    assert loaded - set(sys.stdlib_module_names) - {"click"} == {"onelayer"}


def test_scoring_loads_no_scikit_learn(trained, loans):
    code = (
        "import sys; sys.argv = ['onelayer', *sys.argv[1:]]\n"
        "from onelayer.cli import onelayer\n"
        "try: onelayer.main()\n"
        "except SystemExit: pass\n"
        "print('sklearn' in sys.modules, 'rich' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "predict", str(trained), str(loans)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == "False False\n"
