"""A model with more rows, or without some: the fit of what is in it, in a pass or two."""

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from loans import draw_loans
from sklearn.linear_model import LogisticRegression

import onelayer
from onelayer.encoding import to_features
from onelayer.errors import DataWarning, InputError, ModelFileError
from onelayer.model import Model
from onelayer.table.reading import read_table
from onelayer.training import train
from onelayer.updating import forget, update

LOANS = draw_loans().drop("note")
SOME = LOANS.with_row_index("place").filter(pl.col("place") % 20 != 3).drop("place")
ASIDE: dict[str, Any] = {"target": "approve", "protected": ["sex"]}


def learn(table: Any, **options: Any) -> Model:
    return train(table, **{**ASIDE, "holdout": 0, **options})


def refit(model: Model, table: Any, C: float = 1.0, s: Any = None) -> tuple[Any, Any]:
    """The oracle: scikit-learn on the features that the model's own schema makes of the table."""
    features = to_features(model.schema.encode(read_table(table)))
    X = features.linear(np.eye(features.n_columns)).T
    y = (table["approve"] == "yes").to_numpy().astype(float)
    oracle = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-13, max_iter=1000)
    oracle.fit(X, y, sample_weight=s)
    X1 = np.column_stack([X, np.ones(len(X))])
    A, s = oracle.predict_proba(X)[:, 1], np.ones(len(X)) if s is None else s
    H = X1.T * (s * A * (1 - A)) @ X1 + np.diag([1 / C] * X.shape[1] + [0])
    return np.append(oracle.coef_, oracle.intercept_), np.sqrt(np.diag(np.linalg.inv(H)))


def assert_is_refit(model: Model, optimum: Any, errors: Any) -> None:
    away = np.abs(np.append(model.W, model.b) - optimum) / errors
    assert away.max() < 1e-8 + 1e-7 * (model.certificate.rho > 1e-8)
    assert model.certificate.rho <= 1e-6


@pytest.mark.parametrize("C", [0.05, 1.0, 50.0])
@pytest.mark.parametrize("change", [update, forget])
def test_it_is_the_fit_of_the_rows_that_are_in_it_afterwards(change: Any, C: float) -> None:
    before, after = (SOME, LOANS) if change is update else (LOANS, SOME)
    model = change(learn(before, C=C), after)
    assert_is_refit(model, *refit(model, after, C))
    assert (model.training.rows, model.training.C) == (after.height, C)


def test_few_changes_among_many_rows_take_two_passes() -> None:
    generator = np.random.default_rng(0)
    X = generator.normal(size=(20_000, 5))
    yes = X.sum(axis=1) + 2 * generator.logistic(size=20_000) > 0
    many = pl.DataFrame(X, schema=list("abcde")).with_columns(approve=np.where(yes, "yes", "no"))
    model = train(many, target="approve", holdout=0)
    for fewer, most in ((many[1:], 2), (many[20:], 2), (many[1000:], 3)):
        less = forget(model, fewer)
        assert less.training.passes <= most
        assert_is_refit(less, *refit(less, fewer))
        again = update(less, many)
        assert again.training.passes <= most
        np.testing.assert_allclose(again.W, model.W, rtol=0, atol=1e-8)


def test_the_same_rows_again_are_a_pass_and_no_change() -> None:
    model = learn(LOANS)
    same = update(model, LOANS)
    assert same.training.passes == 1
    np.testing.assert_allclose(same.W, model.W, rtol=0, atol=1e-9)
    np.testing.assert_allclose(same.averages, model.averages, rtol=1e-12)


def test_weights_count_and_without_weight_a_row_is_gone() -> None:
    s = np.random.default_rng(0).uniform(0.5, 3, LOANS.height)
    table = LOANS.with_columns(w=s)
    model = learn(table, weight="w")
    s[:30] = 0
    less = forget(model, LOANS.with_columns(w=s))
    assert less.training.rows == LOANS.height - 30
    assert_is_refit(less, *refit(less, LOANS[30:], s=s[30:]))
    with pytest.raises(InputError, match="no column 'w'"):
        update(model, LOANS)


