"""Each mistake is one line that names the thing and what to do, exit code 2, and no file."""

import polars as pl
import pytest
from cli_run import altered, files_in, loan_lines, refused, run, write_lines

TRAIN = ("--target", "granted", "-o", "model.json")


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def loans(tmp_path):
    return write_lines(tmp_path / "loans.csv", loan_lines())


def train(*arguments):
    return run("train", *arguments)


def refused_training(tmp_path, lines, *options, name="bad.csv"):
    if isinstance(lines, bytes):
        (tmp_path / name).write_bytes(lines)
    else:
        write_lines(tmp_path / name, lines)
    text = refused(train(name, *TRAIN, *options))
    assert "model.json" not in files_in(tmp_path)
    return text


def test_no_such_file(tmp_path):
    assert "loans.csv: no such file" in refused(train("loans.csv", *TRAIN))
    assert files_in(tmp_path) == set()


def test_a_folder(tmp_path):
    assert "folder" in refused(train(".", *TRAIN))


def test_no_such_column(loans):
    text = refused(train(loans, "--target", "grantd"))
    assert "grantd" in text
    assert "did you mean 'granted'" in text


@pytest.mark.parametrize("option", ["--drop", "--keep", "--protected", "--weight"])
def test_no_such_column_in_an_option(loans, option):
    assert "'ages'" in refused(train(loans, *TRAIN, option, "ages"))


def test_no_such_positive_value(loans):
    text = refused(train(loans, *TRAIN, "--positive", "maybe"))
    assert "'maybe'" in text
    assert "'yes'" in text


def test_one_class_only(tmp_path):
    lines = [line.removesuffix("yes").removesuffix("no") for line in loan_lines()]
    lines = [lines[0], *(f"{line}yes" for line in lines[1:])]
    assert "one class only" in refused_training(tmp_path, lines)


@pytest.mark.parametrize("content", [b"", b"\n", b"id,age,income,job,granted\n"])
def test_no_rows(tmp_path, content):
    assert "bad.csv" in refused_training(tmp_path, content)


def test_duplicate_names(tmp_path):
    lines = loan_lines()
    lines[0] = lines[0].replace("income", "age")
    assert "'age'" in refused_training(tmp_path, lines)


def test_ragged_rows(tmp_path):
    lines = [line + ",9,9" if i in range(5, 60) else line for i, line in enumerate(loan_lines())]
    text = refused_training(tmp_path, lines)
    assert "line 6" in text
    assert "7 fields" in text


