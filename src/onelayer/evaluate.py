"""How good probabilities are on rows whose answer is known: one sort, then sums."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, log
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onelayer.errors import InputError
from onelayer.exact_sums import sum_in_units, units_to_float
from onelayer.judging import judge
from onelayer.network import sigmoid
from onelayer.ranking import RUN_ROWS, Ranking
from onelayer.stored import find_outside, to_stored

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Confusion:
    """Right and wrong decisions: counts, or sums of weights where there are weights."""

    tn: float
    fp: float
    fn: float
    tp: float

    def problem(self) -> str | None:
        """Say what is no count, or None."""
        return find_outside(self, ("tn", "fp", "fn", "tp"), 0, inf)


@dataclass(frozen=True)
class CalibrationBin:
    """`n` rows of neighbouring probabilities: their weighted mean and their share of positives."""

    n: int
    mean_predicted: float
    observed: float

    def problem(self) -> str | None:
        """Say what no bin can hold, or None."""
        rows = find_outside(self, ("n",), 1, inf)
        return rows or find_outside(self, ("mean_predicted", "observed"), 0, 1)


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found; means and shares are weighted, losses in nats, rows of weight 0 gone.

    `roc_auc` and `average_precision` are None where they are not defined: all labels are the same.
    `baseline_accuracy` is that of always saying the commoner class, `baseline_log_loss` that of
    always saying the base rate. `calibration` goes from the lowest probabilities to the highest.
    """

    n: int
    positives: int
    base_rate: float
    log_loss: float
    baseline_log_loss: float
    brier: float
    roc_auc: float | None
    average_precision: float | None
    threshold: float
    accuracy: float
    baseline_accuracy: float
    confusion: Confusion
    calibration: tuple[CalibrationBin, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give plain dicts, lists and numbers: the section `evaluation` of a model file."""
        stored: dict[str, Any] = to_stored(self)
        return stored

    def problem(self) -> str | None:
        """Say what no evaluation can be, or None; asked of what a model file holds."""
        if not 0 <= self.positives <= self.n or self.n < 1:
            return f"{self.positives} positives among {self.n} rows cannot be"
        if (self.roc_auc is None) != (self.average_precision is None):
            return "roc_auc and average_precision are defined together"
        if sum(each.n for each in self.calibration) != self.n:
            return f"the bins of calibration must hold the {self.n} rows"
        losses = find_outside(self, ("log_loss", "baseline_log_loss"), 0, inf)
        return losses or find_outside(self, _SHARES, 0, 1)


_SHARES = (
    "base_rate",
    "brier",
    "roc_auc",
    "average_precision",
    "threshold",
    "accuracy",
    "baseline_accuracy",
)


def evaluate(
    labels: ArrayLike,
    logits: ArrayLike,
    weights: ArrayLike | None = None,
    threshold: float = 0.5,
) -> Evaluation:
    """Compare logits with labels: losses, areas, decisions and calibration.

    With weights s_i, probabilities p_i = sigmoid(z_i) and sums over the rows, `log_loss` is
    sum s_i loss_i / sum s_i, computed from the logits, and `brier` is
    sum s_i (p_i - y_i)^2 / sum s_i. `roc_auc` is the chance that a positive row gets a higher
    logit than a negative one, ties counting one half. `average_precision` is
    sum over the distinct logits of (gain in recall) * precision. A weight of 2 is the row twice.

    Args:
        labels: (n,), 0 or 1.
        logits: (n,), finite log-odds.
        weights: (n,), 0 or more, one of them above 0; None for 1 each.
        threshold: A row is called positive where its probability is above it; between 0 and 1.

    Raises:
        InputError: The lengths differ, there is no row, or a value is none of the above.

    Source: Fawcett, "An introduction to ROC analysis", 2006; scikit-learn gives the same numbers.

    >>> found = evaluate([0, 0, 1, 1], [-2.0, 0.5, -0.5, 2.0])
    >>> found.roc_auc, found.accuracy, found.confusion
    (0.75, 0.5, Confusion(tn=1.0, fp=1.0, fn=1.0, tp=1.0))
    """
    return evaluate_batches([(labels, logits, weights)], threshold, run_rows=None)


Batch = tuple[ArrayLike, ArrayLike, ArrayLike | None]


def evaluate_batches(
    batches: Iterable[Batch],
    threshold: float = 0.5,
    *,
    run_rows: int | None = RUN_ROWS,
    folder: str | None = None,
) -> Evaluation:
    """`evaluate` on rows that come in batches, to the same bits, in memory that does not grow.

    Args:
        batches: Labels, logits and weights of some rows each, as `evaluate` takes them.
        threshold: As in `evaluate`.
        run_rows: How many rows are held in memory (16 bytes each, and three times that to sort
            them); more are put aside in a temporary file. None holds all.
        folder: Where the temporary file lies; None for the system's own place (TMPDIR).

    Raises:
        InputError: As in `evaluate`; or the temporary file cannot be written, the disk being full.

    >>> batches = [([0, 1], [-2.0, 2.0], None), ([1, 0], [-0.5, 0.5], None)]
    >>> evaluate_batches(batches) == evaluate([0, 1, 1, 0], [-2.0, 2.0, -0.5, 0.5])
    True
    """
    if not 0 <= threshold <= 1:
        raise InputError(f"threshold is {threshold}: expected a probability between 0 and 1")
    with Ranking(run_rows, folder) as ranking:
        cells, counts, rows = np.zeros(4, dtype=object), np.zeros(2, dtype=np.intp), 0
        for batch in batches:
            labels, logits, weights = _read_rows(*batch)
            is_called = np.asarray(sigmoid(logits)) > threshold
            cells += sum_in_units(weights, 2 * labels.astype(np.intp) + is_called, 4)
            rows, there = rows + len(labels), weights > 0
            counts += np.bincount(labels[there].astype(np.intp), minlength=2)
            ranking.add(logits[there], labels[there], weights[there])
        if not rows:
            raise InputError("no rows: nothing to evaluate")
        return _conclude(ranking, cells, counts, float(threshold))


def _conclude(
    ranking: Ranking, cells: NDArray[np.object_], counts: NDArray[np.intp], threshold: float
) -> Evaluation:
    # The sums of weights are exact and rounded once, whatever the order the rows came in.
    tn, fp, fn, tp = cells
    negatives, positives = units_to_float(tn + fp), units_to_float(fn + tp)
    total = units_to_float(tn + fp + fn + tp)
    if not 0 < total < inf:
        raise InputError(f"the weights sum to {total}: expected a finite sum above 0")
    found = judge(ranking.blocks(), positives, negatives)
    is_defined = counts.all()
    return Evaluation(
        n=int(counts.sum()),
        positives=int(counts[1]),
        base_rate=positives / total,
        log_loss=found.log_loss,
        baseline_log_loss=_entropy(positives / total),
        brier=min(1.0, found.brier),  # rounding could pass 1
        roc_auc=min(1.0, found.roc_auc) if is_defined else None,
        average_precision=min(1.0, found.average_precision) if is_defined else None,
        threshold=threshold,
        accuracy=units_to_float(tn + tp) / total,
        baseline_accuracy=max(negatives, positives) / total,
        confusion=Confusion(*(units_to_float(units) for units in cells)),
        calibration=_list_bins(found.bins),
    )


def _list_bins(bins: Array) -> tuple[CalibrationBin, ...]:
    rows, weights, predicted, positives = bins[:, bins[0] > 0]
    columns = (predicted / weights, positives / weights)
    return tuple(
        CalibrationBin(int(n), mean, share)
        for n, mean, share in zip(rows, *(each.tolist() for each in columns))
    )


def _entropy(share: float) -> float:
    return -sum(each * log(each) for each in (share, 1 - share) if each > 0) + 0.0


def _read_rows(
    labels: ArrayLike, logits: ArrayLike, weights: ArrayLike | None
) -> tuple[Array, Array, Array]:
    y, z = _read_numbers(labels, "labels"), _read_numbers(logits, "logits")
    s = np.ones(len(y)) if weights is None else _read_numbers(weights, "weights")
    for name, column in (("logits", z), ("weights", s)):
        if len(column) != len(y):
            raise InputError(f"{len(y)} labels and {len(column)} {name}: a row needs one of each")
    _refuse(~np.isin(y, (0, 1)), y, "labels", "0 or 1")
    _refuse(~np.isfinite(z), z, "logits", "a finite number")
    _refuse(~(np.isfinite(s) & (s >= 0)), s, "weights", "a finite number, 0 or more")
    return y, z, s


def _read_numbers(values: ArrayLike, name: str) -> Array:
    try:
        column = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name}: expected numbers, found {np.asarray(values).dtype}") from None
    if column.ndim != 1:
        raise InputError(f"{name}: expected one number a row, (n,), found the shape {column.shape}")
    return column


def _refuse(is_wrong: NDArray[np.bool_], column: Array, name: str, expected: str) -> None:
    if is_wrong.any():
        row = int(np.argmax(is_wrong))
        raise InputError(f"{name}[{row}] is {column[row]}: expected {expected}")
