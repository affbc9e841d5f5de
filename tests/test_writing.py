"""Every file is the old one or the new one, whatever fails on the way and whenever it does."""

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from onelayer.errors import InputError
from onelayer.writing import check_target, printable, replace_file

posix_only = pytest.mark.skipif(os.name == "nt", reason="POSIX modes, links and pipes")
not_as_root = pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() == 0, reason="root may write everywhere"
)


def write_new(stream: BinaryIO) -> None:
    stream.write(b"new")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "model.json"
    path.write_bytes(b"old")
    return path


def assert_untouched(old: Path) -> None:
    assert old.read_bytes() == b"old"
    assert os.listdir(old.parent) == [old.name]


def test_a_new_file_is_written(tmp_path: Path) -> None:
    replace_file(tmp_path / "new", write_new)
    assert (tmp_path / "new").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["new"]


def test_an_old_file_is_replaced(old: Path) -> None:
    replace_file(str(old), write_new)
    assert old.read_bytes() == b"new"
    assert os.listdir(old.parent) == [old.name]


def test_a_name_relative_to_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    replace_file("model.json", write_new)
    assert (tmp_path / "model.json").read_bytes() == b"new"


def test_the_longest_name_that_a_folder_takes(tmp_path: Path) -> None:
    replace_file(tmp_path / ("n" * 255), write_new)
    assert os.listdir(tmp_path) == ["n" * 255]


def test_readers_of_the_old_file_keep_it(old: Path) -> None:
    with open(old, "rb") as reader:
        replace_file(old, write_new)
        assert reader.read() == b"old"


# Faults, one at each step


class Faulty:
    """A stream whose `write` fails after one good write."""

    def __init__(self, fault: BaseException) -> None:
        self.fault = fault

    def __call__(self, stream: BinaryIO) -> None:
        stream.write(b"half")
        raise self.fault


def fail_with(fault: BaseException) -> Callable[..., Any]:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise fault

    return fail


FAULTS: list[tuple[BaseException, type[BaseException]]] = [
    (OSError(errno.ENOSPC, "No space left on device"), InputError),
    (OSError(errno.EIO, "Input/output error"), InputError),
    (KeyboardInterrupt(), KeyboardInterrupt),
    (MemoryError(), MemoryError),
    (RuntimeError("a bug in the caller"), RuntimeError),
]


@pytest.mark.parametrize(("fault", "seen"), FAULTS)
def test_a_fault_while_writing(old: Path, fault: BaseException, seen: type[BaseException]) -> None:
    with pytest.raises(seen):
        replace_file(old, Faulty(fault))
    assert_untouched(old)


@pytest.mark.parametrize(("fault", "seen"), FAULTS)
@pytest.mark.parametrize("step", ["fsync", "replace", "chmod"])
def test_a_fault_in_a_system_call(
    old: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    fault: BaseException,
    seen: type[BaseException],
) -> None:
    monkeypatch.setattr(os, step, fail_with(fault))
    with pytest.raises(seen):
        replace_file(old, write_new)
    monkeypatch.undo()
    assert_untouched(old)


def interrupt_after(call: Callable[..., Any]) -> Callable[..., Any]:
    def interrupted(*args: Any, **kwargs: Any) -> None:
        call(*args, **kwargs)
        raise KeyboardInterrupt

    return interrupted


