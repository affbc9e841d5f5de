"""The rows that matter, against fits without each row by another library."""

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from cli_run import refused, run
from loans import draw_loans
from sklearn.linear_model import LogisticRegression

from onelayer import Model, find_influence, forget, train
from onelayer.encoding import encode_rows
from onelayer.errors import InputError
from onelayer.holdout import find_training_rows
from onelayer.removal import FAR
from onelayer.rows import files
from onelayer.table import survey
from onelayer.table.reading import read_table

RANDOM = np.random.default_rng(11)
ROWS = 130


def draw_table() -> pl.DataFrame:
    """Numbers and levels, and one row far from all others that pulls the wrong way."""
    x = RANDOM.normal(size=(ROWS, 2))
    city = RANDOM.choice(["a", "b", "c"], ROWS)
    logit = 1.2 * x[:, 0] - 0.7 * x[:, 1] + (city == "b")
    good = logit + RANDOM.logistic(size=ROWS) > 0
    x[7], good[7] = (3.5, -3.0), False
    w = RANDOM.integers(1, 4, ROWS)
    return pl.DataFrame(
        {"x": x[:, 0], "u": x[:, 1], "city": city, "w": w, "good": np.where(good, "yes", "no")}
    )


TABLE = draw_table()
NEW = {"x": 0.3, "u": 1.0, "city": "b", "w": 1}


def to_matrix(model: Model, table: Any) -> np.ndarray:
    features = encode_rows(model.schema, read_table(table))
    return np.asarray(features.linear(np.eye(features.n_columns))).T


def fit_without(model: Model, weights: np.ndarray) -> list[tuple[np.ndarray, float]]:
    """Another library's fit without each row in turn."""
    X, y = to_matrix(model, TABLE), model.schema.labels(read_table(TABLE))
    fits = []
    for i in range(ROWS):
        left = np.arange(ROWS) != i
        other = LogisticRegression(C=model.training.C, solver="newton-cholesky", tol=1e-12)
        other.fit(X[left], y[left], weights[left])
        fits.append((other.coef_[0], float(other.intercept_[0])))
    return fits


@pytest.fixture(scope="module", params=[None, "w"], ids=["plain", "weighted"])
def case(request: pytest.FixtureRequest) -> tuple[Model, list[tuple[np.ndarray, float]]]:
    drop = [] if request.param else ["w"]
    model = train(TABLE, target="good", holdout=0, weight=request.param, drop=drop, tol=1e-8)
    weights = TABLE["w"].to_numpy() if request.param else np.ones(ROWS)
    return model, fit_without(model, weights)


def test_a_decision_moves_as_by_fits_without_each_row(case: Any) -> None:
    model, fits = case
    found = find_influence(model, TABLE, table=NEW, row=0, top=ROWS)
    x = to_matrix(model, [NEW])[0]
    changes = np.array([W @ x + b for W, b in fits]) - found.value
    assert found.value == pytest.approx(model.predict_logits([NEW])[0], abs=1e-7)
    assert found.refitted == ROWS
    assert [each.row - 1 for each in found.rows][:5] == list(np.argsort(-np.abs(changes))[:5])
    for each in found.rows:
        assert each.change == pytest.approx(changes[each.row - 1], abs=1e-6)
    turned = [each.row - 1 for each in found.rows if each.turned]
    assert turned == list(np.flatnonzero((changes + found.value > 0) != (found.value > 0)))


def test_one_step_is_near_where_it_says_so(case: Any) -> None:
    """All but the far rows, of which the planted one is the farthest: it needs its own fit."""
    model, _ = case
    found = find_influence(model, TABLE, coefficient="u", top=ROWS)
    assert found.rows[0].row == 8
    errors = [
        abs(e.change - e.estimate) / abs(e.change) for e in found.rows if abs(e.change) > 1e-4
    ]
    assert np.median(errors) < 0.05
    assert abs(found.rows[0].change / found.rows[0].estimate - 1) > 0.05


def test_a_weight_moves_as_by_fits_without_each_row(case: Any) -> None:
    model, fits = case
    for name in ("u", "city = b", "(bias)"):
        found = find_influence(model, TABLE, coefficient=name, top=ROWS)
        j = None if name == "(bias)" else model.schema.feature_names.index(name)
        values = np.array([b if j is None else W[j] for W, b in fits])
        for each in found.rows:
            assert each.change == pytest.approx(values[each.row - 1] - found.value, abs=1e-6)
    if model.summary is not None and model.schema.weight is None:
        errors = {each.name: each.error for each in model.summary.coefficients}
        assert found.spread == pytest.approx(errors["(bias)"], rel=1e-4)


