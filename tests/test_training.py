"""From a raw table to a model: the minimiser, the holdout, and what never may count."""

import hashlib
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from loans import draw_loans, write_loans
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from onelayer import network
from onelayer.errors import ConvergenceWarning, DataWarning, InputError, LearningRateWarning
from onelayer.holdout import holdout_mask
from onelayer.judging.evaluate import evaluate
from onelayer.model import Model
from onelayer.solvers.solution import Progress
from onelayer.table.reading import read_table
from onelayer.training import train

Array = NDArray[Any]
LOANS = draw_loans()
ASIDE = {"target": "approve", "protected": ["sex"]}
Y = (LOANS["approve"] == "yes").to_numpy().astype(float)


def train_loans(table: Any = LOANS, **options: Any) -> Model:
    return train(table, **{**ASIDE, **options})


def expand(model: Model, table: Any) -> Array:
    """The features as a dense array, every level a column of 0 and 1."""
    encoded = model.schema.encode(read_table(table))
    parts = [encoded.numeric]
    for j, count in enumerate(encoded.level_counts):
        parts.append(np.eye(count)[encoded.codes[:, j]])
    if encoded.words is not None:
        parts.append(encoded.words.toarray())
    return np.hstack(parts)


def without_groups(model: Model) -> Model:
    assert model.evaluation is not None
    return replace(model, evaluation=replace(model.evaluation, groups=()))


def same_model(one: Model, other: Model) -> bool:
    return (
        np.array_equal(one.W, other.W)
        and np.array_equal(one.b, other.b)
        and np.array_equal(one.averages, other.averages)
        and one.evaluation == other.evaluation
    )


# The minimiser


@pytest.mark.parametrize("solver", ["newton", "newton_cg"])
@pytest.mark.parametrize("C", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("weight", [None, "w"])
def test_the_minimiser_is_that_of_scikit_learn(solver: str, C: float, weight: str | None) -> None:
    weights = np.random.default_rng(1).uniform(0.1, 3, LOANS.height)
    table = LOANS.with_columns(w=weights)
    drop = [] if weight else ["w"]
    model = train_loans(table, C=C, solver=solver, tol=1e-9, weight=weight, drop=drop)
    trained = ~holdout_mask(Y, 0.2, 0)
    X = expand(model, table)[trained]
    s = weights[trained] if weight else np.ones(len(X))
    oracle = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-13, max_iter=1000)
    oracle.fit(X, Y[trained], sample_weight=s)
    A = oracle.predict_proba(X)[:, 1]
    X1 = np.column_stack([X, np.ones(len(X))])
    penalty = np.diag([1 / C] * X.shape[1] + [0])
    errors = np.sqrt(np.diag(np.linalg.inv(X1.T * (s * A * (1 - A)) @ X1 + penalty)))
    found = np.append(model.W, model.b)
    assert np.max(np.abs(found - np.append(oracle.coef_, oracle.intercept_)) / errors) < 1e-6
    assert model.certificate.rho <= 1e-9 or model.training.status == "rounding"
    ours = network.log_loss(X @ model.W[0] + model.b[0, 0], Y[trained])
    assert model.training.cost == pytest.approx(np.average(ours, weights=s), rel=1e-10)
    assert model.averages == pytest.approx(np.average(X, axis=0, weights=s), abs=1e-12)


def test_by_hand() -> None:
    """Numbers standardised over the training rows, a column of 0 and 1 a level; nothing else."""
    table = {"age": LOANS["age"], "city": LOANS["city"].fill_null("none"), "approve": Y}
    model = train(table, target="approve", tol=1e-9)
    trained = ~holdout_mask(Y, 0.2, 0)
    age, city = LOANS["age"].to_numpy() * 1.0, LOANS["city"].fill_null("none").to_numpy()
    levels = [city == level for level in np.unique(city)]
    X = np.column_stack([(age - age[trained].mean()) / age[trained].std(), *levels])
    oracle = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-13)
    oracle.fit(X[trained], Y[trained])
    assert model.predict_logits(table) == pytest.approx(oracle.decision_function(X), abs=1e-8)


def test_gradient_descent_is_that_of_the_article() -> None:
    model = train_loans(
        solver="gradient_descent", C=math.inf, learning_rate=0.1, num_iterations=25, seed=3
    )
    trained = ~holdout_mask(Y, 0.2, 3)
    X = expand(model, LOANS)[trained].T
    np.random.seed(3)  # noqa: NPY002 - as the article draws its start
    parameters = network.nn_model(X, Y[trained][None], num_iterations=25, learning_rate=0.1)
    np.testing.assert_allclose(model.W, parameters["W"], rtol=0, atol=1e-12)
    assert model.b == pytest.approx(parameters["b"], abs=1e-12)
    assert (model.training.solver, model.training.iterations) == ("gradient_descent", 25)