def test_cut_parquet(tmp_path, loans):
    pl.read_csv(loans).write_parquet("whole.parquet")
    whole = (tmp_path / "whole.parquet").read_bytes()
    text = refused_training(tmp_path, whole[: len(whole) // 2], name="cut.parquet")
    assert "cut or damaged" in text


def test_wrong_delimiter_is_found_or_questioned(tmp_path):
    for delimiter in (";", "\t"):
        lines = [line.replace(",", delimiter) for line in loan_lines()]
        write_lines(tmp_path / "other.csv", lines)
        assert train("other.csv", "--target", "granted", "-o", "other.json").exit_code == 0
    lines = [line.replace(",", ":") for line in loan_lines()]
    assert "one column only" in refused_training(tmp_path, lines)


@pytest.mark.parametrize(
    "encode", [lambda text: text.encode("utf-16"), lambda text: text.replace("\n", "\r").encode()]
)
def test_utf_16_and_bare_returns_are_read(tmp_path, encode):
    (tmp_path / "odd.csv").write_bytes(encode("\n".join(loan_lines())))
    result = train("odd.csv", *TRAIN)
    assert result.exit_code == 0
    assert "120 rows, 5 columns" in result.stdout


def test_a_word_in_a_number_column_at_prediction(tmp_path, loans):
    assert train(loans, *TRAIN).exit_code == 0
    write_lines(tmp_path / "new.csv", altered(loan_lines(), 20, 1, "old"))
    text = refused(run("predict", "model.json", "new.csv", "-o", "out.csv"))
    for part in ("new.csv", "line 21", "'age'", "'old'"):
        assert part in text
    assert "out.csv" not in files_in(tmp_path)


def test_a_number_beyond_float64(tmp_path):
    text = refused_training(tmp_path, altered(loan_lines(), 20, 2, "1e400"))
    for part in ("line 21", "'income'", "1e400"):
        assert part in text


@pytest.mark.parametrize("weight", ["-1", "nan", "heavy", ""])
def test_weights_that_are_none(tmp_path, weight):
    lines = [f"{line},{'w' if i == 0 else 1}" for i, line in enumerate(loan_lines())]
    text = refused_training(tmp_path, altered(lines, 7, 5, weight), "--weight", "w")
    assert "line 8" in text
    assert "'w'" in text


def test_weights_all_zero(tmp_path):
    lines = [f"{line},{'w' if i == 0 else 0}" for i, line in enumerate(loan_lines())]
    assert "'w'" in refused_training(tmp_path, lines, "--weight", "w")


def test_three_values_offer_positive(tmp_path):
    lines = altered(loan_lines(), 3, 4, "maybe")
    text = refused_training(tmp_path, lines)
    assert "3 values" in text
    assert "--positive" in text
    result = train("bad.csv", *TRAIN, "--positive", "maybe")
    assert result.exit_code == 0
    assert "against the rest" in result.stdout


@pytest.mark.parametrize("options", [[], ["--positive", "yes"]])
def test_twins_are_pointed_out(tmp_path, options):
    lines = altered(altered(loan_lines(), 3, 4, "Yes"), 4, 4, "no ")
    text = refused_training(tmp_path, lines, *options)
    assert "'Yes'" in text
    assert "'no '" in text


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--C", "-1"], "--C -1"),
        (["--C", "nan"], "--C nan"),
        (["--C", "strong"], "--C strong"),
        (["--tol", "0"], "--tol 0"),
        (["--tol", "inf"], "--tol inf"),
        (["--holdout", "1"], "--holdout 1"),
        (["--holdout", "x"], "--holdout x"),
        (["--holdout", "nan"], "--holdout nan"),
        (["--seed", "-1"], "--seed -1"),
        (["--seed", "x"], "--seed x"),
        (["--solver", "magic"], "--solver magic"),
        (["--learning-rate", "0.1"], "--learning-rate is for gradient descent"),
        (["--num-iterations", "5"], "--num-iterations is for gradient descent"),
        (["--solver", "gradient-descent", "--learning-rate", "0"], "--learning-rate 0"),
        (["--solver", "gradient-descent", "--num-iterations", "0"], "--num-iterations 0"),
        (["--optimizer", "adam"], "--optimizer is for gradient descent"),
        (["--batch-size", "5"], "--batch-size is for gradient descent"),
        (["--solver", "gradient-descent", "--optimizer", "sgd"], "--optimizer sgd"),
        (["--solver", "gradient-descent", "--batch-size", "0"], "--batch-size 0"),
        (
            ["--solver=gradient_descent", "--optimizer=adam", "--learning-rate=safe"],
            "says nothing of optimizer='adam'",
        ),
        (["--solver", "gradient-descent", "--tol", "1"], "--tol is not for gradient descent"),
        (["--holdout", "0.2", "--test", "loans.csv"], "exclude each other"),
        (["--as", "age"], "--as age"),
        (["--as", "age=number"], "'number'"),
        (["--as", "age=text", "--as", "age=date"], "two roles"),
        (["--drop", "age,,job"], "--drop has an empty name"),
        (["--drop", "granted"], "'granted'"),
        (["--json", "-o", "-"], "standard output"),
        (["--test", "nothing.csv"], "nothing.csv: no such file"),
        (["-o", "nowhere/m.json"], "nowhere"),
        (["-o", "."], "folder"),
        (["-o", "loans.csv"], "input itself"),
        (["--targt", "x"], "--targt"),
        (["more.csv"], "more.csv"),
    ],
)
def test_options_that_cannot_be(tmp_path, loans, options, named):
    before = loans.read_bytes()
    assert named in refused(train("loans.csv", *TRAIN, *options))
    assert files_in(tmp_path) == {"loans.csv"}
    assert loans.read_bytes() == before


