"""Curves, intervals and parts: against scikit-learn, SciPy, brute force and laws."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics

from onelayer.judging.evaluate import evaluate, evaluate_batches
from onelayer.measures import MEASURES, Confusion, wilson
from onelayer.network import sigmoid

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=60_000) * 1.5 - 1
LABELS = (RANDOM.random(60_000) < sigmoid(LOGITS)).astype(float)


def area(points: tuple[tuple[float, float], ...]) -> float:
    return sum((x1 - x0) * (y1 + y0) / 2 for (x0, y0), (x1, y1) in pairwise(points))


def draw(n: int, seed: int = 1) -> tuple[NDArray[Any], NDArray[Any]]:
    random = np.random.default_rng(seed)
    logits = random.normal(size=n) - 0.5
    return (random.random(n) < sigmoid(logits)).astype(float), logits


# Curves


def test_the_areas_of_thinned_curves_are_the_exact_ones() -> None:
    found = evaluate(LABELS, LOGITS)
    assert found.curve is not None
    assert found.roc_auc is not None
    assert len(found.curve.cuts) <= 160
    assert area(found.curve.roc) == pytest.approx(found.roc_auc, abs=2e-5)
    precision, recall, _ = metrics.precision_recall_curve(LABELS, LOGITS)
    exact = metrics.auc(recall, precision)
    assert area(found.curve.precision_recall) == pytest.approx(exact, abs=1e-3)
    # Of perfect order, every positive before any negative, gain would have 1 - base_rate / 2.
    gain = 1 - found.base_rate / 2 - (1 - found.base_rate) * (1 - found.roc_auc)
    assert area(found.curve.gain) == pytest.approx(gain, abs=2e-5)
    assert found.curve.lift[-1] == pytest.approx((1, 1))


def test_every_cut_is_what_its_threshold_does() -> None:
    labels, logits = draw(700)
    found = evaluate(labels, logits, threshold=0.37)
    assert found.curve is not None
    probabilities = np.asarray(sigmoid(logits))
    for cut in found.curve.cuts:
        called = probabilities > cut.threshold
        assert cut.recall == pytest.approx(called[labels == 1].mean(), abs=1e-12)
        assert cut.false_alarms == pytest.approx(called[labels == 0].mean(), abs=1e-12)
    own = [cut for cut in found.curve.cuts if cut.threshold == 0.37]
    assert [cut.recall for cut in own] == [pytest.approx(found.confusion.recall)]


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_no_curve(label: int) -> None:
    found = evaluate([label] * 5, [0.0, 1.0, 2.0, 3.0, 4.0])
    assert found.curve is found.ks is found.gini is None
    assert {each.measure for each in found.intervals} >= {"log_loss", "brier", "accuracy"}


# Parts of Brier


def test_the_parts_of_brier_add_up_and_are_those_of_the_bins() -> None:
    found = evaluate(LABELS, LOGITS)
    parts = found.brier_parts
    assert parts is not None
    total = parts.reliability - parts.resolution + parts.uncertainty + parts.within
    assert total == pytest.approx(found.brier, abs=1e-15)
    share = np.array([each.n for each in found.calibration]) / found.n
    said = np.array([each.mean_predicted for each in found.calibration])
    seen = np.array([each.observed for each in found.calibration])
    assert parts.reliability == pytest.approx(share @ (said - seen) ** 2, rel=1e-12)
    assert parts.resolution == pytest.approx(share @ (seen - found.base_rate) ** 2, rel=1e-12)
    assert parts.uncertainty == pytest.approx(LABELS.var(), rel=1e-9)


def test_probabilities_that_never_vary_within_a_bin_leave_nothing_over() -> None:
    logits = np.repeat([-1.0, 1.0], 50)
    labels = np.tile([0, 1, 1, 0, 0], 20)
    parts = evaluate(labels, logits).brier_parts
    assert parts is not None
    assert parts.within == pytest.approx(0, abs=1e-15)


# Intervals


@pytest.mark.parametrize(("hits", "rows"), [(0, 10), (3, 10), (10, 10), (250, 1000)])
def test_wilson_is_that_of_scipy(hits: int, rows: int) -> None:
    expected = stats.binomtest(hits, rows).proportion_ci(method="wilson")
    found = wilson(hits / rows, rows)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_intervals_are_those_of_a_bootstrap_of_rows() -> None:
    labels, logits = draw(1500)
    found = {each.measure: each for each in evaluate(labels, logits).intervals}
    assert set(found) == set(MEASURES)
    random, drawn = np.random.default_rng(5), []
    for _ in range(400):
        rows = random.integers(0, len(labels), len(labels))
        y, z = labels[rows], logits[rows]
        positives = y.sum()
        below = stats.rankdata(z)[y == 1].sum() - positives * (positives + 1) / 2
        drawn.append(
            (
                np.logaddexp(0, np.where(y == 1, -z, z)).mean(),
                below / (positives * (len(y) - positives)),
                metrics.average_precision_score(y, z),
                np.mean((z > 0) == y),
            )
        )
    names = ("log_loss", "roc_auc", "average_precision", "accuracy")
    for name, values in zip(names, np.array(drawn).T, strict=True):
        width = np.subtract(*np.percentile(values, (97.5, 2.5)))
        expected = np.percentile(values, (2.5, 97.5))
        interval = found[name]  # type: ignore[index]
        assert np.abs(expected - (interval.low, interval.high)).max() < 0.15 * width, name


def test_cells_of_many_rows_give_the_intervals_of_single_rows() -> None:
    """DeLong's standard error is the oracle for an area over 60,000 rows."""
    found = evaluate(LABELS, LOGITS)
    ranks = stats.rankdata(LOGITS)
    is_positive = LABELS == 1
    m, n = is_positive.sum(), (~is_positive).sum()
    above = (ranks[is_positive] - stats.rankdata(LOGITS[is_positive])) / n
    below = 1 - (ranks[~is_positive] - stats.rankdata(LOGITS[~is_positive])) / m
    error = math.sqrt(above.var(ddof=1) / m + below.var(ddof=1) / n)
    area = next(each for each in found.intervals if each.measure == "roc_auc")
    assert (area.high - area.low) / (2 * 1.96) == pytest.approx(error, rel=0.1)
    assert area.low < found.roc_auc < area.high  # type: ignore[operator]


