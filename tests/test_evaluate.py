"""Metrics against scikit-learn to 1e-12, ties and weights included."""

import json
import math
import time
import warnings
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics

from onelayer.errors import InputError, ModelFileError
from onelayer.judging.evaluate import Confusion, Evaluation, Judge, evaluate
from onelayer.model_file import encode_model_file
from onelayer.network import sigmoid
from onelayer.stored import from_stored
from onelayer.strict_json import parse_json

Rows = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
quick = settings(deadline=None, max_examples=60)
with_intervals = settings(deadline=None, max_examples=20)  # which take most of the time


@st.composite
def rows(draw: st.DrawFn) -> Rows:
    """Labels, logits with heavy ties, and weights with zeros among them."""
    n = draw(st.integers(1, 40))
    levels = draw(st.sampled_from([1, 2, 5, 1000]))
    weighting = draw(st.sampled_from(["none", "counts", "any"]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    logits = random.integers(0, levels, n) / max(1, levels - 1) * 20 - 10
    weights = {"none": np.ones(n), "counts": random.integers(0, 4, n), "any": random.random(n)}
    return (random.random(n) < random.random()).astype(float), logits, weights[weighting] * 1.0


def measure(*columns: Any, threshold: float = 0.5) -> Evaluation:
    """`evaluate` without the intervals, which take more time than all the rest."""
    with Judge(threshold, run_rows=None, whole=False) as judging:
        judging.add(*columns)
        return judging.conclude()


def close(number: Any) -> Any:
    return pytest.approx(number, rel=1e-12, abs=1e-12)


# Against scikit-learn


@quick
@given(rows(), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_every_metric_is_that_of_scikit_learn(rows: Rows, threshold: float) -> None:
    labels, logits, weights = rows
    if not weights.any():
        with pytest.raises(InputError, match="weights sum to 0"):
            evaluate(labels, logits, weights, threshold)
        return
    found = measure(labels, logits, weights, threshold=threshold)
    probabilities = 1 / (1 + np.exp(-logits))
    calls = np.asarray(sigmoid(logits)) > threshold
    assert found.log_loss == close(
        metrics.log_loss(labels, probabilities, sample_weight=weights, labels=[0, 1])
    )
    assert found.brier == close(
        metrics.brier_score_loss(labels, probabilities, sample_weight=weights)
    )
    assert found.accuracy == close(metrics.accuracy_score(labels, calls, sample_weight=weights))
    same_decisions(found, labels, calls, weights)
    cells = metrics.confusion_matrix(labels, calls, sample_weight=weights, labels=[0, 1]).ravel()
    confusion = found.confusion
    assert [confusion.tn, confusion.fp, confusion.fn, confusion.tp] == [close(c) for c in cells]
    base_rate = np.average(labels, weights=weights)
    assert found.base_rate == close(base_rate)
    assert found.baseline_accuracy == close(max(base_rate, 1 - base_rate))
    constant = np.full(len(labels), base_rate)
    assert found.baseline_log_loss == pytest.approx(
        metrics.log_loss(labels, constant, sample_weight=weights, labels=[0, 1]), abs=1e-12
    )


def same_decisions(found: Evaluation, labels: Any, calls: Any, weights: Any) -> None:
    """Where scikit-learn puts 0 for what is not defined, None is found."""
    for name, measure in (
        ("precision", metrics.precision_score),
        ("recall", metrics.recall_score),
        ("f1", metrics.f1_score),
    ):
        undefined = measure(labels, calls, sample_weight=weights, zero_division=np.nan)
        assert found.value_of(name) == (None if np.isnan(undefined) else close(undefined)), name
    there = weights > 0
    if len(set(labels[there])) == 2:
        expected = metrics.balanced_accuracy_score(labels, calls, sample_weight=weights)
        assert found.confusion.balanced_accuracy == close(expected)
    if len(set(labels[there])) == len(set(calls[there])) == 2:
        expected = metrics.matthews_corrcoef(labels, calls, sample_weight=weights)
        assert found.confusion.mcc == close(expected)
    else:
        assert found.confusion.mcc is None


@quick
@given(rows())
def test_the_areas_are_those_of_scikit_learn(rows: Rows) -> None:
    labels, logits, weights = rows
    weights[0] += 1
    found = measure(labels, logits, weights)
    if len(set(labels[weights > 0])) == 1:
        assert found.roc_auc is None
        assert found.average_precision is None
        return
    assert found.roc_auc == close(metrics.roc_auc_score(labels, logits, sample_weight=weights))
    assert found.gini == close(2 * metrics.roc_auc_score(labels, logits, sample_weight=weights) - 1)
    assert found.average_precision == close(
        metrics.average_precision_score(labels, logits, sample_weight=weights)
    )
    false, true, _ = metrics.roc_curve(labels, logits, sample_weight=weights)
    assert found.ks == close(np.abs(true - false).max())


def test_many_rows() -> None:
    random = np.random.default_rng(0)
    n = 50_000
    logits = random.normal(size=n).round(2)
    labels = (random.random(n) < 0.1).astype(int)
    weights = random.exponential(size=n) * 1e6
    found = measure(labels, logits, weights)
    assert found.roc_auc == close(metrics.roc_auc_score(labels, logits, sample_weight=weights))
    assert found.average_precision == close(
        metrics.average_precision_score(labels, logits, sample_weight=weights)
    )
    assert found.log_loss == close(
        metrics.log_loss(labels, 1 / (1 + np.exp(-logits)), sample_weight=weights)
    )


# Laws


def same_but_for_counts(one: Evaluation, other: Evaluation) -> None:
    first, second = one.to_dict(), other.to_dict()
    for found in (first, second):
        del found["n"], found["positives"]
        found["calibration"] = [[b["mean_predicted"], b["observed"]] for b in found["calibration"]]
    compare(first, second)


def compare(one: Any, other: Any, place: str = "") -> None:
    if isinstance(one, dict):
        for key in one:
            compare(one[key], other[key], f"{place}.{key}")
    elif isinstance(one, list):
        assert len(one) == len(other), place
        for k, pair in enumerate(zip(one, other)):
            compare(*pair, f"{place}[{k}]")
    else:
        assert one == (close(other) if isinstance(one, float) else other), place


@with_intervals
@given(rows())
def test_weight_k_is_the_row_k_times_and_weight_0_is_no_row(rows: Rows) -> None:
    labels, logits, _ = rows
    times = np.arange(len(labels)) % 4
    times[0] = 2
    repeated = evaluate(np.repeat(labels, times), np.repeat(logits, times))
    weighted = evaluate(labels, logits, times)
    same_but_for_counts(weighted, repeated)
    assert weighted.n == np.count_nonzero(times)
    assert weighted.positives == np.count_nonzero(labels[times > 0])
    without = evaluate(labels[times > 0], logits[times > 0], times[times > 0])
    same_but_for_counts(weighted, without)
    assert (weighted.n, weighted.positives) == (without.n, without.positives)


@with_intervals
@given(rows())
def test_the_order_of_the_rows_does_not_matter(rows: Rows) -> None:
    labels, logits, weights = rows
    weights[0] += 1
    shuffled = np.random.default_rng(1).permutation(len(labels))
    one = evaluate(labels, logits, weights)
    same_but_for_counts(one, evaluate(labels[shuffled], logits[shuffled], weights[shuffled]))


@quick
@given(rows())
def test_calibration_bins_hold_all_rows_and_split_no_tie(rows: Rows) -> None:
    labels, logits, weights = rows
    weights[0] += 1
    found = measure(labels, logits, weights)
    bins = found.calibration
    assert sum(each.n for each in bins) == found.n
    assert 1 <= len(bins) <= min(10, len(np.unique(logits[weights > 0])))
    means = [each.mean_predicted for each in bins]
    assert means == sorted(set(means))
    assert all(0 <= each.observed <= 1 and 0 <= each.mean_predicted <= 1 for each in bins)


def test_calibration_bins_are_of_equal_size() -> None:
    logits = np.linspace(-3, 3, 1000)
    labels = np.arange(1000) % 2
    bins = evaluate(labels, logits).calibration
    assert [each.n for each in bins] == [100] * 10
    assert [each.observed for each in bins] == [0.5] * 10
    expected = np.asarray(sigmoid(logits)).reshape(10, 100).mean(axis=1)
    assert [each.mean_predicted for each in bins] == [close(mean) for mean in expected]


def test_a_large_tie_keeps_one_bin() -> None:
    logits = np.repeat([-1.0, 0.0, 1.0], [5, 90, 5])
    bins = evaluate(np.arange(100) % 2, logits).calibration
    assert [each.n for each in bins] == [5, 90, 5]


def test_probabilities_that_are_tied_share_a_bin_though_their_logits_differ() -> None:
    logits = np.linspace(40, 700, 100)  # all of them round to the probability 1
    bins = evaluate(np.ones(100), logits).calibration
    assert [(each.n, each.mean_predicted, each.observed) for each in bins] == [(100, 1.0, 1.0)]


# Known numbers


def test_the_worked_example_of_scikit_learn() -> None:
    """From the documentation of `roc_auc_score` and `average_precision_score`."""
    p = np.array([0.1, 0.4, 0.35, 0.8])
    found = evaluate([0, 0, 1, 1], np.log(p / (1 - p)))
    assert found.roc_auc == 0.75
    assert found.average_precision == pytest.approx(0.83, abs=0.005)


def test_far_logits_cost_what_they_must() -> None:
    logits = [800.0, -800.0, 800.0, -30.0]
    labels = [0, 1, 1, 0]
    found = evaluate(labels, logits)
    with mpmath.workdps(50):
        losses = [mpmath.log1p(mpmath.exp(-z if y else z)) for y, z in zip(labels, logits)]
        assert found.log_loss == pytest.approx(float(sum(losses) / 4), rel=1e-15)
    assert found.brier == 0.5
    assert evaluate([1, 0], [40.0, -40.0]).brier == pytest.approx(math.exp(-80), rel=1e-12)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_leaves_the_areas_undefined(label: int) -> None:
    found = evaluate([label] * 3, [-1.0, 0.0, 1.0])
    assert found.roc_auc is None
    assert found.average_precision is None
    assert found.baseline_log_loss == 0
    assert found.baseline_accuracy == 1
    assert found.log_loss == close(
        (math.log1p(math.exp(-1)) + math.log1p(math.e) + math.log(2)) / 3
    )


def test_positive_is_above_the_threshold() -> None:
    found = evaluate([0, 1, 0, 1], [0.0, 0.0, 1e-15, 1.0])
    assert found.confusion == Confusion(tn=1, fp=1, fn=1, tp=1)
    third = float(sigmoid(1.25))
    assert evaluate([1], [1.25], threshold=third).confusion.tp == 0
    assert evaluate([1], [1.25], threshold=math.nextafter(third, 0)).confusion.tp == 1


def test_weights_over_the_whole_range() -> None:
    found = evaluate([0, 1, 1], [0.0, 1.0, 2.0], [5e-324, 1e-300, 1e300])
    assert found.roc_auc == 1
    assert found.log_loss == close(math.log1p(math.exp(-2)))
    assert sum(each.n for each in found.calibration) == 3


@pytest.mark.parametrize("dtype", [bool, np.int8, np.float32, object])
def test_any_type_of_number(dtype: type) -> None:
    labels = np.array([0, 1, 1], dtype=dtype)
    assert evaluate(labels, np.array([0, 1, 2])) == evaluate([0, 1, 1], [0.0, 1.0, 2.0])


def test_the_arrays_handed_in_stay_as_they_are() -> None:
    arrays = [np.array(values, dtype=float) for values in ([1, 0, 1], [0.3, 2.0, -1.0], [1, 0, 2])]
    for array in arrays:
        array.flags.writeable = False
    evaluate(*arrays)


def test_a_million_rows_in_seconds() -> None:
    random = np.random.default_rng(0)
    logits, labels = random.normal(size=10**6), random.random(10**6) < 0.2

    def measure_once() -> float:
        began = time.process_time()  # of all threads: other work on the machine does not count
        evaluate(labels, logits)
        return time.process_time() - began

    assert any(measure_once() < 3 for _ in range(3))  # 0.6; a sort too many would show


def test_no_warning_is_left_to_the_user() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate([0, 0], [-1e308, 1e308], [0, 1e-320])


# Mistakes


@pytest.mark.parametrize(
    ("labels", "logits", "weights", "reason"),
    [
        ([0, 1], [0.0], None, "2 labels and 1 logits: a row needs one of each"),
        ([0, 1], [0.0, 1.0], [1.0], "2 labels and 1 weights: a row needs one of each"),
        ([], [], None, "no rows: nothing to evaluate"),
        ([0, 2], [0.0, 1.0], None, "labels[1] is 2.0: expected 0 or 1"),
        ([0, np.nan], [0.0, 1.0], None, "labels[1] is nan: expected 0 or 1"),
        ([0, 1], [0.0, np.nan], None, "logits[1] is nan: expected a finite number"),
        ([0, 1], [-np.inf, 0.0], None, "logits[0] is -inf: expected a finite number"),
        ([0, 1], [0, 1], [1, -1], "weights[1] is -1.0: expected a finite number, 0 or more"),
        ([0, 1], [0, 1], [np.nan, 1], "weights[0] is nan: expected a finite number, 0 or more"),
        ([0, 1], [0, 1], [np.inf, 1], "weights[0] is inf: expected a finite number, 0 or more"),
        ([0, 1], [0, 1], [0, 0], "the weights sum to 0.0: expected a finite sum above 0"),
        (["no", "yes"], [0, 1], None, "labels: expected numbers, found <U3"),
        ([[0, 1]], [0, 1], None, "labels: expected one number a row, (n,), found the shape (1, 2)"),
    ],
)
def test_mistakes_are_named(labels: Any, logits: Any, weights: Any, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        evaluate(labels, logits, weights)
    assert str(caught.value) == reason


@pytest.mark.filterwarnings("ignore:overflow")
def test_weights_whose_sum_is_too_large() -> None:
    with pytest.raises(InputError, match="weights sum to inf"):
        evaluate([0, 1], [0, 1], [1e308, 1e308])


@pytest.mark.parametrize("threshold", [-0.1, 1.1, math.nan])
def test_a_threshold_that_is_no_probability(threshold: float) -> None:
    with pytest.raises(InputError, match="expected a probability between 0 and 1"):
        evaluate([0, 1], [0, 1], threshold=threshold)


# In the model file


@quick
@given(rows())
def test_it_survives_the_model_file(rows: Rows) -> None:
    labels, logits, weights = rows
    weights[0] += 1
    found = measure(labels, logits, weights)
    content = parse_json(encode_model_file({"evaluation": found.to_dict()}))
    assert from_stored(Evaluation, content["evaluation"], "evaluation") == found


def change(found: Evaluation, place: str, value: object) -> dict[str, Any]:
    section = found.to_dict()
    *steps, last = place.split(".")
    owner: Any = section
    for step in steps:
        owner = owner[int(step)] if step.isdigit() else owner[step]
    owner[last] = value
    return section


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        ("brier", "low", "evaluation.brier: 'low' stands where a number was expected"),
        ("roc_auc", True, "evaluation.roc_auc: True stands where a number was expected"),
        ("roc_auc", None, "evaluation: roc_auc and average_precision are defined together"),
        ("roc_auc", 1.5, "evaluation: roc_auc is 1.5, expected 0 to 1"),
        ("threshold", -0.1, "evaluation: threshold is -0.1, expected 0 to 1"),
        ("log_loss", -1, "evaluation: log_loss is -1.0, expected 0 or more"),
        ("n", 0, "evaluation: 1 positives among 0 rows cannot be"),
        ("positives", -1, "evaluation: -1 positives among 2 rows cannot be"),
        ("confusion.tp", -1, "evaluation.confusion: tp is -1.0, expected 0 or more"),
        ("calibration", [], "evaluation: the bins of calibration must hold the 2 rows"),
        ("calibration.0.n", 0, "evaluation.calibration[0]: n is 0, expected 1 or more"),
        (
            "calibration.1.observed",
            2,
            "evaluation.calibration[1]: observed is 2.0, expected 0 to 1",
        ),
        ("later", 1, "evaluation: unknown field 'later'"),
    ],
)
def test_a_section_that_is_no_evaluation(place: str, value: object, reason: str) -> None:
    section = change(evaluate([0, 1], [0, 1]), place, value)
    with pytest.raises(ModelFileError) as caught:
        from_stored(Evaluation, section, "evaluation")
    assert str(caught.value) == reason


def test_a_section_is_plain_json() -> None:
    section = evaluate([0, 1, 1], np.array([0.5, -0.5, 2.0]), [1, 2, 0]).to_dict()
    assert json.loads(json.dumps(section)) == section


def test_rounding_passes_no_bound() -> None:
    random = np.random.default_rng(0)
    for _ in range(500):
        n = random.integers(1, 60)
        labels = np.round(random.random(n))
        logits = np.where(labels == 1, -1, 1) * random.choice([-1, 1]) * 10 ** random.uniform(0, 3)
        found = measure(labels, logits, random.random(n) * 10 ** random.uniform(-300, 300))
        for part in (found, found.confusion, *found.calibration):
            assert part.problem() is None