@pytest.mark.parametrize("kind", ["training", "another"])
def test_most_decisions_turn_as_by_fits_without_each_row(case: Any, kind: str) -> None:
    model, fits = case
    other = TABLE if kind == "training" else TABLE.with_columns(u=pl.col("u") + 0.1)
    found = find_influence(model, TABLE, table=None if kind == "training" else other, top=5)
    X = to_matrix(model, other)
    before = model.predict_logits(other) > 0
    turned = np.array([((X @ W + b) > 0) != before for W, b in fits])
    if kind == "training":
        np.fill_diagonal(turned, False)
    counts = turned.sum(axis=1)
    for each in found.rows:
        assert each.turned == counts[each.row - 1]
    assert [each.turned for each in found.rows] == sorted(counts)[::-1][:5]
    assert found.value == ROWS


def test_an_l1_fit_without_a_row_is_forgets() -> None:
    model = train(TABLE, target="good", holdout=0, drop=["w"], C=0.3, l1_ratio=1.0, tol=1e-9)
    found = find_influence(model, TABLE, coefficient="u", top=3)
    for each in found.rows:
        fewer = TABLE.with_row_index().filter(pl.col("index") != each.row - 1).drop("index")
        W = forget(model, fewer).W[0, model.schema.feature_names.index("u")]
        assert each.change == pytest.approx(W - found.value, abs=1e-6)


@pytest.mark.parametrize("options", [{}, {"base_rate": 0.2}, {"l1_ratio": 1.0, "C": 0.5}], ids=str)
def test_where_classes_are_weighed_the_bias_is_solved_again(options: dict[str, Any]) -> None:
    """Against `forget` of each row, which does so too; one step comes near it."""
    table = TABLE[20:80].drop("w")
    model = train(
        table, target="good", holdout=0, class_weight="balanced", tol=1e-9, **{"C": 1.0, **options}
    )
    found = find_influence(model, table, table=NEW, row=0, top=60)
    bias = find_influence(model, table, coefficient="(bias)", top=60)
    assert found.value == pytest.approx(model.predict_logits([NEW])[0], abs=1e-7)
    for each, other in zip(found.rows[:3], bias.rows[:3]):
        for row, number in (
            (each, lambda m: m.predict_logits([NEW])[0]),
            (other, lambda m: m.b[0, 0]),
        ):
            fewer = table.with_row_index().filter(pl.col("index") != row.row - 1).drop("index")
            without = forget(model, fewer)
            assert row.change == pytest.approx(number(without) - number(model), abs=1e-6)
    errors = [abs(e.change - e.estimate) / abs(e.change) for e in found.rows[:20]]
    assert np.median(errors) < 0.2
    assert find_influence(model, table, top=1).rows[0].turned >= 1


def test_the_only_row_of_a_class_stays() -> None:
    good = np.where(np.arange(40) == 5, "yes", "no")
    table = pl.DataFrame({"x": RANDOM.normal(size=40).round(2), "good": good})
    model = train(table, target="good", holdout=0, keep=["x"])
    found = find_influence(model, table, top=40)
    assert len(found.rows) == 39
    assert 6 not in [each.row for each in found.rows]


def test_thresholds_other_than_a_half() -> None:
    model = replace(train(TABLE, target="good", holdout=0, drop=["w"]), threshold=0.7)
    found = find_influence(model, TABLE, top=1).rows[0]
    fewer = TABLE.with_row_index().filter(pl.col("index") != found.row - 1).drop("index")
    both = replace(forget(model, fewer), threshold=0.7)
    assert found.turned == (both.predict(fewer) != model.predict(fewer)).sum()
    assert find_influence(replace(model, threshold=1.0), TABLE, top=1).rows[0].turned == 0


# --- the rows are found again -------------------------------------------------------------------


def test_the_rows_of_the_training_are_found_again(tmp_path: Path) -> None:
    table = draw_loans(300).with_columns(
        approve=pl.when(pl.int_range(300) % 50 == 3).then(None).otherwise("approve")
    )
    table.write_csv(tmp_path / "loans.csv")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = train(tmp_path / "loans.csv", target="approve", seed=4)
        raw = read_table(tmp_path / "loans.csv")
        rows = find_training_rows(model, raw)
        again = train(raw.frame.filter(pl.Series(rows)), target="approve", holdout=0)
    assert rows.sum() == model.training.rows
    assert again.schema.columns[1] == model.schema.columns[1]
    np.testing.assert_allclose(again.W, model.W, atol=1e-6)
    older = replace(model, training=replace(model.training, holdout=None))
    assert (find_training_rows(older, raw) == rows).all()
    assert (find_training_rows(model, read_table(table)) == rows).all()  # a frame has no checksum