def test_the_answer_does_not_depend_on_threads() -> None:
    assert same_model(train_loans(n_jobs=1), train_loans(n_jobs=3))


def test_the_order_of_rows_and_columns_does_not_count() -> None:
    model = train_loans(holdout=0, tol=1e-9)
    turned = train_loans(LOANS.reverse().select(reversed(LOANS.columns)), holdout=0, tol=1e-9)
    logits = model.predict_logits(LOANS)
    assert turned.predict_logits(LOANS) == pytest.approx(logits, abs=1e-8)


def test_the_other_value_as_positive_turns_the_signs() -> None:
    model = train_loans(tol=1e-9)
    turned = train_loans(tol=1e-9, positive="no")
    assert (turned.positive, turned.negative) == ("no", "yes")
    assert turned.predict_logits(LOANS) == pytest.approx(-model.predict_logits(LOANS), abs=1e-7)
    assert turned.evaluation is not None
    assert model.evaluation is not None
    assert turned.evaluation.roc_auc == pytest.approx(model.evaluation.roc_auc, abs=1e-12)


def test_progress_is_told() -> None:
    told: list[Progress] = []
    model = train_loans(watch=told.append)
    assert [each.iteration for each in told] == list(range(len(told)))
    assert set(told) <= set(model.training.history)


# Warnings and refusals of solvers


def test_separable_classes_without_a_penalty() -> None:
    table = {"x": [*range(30)], "y": [0] * 15 + [1] * 15}
    with pytest.warns(ConvergenceWarning, match="use a finite C"):
        model = train(table, target="y", holdout=0, C=math.inf, keep=["x"])
    assert model.training.status == "separated"
    assert not model.certificate.proved


def draw_table(n: int = 200) -> dict[str, Any]:
    rng = np.random.default_rng(5)
    city = np.array(["York", "Ely", "Bath"])[rng.integers(0, 3, n)]
    net, tax = rng.integers(100, 900, n) / 4, rng.integers(10, 90, n) / 4
    city[:12] = "Rye"
    paid = np.where(net + 60 * rng.logistic(size=n) > 120, "yes", "no")
    return {"net": net, "tax": tax, "city": city, "paid": paid}


def test_a_level_of_one_class_alone_is_named_with_its_lines(tmp_path: Path) -> None:
    table = draw_table()
    table["paid"][:12] = "no"
    pl.DataFrame(table).write_csv(tmp_path / "bills.csv")
    with pytest.warns(ConvergenceWarning) as caught:
        model = train(tmp_path / "bills.csv", target="paid", holdout=0, C=math.inf)
    assert model.training.status == "separated"
    assert model.training.message == (
        "the classes are quasi-completely separated by `city = Rye`: 12 of 200 rows (lines 2, 3, "
        "4, 5, 6 and 7 more) are on their own side, the others on the plane between, so without a "
        "penalty the weights grow without end: use a finite C, such as C=1, or leave out "
        "`city = Rye`"
    )
    assert model.training.message in str(caught[0].message)


def test_dependent_columns_are_said_in_the_units_of_the_table(tmp_path: Path) -> None:
    table = draw_table()
    table = {"gross": table["net"] + table["tax"], **table}
    model = train(table, target="paid", holdout=0)
    assert model.training.remarks == (
        "columns depend on each other: `gross` = `net` + `tax`: the penalty shares the weight "
        "among such columns",
    )
    model.save(tmp_path / "model.json")
    assert Model.load(tmp_path / "model.json").training.remarks == model.training.remarks
    with pytest.warns(DataWarning, match="`gross` = `net` [+] `tax`: without a penalty many"):
        model = train(table, target="paid", holdout=0, C=math.inf)
    assert model.certificate.proved


def test_a_table_that_separates_is_remarked_where_the_fit_shows_it() -> None:
    table = {"x": np.arange(60) * 1.5, "y": [0] * 30 + [1] * 30}
    model = train(table, target="y", holdout=0, C=1e4, keep=["x"])
    assert model.training.remarks == (
        "the classes are completely separated by `x`: all 60 rows are on their own side; the "
        "penalty alone bounds the weights",
    )