def test_a_model_of_gradient_descent_is_taken_to_the_optimum() -> None:
    model = update(learn(LOANS, solver="gradient_descent", learning_rate="safe"), LOANS)
    assert_is_refit(model, *refit(model, LOANS))
    assert model.training.status == "optimal"


def test_what_is_known_of_it_is_of_the_rows_in_it_now(tmp_path: Any) -> None:
    LOANS.write_csv(tmp_path / "all.csv")
    SOME.write_csv(tmp_path / "some.csv")
    first = train(tmp_path / "all.csv", **ASIDE)
    assert first.evaluation is not None
    second = forget(first, tmp_path / "some.csv")
    assert second.evaluation is None
    assert second.training.table == "some.csv"
    assert second.training.holdout_rows == 0
    assert second.training.positives == (SOME["approve"] == "yes").sum()
    assert second.training.history[0].iteration == 0
    assert (second.schema, second.threshold) == (first.schema, first.threshold)
    third = update(second, tmp_path / "all.csv", test=tmp_path / "some.csv")
    assert third.evaluation is not None
    assert third.training.test == "some.csv"
    kinds = [(each.kind, each.table, each.sha256, each.rows) for each in third.history]
    assert kinds == [
        ("forget", "all.csv", first.training.sha256, first.training.rows),
        ("update", "some.csv", second.training.sha256, SOME.height),
    ]
    third.save(tmp_path / "model.json")
    assert Model.load(tmp_path / "model.json").history == third.history


def test_the_model_itself_is_left_as_it_is() -> None:
    model = learn(LOANS)
    before = model.to_bytes()
    forget(model, SOME)
    assert model.to_bytes() == before


def test_the_rows_held_out_come_in_too() -> None:
    model = train(LOANS, **ASIDE)
    assert update(model, LOANS).training.rows == LOANS.height
    assert forget(model, SOME).training.rows == SOME.height


def test_values_that_training_has_never_seen_are_counted() -> None:
    strange = LOANS.with_columns(
        city=pl.when(pl.int_range(LOANS.height) < 7).then(pl.lit("Atlantis")).otherwise("city")
    )
    with pytest.warns(DataWarning, match=r"'city' \(7 rows\)"):
        model = update(learn(LOANS), strange)
    assert_is_refit(model, *refit(model, strange))


@pytest.mark.parametrize("rows", [LOANS, pl.concat([LOANS, LOANS[:1]])])
def test_to_forget_there_must_be_fewer_rows(rows: pl.DataFrame) -> None:
    with pytest.raises(InputError, match="give the table without the rows to forget"):
        forget(train(LOANS, **ASIDE), rows)


def test_bad_tables_get_a_named_error() -> None:
    model = learn(LOANS)
    one = LOANS.filter(pl.col("approve") == "yes")
    with pytest.raises(InputError, match="hold only 'yes'; both 'no' and 'yes' are needed"):
        forget(model, one)
    with pytest.raises(InputError, match="hold no value"):
        forget(model, LOANS.with_columns(approve=pl.lit(None, pl.String)))
    with pytest.raises(InputError, match="no column 'approve'"):
        update(model, LOANS.drop("approve"))
    with pytest.raises(InputError, match="maybe"):
        update(model, LOANS.with_columns(approve=pl.lit("maybe")))
    with pytest.raises(InputError, match="no column 'age'"):
        update(model, LOANS.drop("age"))


def test_without_a_penalty_too() -> None:
    small = ["age", "income", "approve"]
    drop = [name for name in LOANS.columns if name not in small]
    model = learn(LOANS, C=math.inf, drop=drop, protected=[])
    less = forget(model, LOANS[5:])
    assert_is_refit(less, *refit(less, LOANS[5:], C=math.inf))


def test_a_history_that_is_none_is_refused() -> None:
    sections = update(learn(LOANS), LOANS).to_dict()
    for wrong in ({"at": "yesterday"}, {"kind": "burn"}, {"rows": 0}, {"sha256": "abc"}):
        broken = {**sections, "history": [{**sections["history"][0], **wrong}]}
        with pytest.raises(ModelFileError, match=r"history\[0\]"):
            Model.from_dict(broken)


def test_both_are_at_the_front_door() -> None:
    assert (onelayer.update, onelayer.forget) == (update, forget)
