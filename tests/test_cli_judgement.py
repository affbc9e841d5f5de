"""What `train`, `evaluate` and `show` say of measures, thresholds, groups and drift."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from cli_run import run
from loans import draw_loans

from onelayer.cli.output import measure
from onelayer.model import Model

LOANS = draw_loans(500)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    LOANS.write_csv("loans.csv")
    return tmp_path


def train(*options: str) -> str:
    base = ["train", "loans.csv", "--target", "approve", "--drop", "verdict,note"]
    done = run(*base, "--protected", "sex", *options)
    assert done.exit_code == 0, done.stderr
    return str(done.stdout)


def test_the_first_screen_is_short_and_the_details_are_all() -> None:
    train()
    short = run("evaluate", "model.json", "loans.csv").stdout
    whole = run("evaluate", "model.json", "loans.csv", "--details").stdout
    assert len(short.splitlines()) < 40
    assert max(map(measure, (short + whole).splitlines())) <= 80
    for word in ("95 % interval", "best column", "KS", "MCC", "Groups by sex", "impact ratio"):
        assert word in short
    for word in ("Gini", "reliability", "lift", "unseen", "log loss", "by chance"):
        assert word in whole
    assert "Gini" not in short


def test_json_has_every_measure_worked_out() -> None:
    train()
    document = json.loads(run("evaluate", "model.json", "loans.csv", "--json").stdout)
    measures = {each["measure"]: each for each in document["measures"]}
    assert len(measures) == 12
    assert measures["mcc"]["low"] < measures["mcc"]["value"] < measures["mcc"]["high"]
    assert document["evaluation"]["drift"]["score"]["psi"] >= 0
    assert document["evaluation"]["groups"][0]["column"] == "sex"


def test_drift_is_said_where_there_is_some() -> None:
    train()
    moved = LOANS.with_columns(income=pl.col("income") * 5).drop("sex")
    moved.write_csv("moved.csv")
    said = run("evaluate", "model.json", "moved.csv").stdout
    assert "Drift since the training" in said
    row = next(line for line in said.splitlines() if line.strip().startswith("income"))
    assert row.endswith("moved much")
    assert "Not in this table: sex" in said
    assert "none to speak of" in run("evaluate", "model.json", "loans.csv").stdout


def test_a_threshold_by_costs_is_said_and_shown() -> None:
    said = train("--cost-fp", "1", "--cost-fn", "8")
    assert "by costs (1 for a wrong 'yes', 8 for a missed one)" in " ".join(said.split())
    assert "Cost a row" in said
    shown = run("show", "model.json").stdout
    line = next(line for line in shown.splitlines() if line.endswith("chosen"))
    assert float(line.split()[0]) == pytest.approx(Model.load("model.json").threshold, rel=1e-5)
    document = json.loads(
        run(
            *("train", "loans.csv", "--target", "approve", "--accept", "30%"),
            *("--drop", "verdict,note", "--json"),
        ).stdout
    )
    assert document["threshold_choice"]["value"] == 0.3
    assert document["threshold"] == document["threshold_choice"]["chosen"]["threshold"]


def test_costs_come_from_columns() -> None:
    LOANS.with_columns(fn=pl.col("age") / 10).write_csv("loans.csv")
    said = train("--cost-fp", "2", "--cost-fn", "fn")
    assert "column fn for a missed one" in " ".join(said.split())
    assert "dropped" in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--max-fpr", "5%"], "for a false positive rate of at most 0.05"),
        (["--min-precision", "0.7"], "for a precision of at least 0.7"),
        (["--accept", "0.2"], "to say 'yes' to 0.2 of the rows"),
        (["--class-weight", "balanced"], "the bias was solved again"),
        (["--class-weight", "yes=3"], "weighed 3 times as much"),
        (["--base-rate", "5%"], "the mean probability is 0.05"),
        (["--threshold", "0.3"], "is above 0.3"),
    ],
)
def test_each_wish_is_said(options: list[str], words: str) -> None:
    assert words in " ".join(train(*options).split())


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--accept", "130%"], "--accept 130%: a share such as 0.3 or 30% is expected"),
        (["--accept", "0.3", "--max-fpr", "0.1"], "--accept and --max-fpr exclude each other"),
        (["--threshold", "0.3", "--cost-fp", "1"], "costs and --threshold exclude each other"),
        (["--cost-fp", "1"], "--cost-fn is missing"),
        (["--cost-fp", "1", "--cost-fn", "fnn"], "no column 'fnn'"),
        (["--min-precision", "1"], "a precision of 1 is out of reach"),
        (["--class-weight", "yes"], "--class-weight yes: balanced, or values with weights"),
        (["--class-weight", "maybe=2"], "a weight for 'maybe', which the target does not hold"),
        (["--base-rate", "0"], "base_rate is 0.0, expected a share above 0 and below 1"),
    ],
)
def test_mistakes_are_one_line(options: list[str], reason: str) -> None:
    base = ["train", "loans.csv", "--target", "approve", "--drop", "verdict,note"]
    done = run(*base, *options)
    assert done.exit_code == 2
    assert reason in done.stderr
    assert done.stderr.strip().count("\n") == 0
    assert not Path("model.json").exists()


def test_an_option_is_documented() -> None:
    text: Any = (Path(__file__).parent.parent / "docs" / "command-line.md").read_text("utf-8")
    for flag in ("--details", "--cost-fp", "--accept", "--class-weight", "--base-rate"):
        assert f"`{flag}" in text