@pytest.mark.parametrize("learning_rate", [50.0, 1e300, 1e308])
def test_a_learning_rate_that_diverges(learning_rate: float, tmp_path: Path) -> None:
    with (
        pytest.warns(LearningRateWarning),
        pytest.warns(ConvergenceWarning, match="the cost rose .* is too large"),
    ):
        model = train_loans(
            solver="gradient_descent", learning_rate=learning_rate, num_iterations=99
        )
    assert model.training.status == "diverged"
    model.save(tmp_path / "model.json")
    back = Model.load(tmp_path / "model.json")
    assert back.training == model.training
    assert np.isfinite(back.predict_logits(LOANS)).all()


# The holdout


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.9])
def test_the_holdout_is_stratified_and_seeded(share: float) -> None:
    labels = np.where(np.arange(1000) % 10 == 0, 1.0, 0.0)
    labels[-100:] = np.nan
    held = holdout_mask(labels, share, seed=7)
    assert held[labels == 1].sum() == round(share * 90)
    assert held[labels == 0].sum() == round(share * 810)
    assert not held[np.isnan(labels)].any()
    assert np.array_equal(held, holdout_mask(labels, share, seed=7))
    assert not np.array_equal(held, holdout_mask(labels, share, seed=8))


def test_every_row_has_the_same_chance_to_be_held_out() -> None:
    labels = np.array([0.0] * 12 + [1.0] * 8)
    times = sum(holdout_mask(labels, 0.25, seed).astype(int) for seed in range(4000))
    # 4,000 draws at a chance of 1/4: a standard deviation is 27.
    assert np.all(np.abs(np.asarray(times) - 1000) < 5 * 27.4)


def test_the_last_row_of_a_class_is_trained_on() -> None:
    assert holdout_mask(np.array([0.0, 1.0, 1.0]), 0.99, seed=0).tolist().count(True) == 1
    table = {"x": [*range(20)] * 2, "y": [1, *[0] * 39]}
    model = train(table, target="y", holdout=0.5)
    assert model.training.positives == 1
    assert model.evaluation is not None
    assert model.evaluation.roc_auc is None


def test_the_model_evaluated_is_the_one_returned() -> None:
    model = train_loans(seed=5)
    held = holdout_mask(Y, 0.2, 5)
    assert model.training.rows == (~held).sum() == 320
    assert model.training.positives == Y[~held].sum()
    assert model.training.holdout_rows == held.sum() == 80
    logits = model.predict_logits(LOANS.filter(held))
    assert model.evaluation is not None
    bare = replace(model.evaluation, best_column=None, groups=())
    assert bare == evaluate(Y[held], logits)
    # Rows of the same table have not moved: the training says nothing of drift.
    assert model.evaluation == replace(model.evaluate(LOANS.filter(held)), drift=None)


def test_what_is_held_out_is_never_looked_at() -> None:
    held = holdout_mask(Y, 0.2, 0)
    other = draw_loans(seed=1).with_columns(approve=LOANS["approve"])
    other = other.with_columns(
        age=other["age"] * 1000, city=pl.lit("Bonn"), income=other["income"] * 1e6
    )
    picked = pl.Series(held)
    table = LOANS.select(
        pl.when(picked).then(other[name]).otherwise(pl.col(name)).alias(name)
        for name in LOANS.columns
        if name != "id"
    )
    model, changed = train_loans(LOANS.drop("id")), train_loans(table)
    assert changed.schema == model.schema
    assert np.array_equal(changed.W, model.W)
    assert np.array_equal(changed.b, model.b)
    assert changed.evaluation != model.evaluation


def test_other_draws_for_other_seeds() -> None:
    assert same_model(train_loans(seed=1), train_loans(seed=1))
    assert train_loans(seed=1).evaluation != train_loans(seed=2).evaluation


def test_nothing_held_out() -> None:
    model = train_loans(holdout=0)
    assert model.evaluation is None
    assert (model.training.rows, model.training.holdout_rows) == (400, 0)
    assert model.training.test is None


def test_too_few_rows_to_hold_some_out() -> None:
    table = {"x": [1, 2, 3, 4], "y": [0, 1, 0, 1]}
    with pytest.warns(DataWarning, match="4 rows are too few to hold 20% of each class out"):
        model = train(table, target="y")
    assert model.evaluation is None


def test_judged_on_another_table(tmp_path: Path) -> None:
    other = draw_loans(200, seed=1)
    model = train_loans(test=other, holdout=0.7)
    assert model.training.rows == 400
    assert model.training.test == "DataFrame"
    assert model.evaluation == train_loans(holdout=0).evaluate(other)
    path = write_loans(other, tmp_path / "later.csv")
    on_file = train_loans(test=path)
    assert same_model(on_file, model)
    assert on_file.training.test == "later.csv"


