"""Weighed classes and resampled tables: probabilities put right, against the whole table's."""

import io
from typing import Any

import numpy as np
import polars as pl
import pytest
from loans import draw_loans
from scipy.optimize import brentq

from onelayer.balance import find_shift, settle_balance
from onelayer.errors import InputError
from onelayer.estimator import OneLayerClassifier
from onelayer.model import Model
from onelayer.network import sigmoid
from onelayer.thresholds.choice import ThresholdRule
from onelayer.training import train
from onelayer.updating import update

LOANS = draw_loans(800)
OPTIONS: dict[str, Any] = {"target": "approve", "drop": ["verdict", "note"]}
YES = (LOANS["approve"] == "yes").to_numpy()


@pytest.mark.parametrize("share", [1e-9, 0.01, 0.5, 0.999])
@pytest.mark.parametrize("scale", [0.01, 3.0, 700.0])
def test_the_shift_is_the_root(scale: float, share: float) -> None:
    random = np.random.default_rng(0)
    logits, weights = random.normal(size=500) * scale, random.exponential(size=500)
    shift = find_shift(logits, weights, share)
    mean = np.average(np.asarray(sigmoid(logits + shift)), weights=weights)
    assert mean == pytest.approx(share, rel=1e-12)

    def miss(b: float) -> float:
        return float(np.average(np.asarray(sigmoid(logits + b)), weights=weights)) - share

    assert shift == pytest.approx(brentq(miss, -3000, 3000, xtol=1e-12), abs=1e-6)


@pytest.mark.parametrize("weights", ["balanced", {"yes": 7.0}, {"no": 0.2, "yes": 3}])
def test_the_mean_probability_is_the_base_rate(weights: Any) -> None:
    model = train(LOANS, class_weight=weights, holdout=0, **OPTIONS)
    mean = model.predict_proba(LOANS)[:, 1].mean()
    assert mean == pytest.approx(YES.mean(), abs=1e-12)
    assert "the bias was solved again" in model.training.remarks[-1]


def test_the_weights_are_those_of_the_weighed_fit() -> None:
    model = train(LOANS, class_weight="balanced", holdout=0, tol=1e-8, **OPTIONS)
    from onelayer.encoding import read_rows, to_features

    features = to_features(model.schema.encode(read_rows(LOANS)))
    dense = features.linear(np.eye(features.n_columns)).T
    expected = OneLayerClassifier(class_weight="balanced", tol=1e-8).fit(dense, YES)
    assert model.W[0] == pytest.approx(expected.coef_[0], abs=1e-7)
    # scikit-learn's meaning stays in the estimator: there the bias is that of the weighed classes.
    assert model.b[0, 0] != pytest.approx(expected.intercept_[0], abs=1e-3)


def test_a_resampled_table_gives_the_probabilities_of_the_whole_one() -> None:
    """With all numbers linear, leaving out rows of one class moves the bias alone."""
    random = np.random.default_rng(0)
    x = random.normal(size=60_000)
    y = random.random(60_000) < np.asarray(sigmoid(1.5 * x - 4))
    table = pl.DataFrame({"x": x, "y": y.astype(int)})
    kept = y | (random.random(60_000) < 0.05)
    rate = float(y.mean())
    few = table.filter(kept)
    options: dict[str, Any] = {"target": "y", "roles": {"x": "numeric"}, "C": np.inf}
    plain = train(few, **options)
    right = train(few, base_rate=rate, **options)
    assert plain.predict_proba(table)[:, 1].mean() > 3 * rate
    assert right.predict_proba(table)[:, 1].mean() == pytest.approx(rate, rel=0.1)
    assert np.array_equal(right.W, plain.W)
    # What the rows held out are judged by is the rate of the rows to come.
    assert right.evaluation is not None
    assert right.evaluation.base_rate == pytest.approx(rate)
    assert right.evaluation.log_loss == pytest.approx(right.evaluate(table).log_loss, rel=0.1)


def test_it_is_kept_and_done_again_by_an_update() -> None:
    model = train(LOANS, class_weight={"yes": 7.0}, **OPTIONS)
    again = Model.load(io.BytesIO(model.to_bytes()))
    assert again.training.balance == model.training.balance
    assert again.summary == model.summary
    assert model.summary is not None
    assert model.summary.coefficients[-1].error is None
    later = update(again, LOANS)
    assert later.predict_proba(LOANS)[:, 1].mean() == pytest.approx(YES.mean(), abs=1e-12)
    assert "the bias was solved again" in later.training.remarks[-1]


def test_a_threshold_is_chosen_on_probabilities_put_right() -> None:
    rule = ThresholdRule(cost_fp=1, cost_fn=1)
    plain = train(LOANS, threshold=rule, **OPTIONS)
    weighed = train(LOANS, threshold=rule, class_weight="balanced", **OPTIONS)
    assert weighed.threshold == pytest.approx(plain.threshold, abs=0.1)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"class_weight": "equal"}, "class_weight is 'equal', expected 'balanced' or"),
        ({"class_weight": {"maybe": 2}}, "a weight for 'maybe', which the target does not hold"),
        ({"class_weight": {"yes": 0}}, "class_weight of 'yes' is 0, expected a number above 0"),
        ({"base_rate": 1.0}, r"base_rate is 1.0, expected a share above 0 and below 1"),
    ],
)
def test_mistakes_are_named(given: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        train(LOANS, **given, **OPTIONS)


def test_values_are_found_however_they_are_written() -> None:
    for value in (1, 1.0, True, "1"):
        found = settle_balance({value: 3.0}, None, np.ones(2), ("0", "1"))
        assert found is not None
        assert (found.negative, found.positive) == (1.0, 3.0)