@pytest.mark.parametrize("step", ["open", "fsync"])
def test_ctrl_c_just_after_a_system_call(
    old: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(os, step, interrupt_after(getattr(os, step)))
    with pytest.raises(KeyboardInterrupt):
        replace_file(old, write_new)
    monkeypatch.undo()
    assert_untouched(old)


def test_ctrl_c_just_after_the_renaming_leaves_the_new_file(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "replace", interrupt_after(os.replace))
    with pytest.raises(KeyboardInterrupt):
        replace_file(old, write_new)
    assert old.read_bytes() == b"new"
    assert os.listdir(old.parent) == [old.name]


def fail_for_folders(fault: OSError) -> Callable[[int], None]:
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise fault
        sync(descriptor)

    return fsync


@posix_only
@pytest.mark.parametrize(("number", "is_said"), [(errno.EIO, True), (errno.EINVAL, False)])
def test_a_folder_that_does_not_sync(
    old: Path, monkeypatch: pytest.MonkeyPatch, number: int, is_said: bool
) -> None:
    monkeypatch.setattr(os, "fsync", fail_for_folders(OSError(number, os.strerror(number))))
    if is_said:
        with pytest.raises(InputError, match=r"model\.json: input/output error"):
            replace_file(old, write_new)
    else:
        replace_file(old, write_new)
    assert old.read_bytes() == b"new"
    assert os.listdir(old.parent) == [old.name]


@posix_only
def test_the_bytes_are_synced_before_the_renaming_and_the_folder_after(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    sync, rename = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        steps.append("sync folder" if stat.S_ISDIR(status.st_mode) else f"sync {status.st_size}")
        sync(descriptor)

    def replace(source: Any, target: Any) -> None:
        steps.append("rename")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    replace_file(old, write_new)
    assert steps == ["sync 3", "rename", "sync folder"]


def test_an_error_of_another_file_is_not_taken_for_ours(old: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"table\.csv"):
        replace_file(old, lambda stream: open(old.parent / "table.csv", "rb"))  # noqa: SIM115
    assert_untouched(old)


INTERRUPTED = """
import sys, time
from onelayer.writing import replace_file

def write(stream):
    stream.write(b"half" * 100_000)
    stream.flush()
    print("writing", flush=True)
    time.sleep(60)

replace_file(sys.argv[1], write)
"""


@posix_only
def test_a_real_ctrl_c(old: Path) -> None:
    command = [sys.executable, "-c", INTERRUPTED, str(old)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        assert len(os.listdir(old.parent)) == 2
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode != 0
    assert_untouched(old)


FULL = """
import resource, sys
from onelayer.errors import InputError
from onelayer.writing import replace_file

resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    replace_file(sys.argv[1], lambda stream: stream.write(bytes(100_000)))
except InputError as error:
    print(error)
"""


@posix_only
def test_a_real_limit_on_the_size(old: Path) -> None:
    command = [sys.executable, "-c", FULL, str(old)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    assert done.stdout == f"cannot write {old}: file too large\n"
    assert_untouched(old)


# Modes and links


@posix_only
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_the_mode_of_the_old_file_is_kept(old: Path, mode: int) -> None:
    old.chmod(mode)
    replace_file(old, write_new)
    assert stat.S_IMODE(old.stat().st_mode) == mode


@posix_only
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_follows_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        replace_file(tmp_path / "new", write_new)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == mode


@posix_only
def test_a_private_file_is_private_from_its_first_byte(old: Path) -> None:
    old.chmod(0o600)
    modes: list[int] = []

    def write(stream: BinaryIO) -> None:
        modes.append(stat.S_IMODE(os.fstat(stream.fileno()).st_mode))

    replace_file(old, write)
    assert modes == [0o600]


@posix_only
def test_a_link_stays_and_the_file_behind_it_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    behind = tmp_path / "store" / "real.json"
    behind.write_bytes(b"old")
    link = tmp_path / "link.json"
    link.symlink_to(Path("store") / "real.json")
    replace_file(link, write_new)
    assert link.is_symlink()
    assert behind.read_bytes() == b"new"
    assert os.listdir(tmp_path / "store") == ["real.json"]


@posix_only
def test_a_link_to_nothing_makes_the_file(tmp_path: Path) -> None:
    link = tmp_path / "link.json"
    link.symlink_to("real.json")
    replace_file(link, write_new)
    assert link.is_symlink()
    assert (tmp_path / "real.json").read_bytes() == b"new"


# What is no plain file is written straight


@posix_only
def test_devices_are_written_straight(tmp_path: Path) -> None:
    replace_file("/dev/null", write_new)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    link = tmp_path / "nowhere"
    link.symlink_to("/dev/null")
    replace_file(link, write_new)
    assert link.is_symlink()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has /dev/full")
def test_a_full_device() -> None:
    with pytest.raises(InputError, match=r"^cannot write /dev/full: no space left on device$"):
        replace_file("/dev/full", write_new)


@posix_only
def test_a_pipe_is_written_straight(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    replace_file(pipe, write_new)
    reader.join(timeout=20)
    assert read == [b"new"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@posix_only
def test_a_pipe_whose_reader_went_away() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        with pytest.raises(BrokenPipeError):
            replace_file(f"/dev/fd/{write}", write_new)
    finally:
        os.close(write)


STRAIGHT = """
from onelayer.writing import replace_file

for word in (b"one ", b"two "):
    replace_file("/dev/stdout", lambda stream: stream.write(word))
"""


@posix_only
def test_standard_output_is_never_replaced_or_cut(tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    out.write_bytes(b"zero ")
    with open(out, "ab") as stream:
        subprocess.run([sys.executable, "-c", STRAIGHT], stdout=stream, check=True, timeout=20)
    assert out.read_bytes() == b"zero one two "


# Mistakes, each one line


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no folder .*nowhere; make it first$"):
        replace_file(tmp_path / "nowhere" / "model.json", write_new)


def test_a_folder_as_target(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"it is a folder; name a file in it$"):
        replace_file(tmp_path, write_new)
    with pytest.raises(InputError, match=r"it is a folder; name a file in it$"):
        replace_file(f"{tmp_path}/new/", write_new)


def test_a_file_as_folder(old: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        replace_file(old / "model.json", write_new)


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_no_name_at_all(name: str) -> None:
    with pytest.raises(InputError, match="this is no file name"):
        replace_file(name, write_new)


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="file name too long"):
        replace_file(tmp_path / ("n" * 256), write_new)
    assert os.listdir(tmp_path) == []


@posix_only
def test_links_in_a_ring(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(InputError, match="too many levels"):
        replace_file(tmp_path / "a", write_new)


@posix_only
@not_as_root
def test_no_permission(old: Path) -> None:
    old.chmod(0o400)
    with pytest.raises(InputError, match=r"the file is read-only; choose another name$"):
        replace_file(old, write_new)
    old.chmod(0o600)
    old.parent.chmod(0o500)
    try:
        with pytest.raises(InputError, match="no permission to write in"):
            replace_file(old, write_new)
    finally:
        old.parent.chmod(0o700)
    assert_untouched(old)


def test_a_denied_file_is_refused_before_anything_is_written(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: os.path.isdir(path))
    with pytest.raises(InputError, match="read-only"):
        check_target(old)
    monkeypatch.setattr(os, "access", lambda path, mode: not os.path.isdir(path))
    with pytest.raises(InputError, match="no permission to write in"):
        check_target(old)


def test_checking_a_target_leaves_nothing(tmp_path: Path) -> None:
    check_target(tmp_path / "model.json")
    check_target(os.devnull)
    assert os.listdir(tmp_path) == []


@posix_only
def test_messages_stay_on_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        replace_file(tmp_path / "two\nlines" / "model.json", write_new)
    assert "\n" not in str(caught.value)
    assert printable("caf\udce9") == r"'caf\udce9'"
