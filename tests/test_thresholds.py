"""Where to cut: against brute force over every threshold, and on tables."""

import io
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loans import draw_loans

from onelayer.errors import InputError
from onelayer.model import Model
from onelayer.network import sigmoid
from onelayer.thresholds.choice import Fixed, FromColumn, ThresholdRule
from onelayer.thresholds.crossfit import score_left_out
from onelayer.thresholds.search import choose_threshold, find_simple
from onelayer.training import train

LOANS = draw_loans(600)
OPTIONS: dict[str, Any] = {"target": "approve", "drop": ["verdict", "note"]}
quick = settings(deadline=None, max_examples=100)


@st.composite
def rows(draw: st.DrawFn) -> Any:
    """Labels of both classes, logits with ties, weights, and costs of any sign."""
    n = draw(st.integers(2, 30))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    labels = (random.random(n) < 0.5).astype(float)
    labels[:2] = 0, 1
    logits = random.integers(0, draw(st.sampled_from([2, 6, 1000])), n) / 100 - 1
    return labels, logits, random.integers(1, 4, n) * 1.0, random.normal(size=(2, n))


def brute(rows: Any, threshold: float) -> tuple[float, float, float, float, float]:
    """Share called, precision, recall, false alarms and mean cost, row by row."""
    labels, logits, weights, (yes, no) = rows
    called = np.asarray(sigmoid(logits)) > threshold
    tp = weights @ (called * labels)
    fp = weights @ (called * (1 - labels))
    return (
        (tp + fp) / weights.sum(),
        tp / (tp + fp) if tp + fp else 0.0,
        tp / (weights @ labels),
        fp / (weights @ (1 - labels)),
        weights @ np.where(called, yes, no) / weights.sum(),
    )


def every_threshold(rows: Any) -> list[float]:
    return [0.0, *np.asarray(sigmoid(rows[1])).tolist(), 1.0]


@quick
@given(rows())
def test_the_least_cost_is_the_least_over_every_threshold(rows: Any) -> None:
    rule = ThresholdRule(cost_fp="a", cost_fn="b")
    found = choose_threshold(rule, *rows[:3], tuple(rows[3]))
    least = min(brute(rows, each)[4] for each in every_threshold(rows))
    assert found.chosen.cost == pytest.approx(least, abs=1e-12)
    assert brute(rows, found.chosen.threshold)[4] == pytest.approx(least, abs=1e-12)
    for each in found.curve:
        called, precision, recall, false_alarms, cost = brute(rows, each.threshold)
        expected = (called, recall, false_alarms, cost)
        assert (each.called, each.recall, each.false_alarms, each.cost) == pytest.approx(expected)
        assert (each.precision or 0.0) == pytest.approx(precision)


@quick
@given(rows(), st.sampled_from([0.1, 0.3, 0.5, 0.9]))
def test_shares_are_fulfilled_as_well_as_can_be(rows: Any, value: float) -> None:
    states = [brute(rows, each) for each in every_threshold(rows)]
    accepted = choose_threshold(ThresholdRule(accept=value), *rows[:3]).chosen
    nearest = min(abs(called - value) for called, *_ in states)
    assert abs(accepted.called - value) == pytest.approx(nearest, abs=1e-12)
    for rule, reached in (
        (ThresholdRule(min_precision=value), [s for s in states if s[0] and s[1] >= value]),
        (ThresholdRule(max_fpr=value), [s for s in states if s[0] and s[3] <= value]),
    ):
        if not reached:
            with pytest.raises(InputError, match="is out of reach on rows"):
                choose_threshold(rule, *rows[:3])
            continue
        found = choose_threshold(rule, *rows[:3]).chosen
        assert found.called == pytest.approx(max(called for called, *_ in reached))


def test_what_is_out_of_reach_says_what_is_not() -> None:
    labels, logits = np.array([1.0, 0, 1, 0]), np.array([-2.0, 2, 1, -1])
    with pytest.raises(InputError) as caught:
        choose_threshold(ThresholdRule(min_precision=0.9), labels, logits, np.ones(4))
    assert "a precision of 0.9 is out of reach" in str(caught.value)
    assert "the best is 0.5, at a threshold of 0" in str(caught.value)
    with pytest.raises(InputError, match=r"the least with any row called positive is 0\.5"):
        choose_threshold(ThresholdRule(max_fpr=0.1), labels, logits, np.ones(4))


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_simple_number_lies_between(one: float, other: float) -> None:
    low, high = min(one, other), max(one, other)
    if low < high:
        assert low <= find_simple(low, high) < high


# The rule