def test_rows_of_any_weight_are_drawn_whole_in_a_survey() -> None:
    labels, logits = draw(900)
    plain = evaluate(labels, logits)
    survey = evaluate(labels, logits, np.full(900, 1740.0), weight_kind="sampling")
    counted = evaluate(labels, logits, np.full(900, 4.0))
    width = {}
    for name, found in {"plain": plain, "survey": survey, "counted": counted}.items():
        loss = next(each for each in found.intervals if each.measure == "log_loss")
        width[name] = loss.high - loss.low
    assert width["survey"] == pytest.approx(width["plain"], rel=1e-9)
    assert width["counted"] == pytest.approx(width["plain"] / 2, rel=0.1)
    bins = zip(plain.calibration, survey.calibration, strict=True)
    assert all(a.low == pytest.approx(b.low) for a, b in bins)


def test_intervals_do_not_depend_on_batches() -> None:
    batches = [(LABELS[k : k + 7000], LOGITS[k : k + 7000], None) for k in range(0, 60_000, 7000)]
    assert evaluate_batches(batches, run_rows=10_000) == evaluate(LABELS, LOGITS)


# Decisions


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (Confusion(tn=3, fp=0, fn=0, tp=0), (None, None, None, None)),
        (Confusion(tn=0, fp=0, fn=0, tp=3), (1, 1, 1, None)),
        (Confusion(tn=2, fp=0, fn=2, tp=0), (None, 0, 0, None)),
        (Confusion(tn=2, fp=2, fn=1, tp=1), (1 / 3, 0.5, 0.4, 0)),
    ],
)
def test_what_is_not_defined_is_none(cells: Confusion, expected: Any) -> None:
    assert (cells.precision, cells.recall, cells.f1, cells.mcc) == pytest.approx(expected)
