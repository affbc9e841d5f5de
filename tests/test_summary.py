"""The summary as a value, as a table of text, in the model file and on the command line."""

import io
import json
import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from cli_run import run
from loans import draw_loans
from scipy import stats

from onelayer import InputError, Model, ModelFileError, OneLayerClassifier, train
from onelayer.summary import BIAS, Coefficient, Summary
from onelayer.updating import update

LOANS = draw_loans().drop("note", "since")
FEW = {"drop": ["city", "id"], "holdout": 0, "C": math.inf}


def make_summary(**changes):
    coefficients = tuple(
        Coefficient(name, "", value, error, deviation, 0.95, remark)
        for name, value, error, deviation, remark in [
            ("age", 0.5, 0.25, 2.0, ""),
            ("a name that is far too long for a table of eighty columns", -800, 1e-9, 1e-7, ""),
            ("income\nper year", 1e-300, None, 1e300, "unsettled"),
            (BIAS, 720.0, 3.0, None, ""),
        ]
    )
    given = Summary(coefficients, "model", None, 0.95, 1e9, "frequency", math.inf, 4, -10, -20)
    return replace(given, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"errors": "none"},
        {"errors": "cluster", "clusters": 123_456, "C": 1.0, "notes": ("note " * 60,)},
        {"parameters": None, "weight_kind": "sampling"},
    ],
)
def test_the_table_is_80_columns_wide(changes):
    lines = str(make_summary(**changes)).splitlines()
    assert max(map(len, lines)) <= 80
    assert all(line.isprintable() and line == line.rstrip() for line in lines)


def test_what_follows_from_a_coefficient_and_its_error():
    age, long, unsettled, bias = make_summary().coefficients
    assert (age.z, age.p) == (2.0, pytest.approx(2 * stats.norm.sf(2)))
    assert age.interval == pytest.approx(stats.norm.interval(0.95, 0.5, 0.25))
    assert age.odds_ratio.value == pytest.approx(math.exp(0.5))
    assert age.odds_ratio_per_deviation.low == pytest.approx(math.exp(2 * age.interval[0]))
    assert long.p == 0.0
    assert long.odds_ratio.value == 0.0
    assert unsettled.z is unsettled.p is unsettled.interval is unsettled.odds_ratio.low is None
    assert bias.odds_ratio.value == math.inf
    assert bias.odds_ratio_per_deviation is None


def test_what_follows_from_the_log_likelihoods():
    found = make_summary()
    assert (found.deviance, found.null_deviance, found.mcfadden_r2) == (20, 40, 0.5)
    assert found.aic == 28
    assert found.bic == pytest.approx(20 + 4 * math.log(1e9))
    assert make_summary(weight_kind="sampling").aic is None
    assert found.find("age").value == 0.5
    with pytest.raises(KeyError, match="no coefficient 'sex'"):
        found.find("sex")


def test_all_of_it_is_strict_json():
    whole = json.loads(json.dumps(make_summary().to_dict(), allow_nan=False))
    assert whole["C"] == "inf"
    assert whole["coefficients"][3]["odds_ratio"][0] == "inf"
    assert whole["coefficients"][0]["odds_ratio_per_deviation"][0] == pytest.approx(math.e)


# In a model


def errors_by_hand(model, table):
    """Standard errors of the model's features, from the features themselves."""
    from onelayer.encoding import encode_rows, read_rows

    features = encode_rows(model.schema, read_rows(table))
    X = np.array([features.take(np.array([i])).back(np.ones((1, 1)))[0] for i in range(len(table))])
    A = np.column_stack([X, np.ones(len(X))])
    p = model.predict_proba(table)[:, 1]
    return A, p


def test_a_model_keeps_its_summary():
    table = LOANS.drop_nulls()
    model = train(table, target="approve", drop=["city", "id"], holdout=0, C=5.0)
    A, p = errors_by_hand(model, table)
    H = (A.T * (p * (1 - p))) @ A + np.diag([0.2] * (A.shape[1] - 1) + [0])
    expected = np.sqrt(np.diag(np.linalg.inv(H)))
    there = [each.error for each in model.summary.coefficients]
    for error, wanted, column in zip(there, expected, A.T, strict=True):
        if np.ptp(column) > 0 or (column == 1).all():
            assert error == pytest.approx(wanted, rel=1e-6)
    back = Model.load(io.BytesIO(model.to_bytes()))
    assert back.summary == model.summary
    assert back.to_bytes() == model.to_bytes()
    assert any("posterior" in note for note in back.summary.notes)


def test_a_file_without_a_summary_still_loads():
    model = train(LOANS, target="approve", **FEW)
    sections = model.to_dict()
    assert sections.pop("summary")["errors"] == "model"
    del sections["training"]["weight_kind"]
    older = Model.from_dict(sections)
    assert older.summary is None
    assert older.training.weight_kind == "frequency"


def test_a_summary_of_other_features_is_refused():
    sections = train(LOANS, target="approve", **FEW).to_dict()
    for name, said in (
        ("standard_errors", "one number for each deviation and one for the bias"),
        ("deviations", "one number for each deviation and one for the bias"),
    ):
        altered = {**sections, "summary": {**sections["summary"], name: [1.0]}}
        with pytest.raises(ModelFileError, match=said):
            Model.from_dict(altered)
    one = {"deviations": [1.0], "standard_errors": [1.0, 1.0]}
    with pytest.raises(ModelFileError, match="one number for each feature"):
        Model.from_dict({**sections, "summary": {**sections["summary"], **one}})