def test_the_rows_of_a_long_table_are_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "SAMPLE_ROWS", 500)
    monkeypatch.setattr(survey, "LEAST_ROWS", 500)
    monkeypatch.setattr(files, "BLOCK_VALUES", 1 << 12)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    draw_loans(2_000).write_parquet(tmp_path / "loans.parquet")
    model = train(tmp_path / "loans.parquet", target="approve", memory="200MB", drop=["note"])
    found = find_influence(model, tmp_path / "loans.parquet", top=2)
    assert found.value == model.training.rows
    assert 1_500 < found.value < 1_700
    rows = draw_loans(2_000)
    (tmp_path / "many").mkdir()
    for k in (0, 1):
        rows[k * 1_000 : k * 1_000 + 1_000].write_parquet(tmp_path / "many" / f"{k}.parquet")
    other = train(tmp_path / "many", target="approve", drop=["note"])
    again = find_influence(other, tmp_path / "many", top=2)
    assert [each.turned for each in again.rows] == [each.turned for each in found.rows]


def test_another_table_is_refused(tmp_path: Path) -> None:
    draw_loans(100).write_csv(tmp_path / "loans.csv")
    draw_loans(100, seed=1).write_csv(tmp_path / "other.csv")
    model = train(tmp_path / "loans.csv", target="approve")
    with pytest.raises(InputError, match=r"other.csv is not the table .* loans.csv: its SHA-256"):
        find_influence(model, tmp_path / "other.csv")
    with pytest.raises(InputError, match=r"not the table .* 80 rows were, .* and it has 40"):
        find_influence(model, draw_loans(50))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"coefficient": "y"}, "no coefficient 'y'"),
        ({"coefficient": "city"}, "column 'city' has several coefficients: 'city = "),
        ({"coefficient": "u", "row": 0}, "leave out one of the two"),
        ({"table": NEW, "row": 1}, "has rows 0 to 0, not 1"),
        ({"top": 0}, "top is 0"),
    ],
)
def test_mistakes_are_named(options: dict[str, Any], said: str) -> None:
    model = train(TABLE, target="good", holdout=0, drop=["w"])
    with pytest.raises(InputError, match=said):
        find_influence(model, TABLE, **options)


def test_a_model_of_too_many_weights_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = train(TABLE, target="good", holdout=0, drop=["w"])
    monkeypatch.setattr("onelayer.removal.LARGEST_FACTORED", 3)
    with pytest.raises(InputError, match="for fewer than 3"):
        find_influence(model, TABLE)


def test_far_rows_are_known() -> None:
    assert 0 < FAR < 1


# --- the command line ---------------------------------------------------------------------------


def test_the_command_says_what_matters(tmp_path: Path) -> None:
    table, model = tmp_path / "loans.csv", tmp_path / "model.json"
    TABLE.write_csv(table)
    run("train", table, "--target", "good", "--weight", "w", "-o", model)
    loaded = Model.load(model)
    for options, part in (
        ((), "decisions on loans.csv"),
        (("--row", "3"), "loans.csv, row 3: the probability of 'yes'"),
        (("--of", table, "--row", "9", "--top", "2"), "loans.csv, row 9"),
        (("--coefficient", "u"), "u: the weight is"),
    ):
        result = run("influence", model, table, *options)
        assert result.exit_code == 0, result.stderr
        assert part in result.stdout
        assert all(len(line) <= 80 for line in result.stdout.splitlines())
    document = json.loads(run("influence", model, table, "--row", "3", "--json").stdout)
    found = find_influence(loaded, table, table=table, row=2)
    assert document["rows"] == found.to_dict()["rows"]
    assert document["rows"][0]["line"] == document["rows"][0]["row"] + 1
    assert f"--row {ROWS + 1}: loans.csv has rows 1 to {ROWS}" in refused(
        run("influence", model, table, "--row", ROWS + 1)
    )
    assert "leave out --of and --row" in refused(
        run("influence", model, table, "--row", "1", "--coefficient", "u")
    )