def test_a_header_for_both_files(tmp_path: Path) -> None:
    path, other = tmp_path / "a.csv", tmp_path / "b.csv"
    LOANS.write_csv(path, include_header=False)
    draw_loans(100, seed=1).write_csv(other, include_header=False)
    model = train_loans(path, names=LOANS.columns, test=other)
    assert same_model(model, train_loans(test=draw_loans(100, seed=1)))


# Rows that count more, less, or not at all


def test_a_weight_is_the_row_so_many_times() -> None:
    plain = LOANS.select("age", "city", "employed", "approve")
    times = np.random.default_rng(0).integers(1, 4, LOANS.height)
    weighted = train(plain.with_columns(w=times), target="approve", weight="w", holdout=0, tol=1e-9)
    repeated = train(plain[np.repeat(np.arange(400), times)], target="approve", holdout=0, tol=1e-9)
    logits = weighted.predict_logits(plain)
    assert repeated.predict_logits(plain) == pytest.approx(logits, abs=1e-8)
    judged = weighted.evaluate(plain.with_columns(w=times))
    again = repeated.evaluate(plain[np.repeat(np.arange(400), times)])
    assert judged.roc_auc == pytest.approx(again.roc_auc, abs=1e-9)
    assert judged.log_loss == pytest.approx(again.log_loss, abs=1e-9)