def test_a_wide_model_keeps_none(tmp_path):
    rng = np.random.default_rng(0)
    wide = {f"x{j}": rng.normal(size=80) for j in range(501)}
    model = train({**wide, "y": rng.integers(0, 2, 80)}, target="y", holdout=0)
    assert model.summary is None
    model.save(tmp_path / "m.json")
    said = " ".join(run("show", tmp_path / "m.json").stdout.split())
    assert "The file holds no errors of its weights" in said


def test_an_update_has_a_summary_of_its_own():
    old = train(LOANS[:300], target="approve", **FEW)
    new = update(old, LOANS)
    assert new.summary.n == new.training.rows > old.summary.n
    assert new.summary != old.summary
    assert Model.load(io.BytesIO(new.to_bytes())).summary == new.summary


def test_survey_weights_of_a_table():
    table = LOANS.with_columns(w=np.random.default_rng(1).uniform(1, 50, len(LOANS)))
    given = {"target": "approve", "weight": "w", "drop": ["city", "id"], "holdout": 0}
    model = train(table, **given, weight_kind="sampling")
    assert model.training.weight_kind == "sampling"
    assert model.summary.errors == "HC0"
    assert model.summary.n == model.training.rows
    scaled = table.with_columns(pl.col("w") / pl.col("w").mean())
    np.testing.assert_allclose(train(scaled, **given).W, model.W, atol=1e-6)
    back = Model.load(io.BytesIO(model.to_bytes()))
    assert back.summary == model.summary
    np.testing.assert_allclose(update(model, table).W, model.W, atol=1e-6)
    assert update(model, table).summary.errors == "HC0"
    for kind, said in (("sampling", "rows with weights"), ("importance", "weight_kind='import")):
        with pytest.raises(InputError, match=said):
            train(LOANS, target="approve", weight_kind=kind)


# In the estimator


def test_rows_given_again():
    rng = np.random.default_rng(2)
    X, s = rng.normal(size=(60, 2)), rng.integers(0, 3, 60)
    y = np.where(X[:, 0] + rng.logistic(size=60) > 0, "yes", "no")
    network = OneLayerClassifier(C=np.inf).fit(X, y, s)
    found = network.summary(errors="HC1")
    network.solution_ = replace(network.solution_, evidence=None)
    assert network.summary(X, y, s, errors="HC1") == found
    towns = rng.integers(0, 9, 60)
    assert network.summary(X, y, s, clusters=towns).clusters == 9
    for wrong, said in (
        ((X[:, :1], y, s), "X has 1 columns, the fit had 2"),
        ((X, np.where(y == "yes", "ja", "nein"), s), "other classes"),
        ((X, y[::-1], s), "not the rows of the fit"),
        ((X, y), "not the rows of the fit"),
    ):
        with pytest.raises(InputError, match=said):
            network.summary(*wrong)
    assert list(network.classes_) == ["no", "yes"]
    assert network.n_features_in_ == 2


def test_class_weights_are_remarked():
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(60, 2)), np.arange(60) % 3 == 0
    found = OneLayerClassifier(C=np.inf, class_weight={True: 2, False: 1}).fit(X, y).summary()
    assert found.n == 80
    assert any("class_weight" in note for note in found.notes)


# On the command line


def test_show_tells_errors_and_odds(tmp_path):
    table, model = tmp_path / "loans.csv", tmp_path / "m.json"
    LOANS.write_csv(table)
    run("train", table, "--target", "approve", "--C", "inf", "--drop", "id,city", "-o", model)
    said = run("show", model).stdout
    for part in ("std error", "97.5 %", "per unit", "per sd", "log-likelihood", "McFadden", "AIC"):
        assert part in said
    assert all(len(line) <= 80 for line in said.splitlines())
    whole = json.loads(run("show", model, "--json").stdout)["summary"]
    found = Model.load(model).summary
    assert whole == json.loads(json.dumps(found.to_dict()))
    # An odds ratio per unit is that of the table's own column.
    schema = Model.load(model).schema
    age = found.find("age").value / schema.feature_steps[schema.feature_names.index("age")]
    line = next(line for line in said.split("Odds ratios")[1].splitlines() if "  age " in line)
    assert float(line.split()[1]) == pytest.approx(math.exp(age), abs=5e-3 * abs(age))


def test_the_kind_of_weight_is_an_option(tmp_path):
    table, model = tmp_path / "loans.csv", tmp_path / "m.json"
    LOANS.with_columns(w=pl.int_range(len(LOANS)) % 7 + 0.5).write_csv(table)
    given = ("train", table, "--target", "approve", "--drop", "id,city", "-o", model)
    run(*given, "--weight", "w", "--weight-kind", "sampling")
    assert Model.load(model).summary.weight_kind == "sampling"
    assert "survey weights" in run("show", model).stdout
    wrong = run(*given, "--weight", "w", "--weight-kind", "odd")
    assert "--weight-kind odd: frequency or sampling" in wrong.stderr
    assert "add --weight COL" in run(*given, "--weight-kind", "sampling").stderr


def test_a_model_with_an_l1_penalty_says_that_it_has_no_errors():
    given = {**FEW, "C": 0.1, "l1_ratio": 1.0}
    model = train(LOANS, target="approve", **given)
    for each in (model, update(model, LOANS), Model.load(io.BytesIO(model.to_bytes()))):
        assert each.summary.errors == "none"
        assert each.summary.notes[0].startswith("No errors: an L1 penalty")
