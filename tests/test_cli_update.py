"""`onelayer update` and `forget`, and `--C auto`: what they say and what they leave."""

import json

import numpy as np
import pytest
from cli_run import loan_lines, refused, run, write_lines

import onelayer
from onelayer import Model


@pytest.fixture
def trained(tmp_path):
    write_lines(tmp_path / "all.csv", loan_lines())
    write_lines(tmp_path / "fewer.csv", loan_lines()[:-20])
    model = tmp_path / "model.json"
    assert run("train", tmp_path / "all.csv", "--target", "granted", "-o", model).exit_code == 0
    return model


@pytest.mark.parametrize("kind", ["update", "forget"])
def test_the_file_is_what_python_makes(tmp_path, trained, kind):
    table, out = tmp_path / "fewer.csv", tmp_path / "new.json"
    result = run(kind, trained, table, "-o", out)
    assert result.exit_code == 0, result.stderr
    made = getattr(onelayer, kind)(Model.load(trained), table)
    left = Model.load(out)
    np.testing.assert_array_equal(left.W, made.W)
    assert left.history[0].kind == kind
    for part in (
        "fewer.csv: the model now holds its rows and no others",
        "100, ",
        "96 rows of all.csv",
        "Since the",
        "Proved: every coefficient",
    ):
        assert part in result.stdout
    assert "new.json" in result.stdout.replace("\n", "")
    assert max(map(len, result.stdout.splitlines())) <= 80
    shown = run("show", out).stdout
    assert f"  {kind} " in shown
    assert "96 rows of all.csv" in shown


def test_another_table_judges_and_json_holds_it(tmp_path, trained):
    test, out = tmp_path / "all.csv", tmp_path / "new.json"
    result = run("forget", trained, tmp_path / "fewer.csv", "--test", test, "-o", out, "--json")
    document = json.loads(result.stdout)
    assert document["evaluation"]["n"] == 120
    assert document["history"][0]["rows"] == 96
    assert document["training"]["rows"] == 100


def test_the_model_may_be_its_own_successor(tmp_path, trained):
    assert run("update", trained, tmp_path / "all.csv", "-o", trained).exit_code == 0
    assert run("forget", trained, tmp_path / "fewer.csv", "-o", trained).exit_code == 0
    assert [each.kind for each in Model.load(trained).history] == ["update", "forget"]
    streamed = run("update", trained, tmp_path / "all.csv", "-o", "-")
    assert len(json.loads(streamed.stdout)["history"]) == 3
    assert "Proved" in streamed.stderr


def test_mistakes_leave_the_model_as_it_is(tmp_path, trained):
    before = trained.read_bytes()
    table = tmp_path / "all.csv"
    assert "rows to forget" in refused(run("forget", trained, table, "-o", trained))
    assert "is the input itself" in refused(run("update", trained, table, "-o", table))
    both = run("update", trained, table, "-o", "-", "--json")
    assert "would both fill standard output" in refused(both)
    assert trained.read_bytes() == before


def test_the_strength_is_chosen_and_said(tmp_path, trained):
    out = tmp_path / "auto.json"
    command = ("train", tmp_path / "all.csv", "--target", "granted", "--C", "auto", "-o", out)
    result = run(*command)
    assert result.exit_code == 0, result.stderr
    choice = Model.load(out).strength
    assert "with the least log loss on rows left out (leave-one-out, 96" in result.stdout
    for text in (result.stdout, run("show", out).stdout):
        assert f"{choice.tried[0].C:g}: {choice.tried[0].loss:.4f}" in " ".join(text.split())
        assert max(map(len, text.splitlines())) <= 80
    assert json.loads(run(*command, "--json").stdout)["strength"]["C"] == choice.C
    assert "auto is expected" in refused(run(*command[:4], "--C", "best", "-o", out))