def test_a_weight_of_zero_is_no_row() -> None:
    keep = np.random.default_rng(0).random(LOANS.height) < 0.8
    weighted = train_loans(LOANS.with_columns(w=keep.astype(float)), weight="w", drop=["id"])
    gone = train_loans(LOANS.filter(keep), drop=["id"])
    assert same_model(weighted, gone)
    assert weighted.training.rows == gone.training.rows
    assert weighted.training.holdout_rows == gone.training.holdout_rows


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        ([-1.0] + [1.0] * 399, "row 0, column 'w': -1.0 is no weight"),
        ([None] + [1.0] * 399, "column 'w': a missing value is no weight"),
        ([math.nan] + [1.0] * 399, "is no weight"),
        ([0.0] * 400, "column 'w': all weights are 0"),
    ],
)
def test_weights_that_are_none(weights: list[float], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        train_loans(LOANS.with_columns(w=pl.Series(weights)), weight="w")


def test_rows_without_a_target_are_left_out() -> None:
    missing = np.arange(400) % 7 == 0
    holes = LOANS.with_columns(approve=LOANS["approve"].set(pl.Series(missing), None))
    with pytest.warns(DataWarning, match="DataFrame: 58 rows without a value in 'approve'"):
        model = train_loans(holes, drop=["id"])
    assert model.training.without_target == missing.sum() == 58
    assert same_model(model, train_loans(LOANS.filter(~missing), drop=["id"]))


def test_malformed_lines_are_named(tmp_path: Path) -> None:
    path = write_loans(draw_loans(2000), tmp_path / "loans.csv")
    lines = path.read_text().splitlines()
    lines[7] += ",one,more"
    path.write_text("\n".join(lines))
    with pytest.warns(DataWarning, match="line 8"):
        model = train_loans(path)
    assert model.training.left_out_lines == (8,)
    assert model.training.rows + model.training.holdout_rows == 1999


# Columns that count, and that never may


def test_protected_columns_never_count() -> None:
    swapped = LOANS.with_columns(
        sex=pl.when(pl.col("approve") == "yes").then(pl.lit("f")).otherwise(pl.lit("m"))
    )
    model = train_loans(LOANS)
    assert model.protected == ("sex",)
    other = train_loans(swapped)
    assert same_model(without_groups(model), without_groups(other))
    assert not same_model(model, other)
    assert same_model(without_groups(model), train_loans(LOANS.drop("sex"), protected=[]))
    assert "sex" not in model.schema.feature_columns
    assert np.array_equal(model.predict_logits(swapped), model.predict_logits(LOANS.drop("sex")))


def test_what_each_column_is_taken_for() -> None:
    roles = {column.name: column.role for column in train_loans().schema.columns}
    assert roles == {
        "id": "identifier",
        "age": "numeric",
        "income": "numeric",
        "city": "categorical",
        "employed": "boolean",
        "since": "date",
        "note": "text",
        "branch": "constant",
        "sex": "protected",
        "verdict": "leak",
        "approve": "target",
    }


def test_columns_as_the_user_says() -> None:
    model = train_loans(
        drop=["note"], keep=["verdict", "id"], roles={"age": "categorical", "since": "drop"}
    )
    roles = {column.name: column.role for column in model.schema.columns}
    assert [roles[name] for name in ("note", "since", "age")] == [
        "dropped",
        "dropped",
        "categorical",
    ]
    assert {"verdict", "id"} <= set(model.schema.feature_columns)
    assert not {"note", "since"} & set(model.schema.feature_columns)


def test_words_for_missing() -> None:
    coded = LOANS.with_columns(income=LOANS["income"].fill_null(-999.0))
    model = train_loans(coded, na=["-999"])
    assert same_model(model, train_loans(LOANS))
    assert model.schema.na == ("-999",)
    assert np.array_equal(model.predict_logits(coded), model.predict_logits(LOANS))


# What is known of it


def test_a_file_gives_what_a_frame_gives(tmp_path: Path) -> None:
    path = write_loans(LOANS, tmp_path / "loans.csv")
    model, typed = train_loans(path), train_loans(LOANS)
    assert same_model(model, typed)
    assert np.array_equal(model.predict_logits(LOANS), typed.predict_logits(path))
    assert model.training.table == "loans.csv"
    assert model.training.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (typed.training.table, typed.training.sha256) == ("DataFrame", None)


def test_the_facts_of_the_training() -> None:
    facts = train_loans(seed=4, C=2, tol=1e-3).training
    assert (facts.target, facts.seed, facts.C, facts.tol) == ("approve", 4, 2.0, 1e-3)
    assert (facts.status, facts.solver) == ("optimal", "newton")
    assert facts.objective >= facts.cost * facts.rows
    assert facts.history[-1].cost == pytest.approx(facts.cost, rel=1e-3)
    assert facts.passes >= facts.iterations > 0
    assert facts.seconds > 0
    assert facts.problem() is None


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"holdout": 1}, "holdout is 1, expected a share from 0 up to, not including, 1"),
        ({"holdout": -0.1}, "holdout is -0.1"),
        ({"holdout": math.nan}, "holdout is nan"),
        ({"C": 0}, "C is 0, expected a number above 0"),
        ({"C": math.nan}, "C is nan"),
        ({"tol": -1}, "tol is -1"),
        ({"seed": -1}, "seed is -1, expected a whole number from 0 to 4294967295"),
        ({"seed": 0.5}, "seed is 0.5"),
        ({"seed": None}, "seed is None"),
        ({"solver": "adam"}, "solver='adam' is unknown: use one of auto"),
        ({"target": "aprove"}, "no column 'aprove'.*'approve'"),
        ({"weight": "w"}, "no column 'w'"),
        ({"drop": ["ages"]}, "no column 'ages'"),
        ({"positive": "maybe"}, "no value 'maybe'"),
        ({"roles": {"age": "number"}}, "no role 'number'"),
        ({"drop": ["sex"]}, "'sex' is given both as drop and as protected"),
        ({"test": "nowhere.csv"}, "nowhere.csv: no such file"),
        ({"test": LOANS.drop("age")}, "no column 'age'"),
        ({"test": LOANS.drop("approve")}, "no column 'approve'"),
    ],
)
def test_mistakes_are_named(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        train_loans(**options)
    assert "\n" not in str(caught.value)


def test_one_class_only() -> None:
    with pytest.raises(InputError, match="one class only"):
        train_loans(LOANS.filter(pl.col("approve") == "yes"))
    weights = (LOANS["approve"] == "yes").cast(pl.Float64)
    with pytest.raises(InputError, match="the training rows hold only class 1"):
        train_loans(LOANS.with_columns(w=weights), weight="w")


def test_a_nan_that_signals_is_a_missing_value_like_any_other() -> None:
    """Damaged files hold such; whoever adds them up is warned by the processor."""
    values = np.array([1.0, 2.0, 3.0, 4.0] * 50)
    values.view(np.uint64)[7] = 0x7FF0_0000_0000_0001
    table = pl.DataFrame({"x": values, "y": np.random.default_rng(0).integers(0, 2, 200)})
    quiet = table.with_columns(pl.Series("x", np.where(np.arange(200) == 7, np.nan, values)))
    models = [train(each, target="y") for each in (table, quiet)]
    np.testing.assert_array_equal(models[0].W, models[1].W)
    assert models[0].schema == models[1].schema
    np.testing.assert_array_equal(models[0].predict_proba(table), models[0].predict_proba(quiet))