def test_a_test_table_is_looked_at_before_the_training(tmp_path, loans, monkeypatch):
    def fail(*_, **__):
        raise AssertionError("trained before the test table was looked at")

    monkeypatch.setattr("onelayer.training.fit", fail)
    write_lines(tmp_path / "test.csv", [line.rpartition(",")[0] for line in loan_lines()])
    text = refused(train(loans, *TRAIN, "--test", "test.csv"))
    assert "test.csv" in text
    assert "'granted'" in text


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["trian"], "'trian'"),
        (["train"], "'TABLE'"),
        (["train", "loans.csv"], "--target"),
        (["train", "-", "--test", "-", "--target", "granted"], "standard input"),
        (["predict", "-", "-"], "standard input"),
        (["predict", "model.json", "loans.csv", "-o", "out.xlsx"], ".xlsx"),
        (["predict", "model.json", "loans.csv", "-o", "loans.csv"], "input itself"),
        (["predict", "model.json", "loans.csv", "-o", "model.json"], "input itself"),
        (["predict", "model.json", "loans.csv", "--json", "-o", "-"], "standard output"),
        (["predict", "loans.csv", "model.json"], "loans.csv: this is no onelayer model"),
        (["predict", "nothing.json", "loans.csv"], "nothing.json"),
        (["evaluate", "model.json", "untold.csv"], "'granted'"),
        (["predict", "model.json", "poor.csv"], "'income'"),
        (["explain", "model.json", "loans.csv", "--row", "0"], "rows 1 to 120"),
        (["explain", "model.json", "loans.csv", "--row", "121"], "rows 1 to 120"),
        (["explain", "model.json", "loans.csv", "--row", "x"], "--row"),
        (["explain", "model.json", "loans.csv", "--top", "0"], "--top"),
        (["show", "loans.csv"], "loans.csv: this is no onelayer model"),
        (["show", "."], "."),
        (["demo", "-o", "loans.csv"], "loans.csv"),
    ],
)
def test_mistakes_of_each_command(tmp_path, loans, arguments, named):
    assert train(loans, *TRAIN).exit_code == 0
    write_lines(tmp_path / "untold.csv", [line.rpartition(",")[0] for line in loan_lines()])
    poor = [",".join([*line.split(",")[:2], *line.split(",")[3:]]) for line in loan_lines()]
    write_lines(tmp_path / "poor.csv", poor)
    before = files_in(tmp_path)
    assert named in refused(run(*arguments))
    assert files_in(tmp_path) == before


@pytest.mark.parametrize("damage", ["cut", "altered", "newer"])
def test_damaged_models(tmp_path, loans, damage):
    train(loans, *TRAIN)
    whole = (tmp_path / "model.json").read_bytes()
    bad = {
        "cut": whole[: len(whole) // 2],
        "altered": whole.replace(b"0.5", b"0.6", 1),
        "newer": whole.replace(b'"format_version": 1', b'"format_version": 9'),
    }[damage]
    (tmp_path / "bad.json").write_bytes(bad)
    assert "bad.json" in refused(run("predict", "bad.json", loans))


def test_a_message_is_one_line_whatever_the_names_hold(loans):
    text = refused(train(loans, "--target", "two\nlines\x1b[2J"))
    assert "\x1b" not in text


def test_without_a_word_the_help_is_shown():
    result = run()
    assert "Usage: onelayer" in result.stdout + result.stderr
    assert "Traceback" not in result.stderr


def test_a_bug_keeps_its_traceback(loans, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("a bug")

    monkeypatch.setattr("onelayer.training.fit", fail)
    result = train(loans, *TRAIN)
    assert isinstance(result.exception, RuntimeError)


def test_too_little_memory_is_said_in_words(tmp_path, loans, monkeypatch):
    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr("onelayer.training.fit", fail)
    assert "memory" in refused(train(loans, *TRAIN))
    assert files_in(tmp_path) == {"loans.csv"}