@pytest.mark.parametrize(
    ("wishes", "reason"),
    [
        ({}, "chosen by nothing: give one of"),
        ({"accept": 0.3, "max_fpr": 0.1}, "chosen by accept and max_fpr: give one of"),
        ({"accept": 1.5}, "accept is 1.5, expected a share above 0 and below 1"),
        ({"min_precision": 0}, "min_precision is 0, expected a share above 0 and up to 1"),
        ({"max_fpr": 1}, "max_fpr is 1, expected a share from 0 to below 1"),
        ({"cost_fp": 1}, "cost_fn is missing"),
        ({"cost_fp": 1, "cost_fn": -1}, "a wrong decision must cost more than the right one"),
        ({"cost_fp": float("nan"), "cost_fn": 1}, "cost_fp is nan, expected a finite number"),
    ],
)
def test_a_rule_is_one_wish(wishes: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        ThresholdRule(**wishes)


@pytest.mark.parametrize("threshold", [-0.1, 1.5, "half", True])
def test_a_threshold_is_a_probability_or_a_rule(threshold: Any) -> None:
    with pytest.raises(InputError, match="expected a probability from 0 to 1"):
        train(LOANS, threshold=threshold, **OPTIONS)


# In a training


def test_a_threshold_given_is_kept() -> None:
    model = train(LOANS, threshold=0.3, **OPTIONS)
    assert (model.threshold, model.threshold_choice) == (0.3, None)
    assert model.evaluation is not None
    assert model.evaluation.threshold == 0.3


def test_rows_are_scored_by_fits_that_had_not_seen_them() -> None:
    from onelayer.blocks import Block
    from onelayer.features.dense import DenseFeatures

    random = np.random.default_rng(0)
    X, labels = random.normal(size=(40, 2)), np.arange(40) % 2
    seen = []

    def fit(part: Block) -> tuple[Any, Any]:
        values = part.features.values  # type: ignore[attr-defined]
        seen.append({row.tobytes() for row in values})
        assert sorted(set(part.labels[0])) == [0, 1]
        return np.array([[len(seen), 0.0]]), np.zeros((1, 1))

    block = Block(DenseFeatures(X), labels[None] * 1.0, np.ones(40))
    logits, folds = score_left_out(block, fit)
    assert folds == len(seen) == 5
    for row, logit in zip(X, logits):
        fold = round(logit / row[0]) - 1
        assert row.tobytes() not in seen[fold]


def test_a_wish_is_chosen_out_of_fold_and_judged_on_the_holdout() -> None:
    model = train(LOANS, threshold=ThresholdRule(accept=0.3), **OPTIONS)
    choice = model.threshold_choice
    assert choice is not None
    assert (choice.wish, choice.value, choice.folds, choice.rows) == ("accept", 0.3, 5, 480)
    assert choice.chosen.called == pytest.approx(0.3, abs=0.01)
    assert model.threshold == choice.chosen.threshold
    assert model.evaluation is not None
    assert model.evaluation.threshold == model.threshold
    assert len(choice.curve) >= 100
    again = Model.load(io.BytesIO(model.to_bytes()))
    assert again.threshold_choice == choice
    plain = train(LOANS, **OPTIONS)
    assert np.array_equal(plain.W, model.W)


def test_costs_are_judged_on_the_holdout_and_on_other_tables() -> None:
    rule = ThresholdRule(cost_fp=1, cost_fn=10)
    model = train(LOANS, threshold=rule, **OPTIONS)
    assert model.threshold < 0.3
    found = model.evaluation
    assert found is not None
    assert found.costs is not None
    cells = found.confusion
    assert found.costs.at_threshold == pytest.approx((cells.fp + 10 * cells.fn) / found.n)
    assert found.costs.never == pytest.approx(10 * found.base_rate)
    assert found.costs.always == pytest.approx(1 - found.base_rate)
    assert model.threshold_choice is not None
    assert model.threshold_choice.costs is not None
    assert model.threshold_choice.costs.fn == Fixed(10)


def test_costs_of_each_row_come_from_columns_that_are_not_learnt_from() -> None:
    random = np.random.default_rng(0)
    table = LOANS.with_columns(fn=random.uniform(1, 9, 600), fp=pl.lit(2))
    model = train(table, threshold=ThresholdRule(cost_fp="fp", cost_fn="fn"), **OPTIONS)
    roles = {each.name: each.role for each in model.schema.columns}
    assert (roles["fp"], roles["fn"]) == ("dropped", "dropped")
    choice = model.threshold_choice
    assert choice is not None
    assert choice.costs is not None
    assert choice.costs.fn == FromColumn("fn")
    found = model.evaluate(table).costs
    assert found is not None
    called = model.predict_proba(table)[:, 1] > model.threshold
    labels = (table["approve"] == "yes").to_numpy()
    spent = np.where(called, np.where(labels, 0, 2), np.where(labels, table["fn"].to_numpy(), 0))
    assert found.at_threshold == pytest.approx(spent.mean())
    assert model.evaluate(table.drop("fn")).costs is None
    holes = table.with_columns(fn=pl.when(pl.int_range(600) == 7).then(None).otherwise("fn"))
    with pytest.raises(InputError, match="row 7, column 'fn': a missing value is no amount"):
        model.evaluate(holes)


def test_one_row_of_a_class_is_too_few_to_choose_on() -> None:
    table = {"x": [*range(20)] * 2, "y": [1, *[0] * 39]}
    with pytest.raises(InputError, match="two rows of each class at least"):
        train(table, target="y", holdout=0, threshold=ThresholdRule(accept=0.5))
