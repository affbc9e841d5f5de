"""The commands on small tables: what they print, what they write, and that both agree."""

import csv
import inspect
import io
import json
import re
from pathlib import Path

import click
import numpy as np
import polars as pl
import pytest
from cli_run import altered, files_in, loan_lines, run, write_lines

from onelayer import Model, __version__
from onelayer import train as train_in_python
from onelayer.cli import onelayer
from onelayer.cli.settings import OPTIMIZERS, SOLVERS
from onelayer.fitting import SOLVERS as LIBRARY_SOLVERS
from onelayer.solvers.optimizers import OPTIMIZERS as LIBRARY_OPTIMIZERS

DOCUMENT = Path(__file__).parent.parent / "docs" / "command-line.md"


@pytest.fixture
def loans(tmp_path):
    return write_lines(tmp_path / "loans.csv", loan_lines())


@pytest.fixture
def trained(tmp_path, loans):
    model = tmp_path / "model.json"
    assert run("train", loans, "--target", "granted", "-o", model).exit_code == 0
    return model


def test_train_reports_columns_judgement_certificate_and_file(tmp_path, loans):
    result = run("train", loans, "--target", "granted", "-o", tmp_path / "m.json")
    said = result.stdout
    assert result.exit_code == 0
    assert result.stderr == ""
    for part in (
        "loans.csv: 120 rows, 5 columns",
        "'yes' is 1",
        "96 to learn from",
        "24 held out",
        "Columns: 3 learnt from",
        "Columns: 1 left out",
        "identifier  id: 120 different values",
        "log loss",
        "Brier score",
        "ROC AUC",
        "average precision",
        "accuracy",
        "Calibration",
        "Proved: every coefficient",
        "m.json",
    ):
        assert part in said
    assert "sums of weights" not in said
    model = Model.load(tmp_path / "m.json")
    assert f"{model.evaluation.log_loss:.4f}" in said
    assert f"{model.evaluation.baseline_accuracy:.4f}" in said


def test_everything_printed_fits_80_columns(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = loan_lines()
    wide = [
        ",".join([line, f"{'a very long name ' * 8 if i == 0 else i % 7}"])
        for i, line in enumerate(lines)
    ]
    table = write_lines(tmp_path / "wide.csv", wide).name
    model = "wide.json"
    outputs = [
        run("train", table, "--target", "granted", "-o", model),
        run("show", model),
        run("explain", model, table),
        run("evaluate", model, table),
        run("predict", model, table, "-o", "out.csv"),
    ]
    assert all(each.exit_code == 0 for each in outputs)
    longest = [line for each in outputs for line in each.stdout.splitlines() if len(line) > 80]
    assert longest == []


def test_command_line_and_python_train_the_same_model(tmp_path, loans, trained):
    model = Model.load(trained)
    same = train_in_python(loans, target="granted")
    np.testing.assert_array_equal(model.W, same.W)
    assert model.evaluation == same.evaluation


def test_options_reach_the_training(tmp_path, loans):
    model = tmp_path / "m.json"
    options = ["--drop", "age", "--protected", "job", "--as", "id=numeric", "--C", "inf"]
    result = run("train", loans, "--target", "granted", "-o", model, *options, "--positive", "no")
    assert result.exit_code == 0
    found = Model.load(model)
    roles = {each.name: each.role for each in found.schema.columns}
    assert roles["age"] == "dropped"
    assert roles["job"] == "protected"
    assert roles["id"] == "numeric"
    assert found.positive == "no"
    assert np.isinf(found.training.C)


def test_keep_weight_seed_tol_and_solver_reach_the_training(tmp_path):
    lines = [
        f"{line},{'w,key' if i == 0 else f'{1 + i % 3},{i}'}" for i, line in enumerate(loan_lines())
    ]
    table = write_lines(tmp_path / "loans.csv", lines)
    options = ["--keep", "key", "--weight", "w", "--seed", "7", "--tol", "1e-3", "--holdout", "0.3"]
    result = run(
        *("train", table, "--target", "granted", "-o", tmp_path / "m.json", *options),
        *("--solver", "newton-cg"),
    )
    assert result.exit_code == 0, result.stderr
    model = Model.load(tmp_path / "m.json")
    assert model.schema.weight == "w"
    assert "sums of weights" in result.stdout
    assert model.training.seed == 7
    assert model.training.tol == 1e-3
    assert model.training.solver == "newton_cg"
    assert model.training.holdout_rows == 36
    assert {each.name: each.role for each in model.schema.columns}["key"] == "numeric"


def test_gradient_descent_takes_its_options(tmp_path, loans):
    result = run(
        *("train", loans, "--target", "granted", "-o", tmp_path / "m.json"),
        *("--solver", "gradient-descent", "--learning-rate", "safe", "--num-iterations", "25"),
    )
    assert result.exit_code == 0
    assert "gradient_descent, 25 steps" in result.stdout


def test_minibatches_and_optimizers_are_reached_and_seeded(tmp_path, loans):
    def train(*options):
        result = run(
            *("train", loans, "--target", "granted", "-o", tmp_path / "m.json", "--seed", "3"),
            *("--solver", "gradient_descent", "--learning-rate", "0.05", *options),
        )
        assert result.exit_code == 0
        return " ".join(result.stdout.split()), Model.load(tmp_path / "m.json").W.tobytes()

    said, weights = train("--optimizer", "ADAM", "--batch-size", "16")
    assert "10 passes in minibatches of 16" in said
    assert train("--optimizer", "adam", "--batch-size", "16")[1] == weights
    others = [("adam", "32"), ("momentum", "16"), ("gd", "16")]
    different = {train("--optimizer", name, "--batch-size", size)[1] for name, size in others}
    assert len(different | {weights}) == 4


def test_holdout_0_says_that_nothing_was_held_out(tmp_path, loans):
    result = run("train", loans, "--target", "granted", "-o", tmp_path / "m.json", "--holdout", "0")
    assert result.exit_code == 0
    assert "Nothing was held out" in result.stdout
    assert "Nothing was held out" in run("show", tmp_path / "m.json").stdout


def test_test_table_is_judged(tmp_path, loans):
    other = write_lines(tmp_path / "other.csv", loan_lines(50, seed=1))
    model = tmp_path / "m.json"
    result = run("train", loans, "--target", "granted", "-o", model, "--test", other)
    assert "On 50 rows of other.csv" in result.stdout
    assert Model.load(model).training.rows == 120


def test_names_and_na_for_a_file_without_header(tmp_path):
    lines = altered(loan_lines()[1:], 4, 1, "unknown")
    table = write_lines(tmp_path / "bare.csv", lines)
    model = tmp_path / "m.json"
    names = ["--names", "id,age,income,job,granted", "--na", "unknown"]
    assert run("train", table, "--target", "granted", "-o", model, *names).exit_code == 0
    assert "missing flagged" in run("show", model).stdout
    result = run("predict", model, table, "--names", "id,age,income,job,granted")
    assert len(result.stdout.splitlines()) == 121


def test_predictions_keep_order_ids_and_every_bit(tmp_path, loans, trained):
    out = tmp_path / "out.csv"
    result = run("predict", trained, loans, "-o", out)
    assert result.exit_code == 0
    assert "120 rows scored" in result.stdout
    with out.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["row", "id", "probability", "prediction"]
    assert [row["row"] for row in rows] == [str(i) for i in range(1, 121)]
    assert rows[3]["id"] == "100000000000000003"
    model = Model.load(trained)
    expected = model.predict_proba(loans)[:, 1]
    assert [float(row["probability"]) for row in rows] == expected.tolist()
    assert [row["prediction"] for row in rows] == model.predict(loans).tolist()


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_predictions_as_files_of_each_kind(tmp_path, loans, trained, suffix):
    out = tmp_path / f"out.{suffix}"
    assert run("predict", trained, loans, "-o", out).exit_code == 0
    read = pl.read_parquet if suffix == "parquet" else pl.read_csv
    options = {"separator": "\t"} if suffix == "tsv" else {}
    frame = read(out, **options)
    assert frame["probability"].to_list() == Model.load(trained).predict_proba(loans)[:, 1].tolist()


def test_predict_to_standard_output_is_csv_and_nothing_else(loans, trained):
    for output in ([], ["-o", "-"]):
        result = run("predict", trained, loans, *output)
        assert result.stderr == ""
        frame = pl.read_csv(io.BytesIO(result.stdout_bytes))
        assert frame.columns == ["row", "id", "probability", "prediction"]
        assert frame.height == 120


def test_standard_input_for_tables_and_models(loans, trained):
    from_file = run("predict", trained, loans).stdout
    assert run("predict", trained, "-", given=loans.read_bytes()).stdout == from_file
    assert run("predict", "-", loans, given=trained.read_bytes()).stdout == from_file
    assert "standard input" in run("show", "-", given=trained.read_bytes()).stdout


def test_model_to_standard_output_and_the_report_beside(tmp_path, loans):
    result = run("train", "-", "--target", "granted", "-o", "-", given=loans.read_bytes())
    assert result.exit_code == 0
    (tmp_path / "m.json").write_bytes(result.stdout_bytes)
    assert Model.load(tmp_path / "m.json").target == "granted"
    assert "Proved" in result.stderr


def test_evaluate_agrees_with_python_and_says_when_rows_were_seen(tmp_path, loans, trained):
    result = run("evaluate", trained, loans)
    found = Model.load(trained).evaluate(loans)
    assert f"{found.roc_auc:.4f}" in result.stdout
    assert "trained on" in result.stdout
    other = write_lines(tmp_path / "other.csv", altered(loan_lines(50, seed=1), 9, 4, ""))
    said = run("evaluate", trained, other).stdout
    assert "On 49 rows of other.csv" in said
    assert "1 without a target" in said
    assert "trained on" not in said


def test_explain_counts_rows_from_1_and_adds_up(loans, trained):
    result = run("explain", trained, loans, "--row", "2")
    assert "row 2 (line 3)" in result.stdout
    assert "income" in result.stdout
    found = json.loads(run("explain", trained, loans, "--row", "2", "--json").stdout)
    model = Model.load(trained)
    assert found["row"] == 2
    assert found["line"] == 3
    assert found["probability"] == pytest.approx(model.predict_proba(loans)[1, 1], rel=1e-14)
    total = found["average_logit"] + sum(each["push"] for each in found["pushes"])
    assert total == pytest.approx(found["logit"], abs=1e-12)


def test_explain_shows_what_was_asked_for_and_sums_the_rest(loans, trained):
    said = run("explain", trained, loans, "--top", "1").stdout
    assert "2 more columns" in said


def test_show_says_what_is_in_a_model(trained):
    said = run("show", trained).stdout
    for part in ("granted", "SHA-256", "learnt from", "Weights", "(bias)", "Proved", "job = "):
        assert part in said
    assert json.loads(run("show", trained, "--json").stdout)["threshold"] == 0.5


def test_show_all_shows_every_weight(tmp_path):
    lines = [
        f"{line},{'code' if i == 0 else f'code{i % 30}'}" for i, line in enumerate(loan_lines(400))
    ]
    table = write_lines(tmp_path / "codes.csv", lines)
    model = tmp_path / "m.json"
    run("train", table, "--target", "granted", "-o", model)
    some, every = run("show", model).stdout, run("show", model, "--all").stdout
    assert "the 20 largest of" in some
    assert all(f"code = code{i} " in every for i in range(30))


def test_json_is_one_strict_document_on_standard_output(tmp_path, loans, trained):
    model, out = tmp_path / "m.json", tmp_path / "out.csv"
    results = [
        run("train", loans, "--target", "granted", "-o", model, "--json", "--C", "inf"),
        run("train", loans, "--target", "granted", "-o", model, "--json", "--holdout", "0"),
        run("predict", trained, loans, "--json"),
        run("predict", trained, loans, "-o", out, "--json"),
        run("evaluate", trained, loans, "--json"),
        run("explain", trained, loans, "--json"),
        run("show", trained, "--json"),
    ]

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    documents = [json.loads(each.stdout, parse_constant=refuse) for each in results]
    assert documents[0]["training"]["C"] == "inf"
    assert documents[0]["evaluation"]["n"] == 24
    assert documents[1]["evaluation"] is None
    assert documents[0]["columns"][0]["column"] == "id"
    assert len(documents[2]["predictions"]) == 120
    assert documents[2]["predictions"][0]["id"] == "100000000000000000"
    assert "predictions" not in documents[3]
    assert documents[3]["output"] == str(out)
    assert documents[4]["is_training_table"] is True


def test_json_of_what_is_not_proved_is_still_json(tmp_path, loans):
    result = run(
        *("train", loans, "--target", "granted", "-o", tmp_path / "m.json", "--json"),
        *("--solver", "gradient-descent", "--num-iterations", "1", "--C", "inf"),
    )
    assert json.loads(result.stdout)["certificate"]["rho"] in ("inf", pytest.approx(0, abs=1e9))


def test_notes_are_lines_on_standard_error(tmp_path, loans, trained):
    table = write_lines(tmp_path / "new.csv", altered(loan_lines(), 5, 3, "pilot"))
    result = run("predict", trained, table)
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 121
    (note,) = result.stderr.splitlines()
    assert note.startswith("onelayer: note: ")
    assert "'job'" in note


def test_malformed_rows_are_left_out_and_named(tmp_path):
    lines = loan_lines(2000)
    lines[7] += ",9,9"
    table = write_lines(tmp_path / "loans.csv", lines)
    result = run("train", table, "--target", "granted", "-o", tmp_path / "m.json")
    assert result.exit_code == 0
    assert "line 8" in result.stderr
    assert "1 malformed line left out" in result.stdout


def test_names_that_would_move_the_cursor_are_shown_as_text(tmp_path):
    lines = loan_lines()
    lines[0] = lines[0].replace("income", "\x1b[2Jincome")
    table = write_lines(tmp_path / "loans.csv", lines)
    model = tmp_path / "m.json"
    outputs = [
        run("train", table, "--target", "granted", "-o", model),
        run("show", model),
        run("explain", model, table),
        run("train", table, "--target", "\x1b[2J"),
    ]
    for each in outputs:
        assert "\x1b" not in each.stdout + each.stderr


def test_nothing_but_the_named_file_is_written(tmp_path, loans, trained):
    assert files_in(tmp_path) == {"loans.csv", "model.json"}


def test_an_existing_model_is_replaced(tmp_path, loans, trained):
    before = trained.read_bytes()
    assert run("train", loans, "--target", "granted", "-o", trained, "--C", "2").exit_code == 0
    assert trained.read_bytes() != before


def test_version_and_help():
    assert run("--version").stdout == f"onelayer {__version__}\n"
    for command in ([], *([name] for name in onelayer.commands)):
        result = run(*command, "--help")
        assert result.exit_code == 0
        assert max(map(len, result.stdout.splitlines())) <= 80


def test_defaults_in_the_help_are_those_of_the_library():
    parameters = inspect.signature(train_in_python).parameters
    flags = {
        "--holdout": "holdout",
        "--seed": "seed",
        "--C": "C",
        "--l1-ratio": "l1_ratio",
        "--solver": "solver",
        "--tol": "tol",
        "--learning-rate": "learning_rate",
        "--num-iterations": "num_iterations",
        "--optimizer": "optimizer",
    }
    helps = {
        each.opts[-1]: each.help
        for each in onelayer.commands["train"].params
        if hasattr(each, "help")
    }
    for flag, name in flags.items():
        assert helps[flag].endswith(f"[default: {parameters[name].default}]")
    assert SOLVERS == LIBRARY_SOLVERS
    assert tuple(LIBRARY_OPTIMIZERS) == OPTIMIZERS


def _sections(text):
    """Each command's part of the document, by its heading."""
    parts = re.split(r"^## `onelayer (\w+)", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def test_every_command_and_option_is_documented():
    sections = _sections(DOCUMENT.read_text("utf-8"))
    assert list(sections) == list(onelayer.commands)
    for name, command in onelayer.commands.items():
        for parameter in command.params:
            words = (
                parameter.opts if isinstance(parameter, click.Option) else [parameter.name.upper()]
            )
            for word in words:
                assert f"`{word}" in sections[name], f"{name} {word} is not documented"


def test_no_documented_option_is_unknown():
    for name, text in _sections(DOCUMENT.read_text("utf-8")).items():
        known = {word for each in onelayer.commands[name].params for word in each.opts}
        first_cells = re.findall(r"^\| `(-[^|]*?)` \|", text, flags=re.MULTILINE)
        documented = {
            flag for cell in first_cells for flag in re.findall(r"(?<!\w)-{1,2}[\w-]+", cell)
        }
        assert documented <= known
