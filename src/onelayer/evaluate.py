"""How good probabilities are on rows whose answer is known: one sort, then sums."""

from dataclasses import dataclass
from math import inf, log
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onelayer.errors import InputError
from onelayer.network import log_loss, sigmoid
from onelayer.stored import find_outside, to_stored

N_BINS = 10

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
    if not 0 <= threshold <= 1:
        raise InputError(f"threshold is {threshold}: expected a probability between 0 and 1")
    rows = _sort(*_read_rows(labels, logits, weights))
    shares = rows.weights / rows.weights.sum()
    is_called = (rows.probabilities > threshold).astype(np.intp)
    cells = np.bincount(2 * rows.labels.astype(np.intp) + is_called, rows.weights, minlength=4)
    tn, fp, fn, tp = cells.tolist()
    base_rate = (fn + tp) / (tn + fp + fn + tp)
    roc_auc, average_precision = _areas(rows)
    miss = sigmoid(np.where(rows.labels == 1, -rows.logits, rows.logits))
    return Evaluation(
        n=len(rows.labels),
        positives=int(rows.labels.sum()),
        base_rate=base_rate,
        log_loss=float(np.sum(shares * log_loss(rows.logits, rows.labels))),
        baseline_log_loss=_entropy(base_rate),
        brier=min(1.0, float(np.sum(shares * miss**2))),  # rounding could pass 1
        roc_auc=roc_auc,
        average_precision=average_precision,
        threshold=float(threshold),
        accuracy=(tn + tp) / (tn + fp + fn + tp),
        baseline_accuracy=max(tn + fp, fn + tp) / (tn + fp + fn + tp),
        confusion=Confusion(tn, fp, fn, tp),
        calibration=_calibrate(rows),
    )


class _Rows(NamedTuple):
    """Rows of weight above 0, from the highest logit to the lowest."""

    labels: Array
    logits: Array
    probabilities: Array
    weights: Array


def _sort(labels: Array, logits: Array, weights: Array) -> _Rows:
    order = np.argsort(-logits)
    order = order[weights[order] > 0]
    logits = logits[order]
    return _Rows(labels[order], logits, np.asarray(sigmoid(logits)), weights[order])


def _areas(rows: _Rows) -> tuple[float | None, float | None]:
    """Under the ROC curve (trapezoids) and under the curve of precision over recall (steps)."""
    # A threshold lies between two different logits only: tied rows are called together.
    last = np.append(np.flatnonzero(np.diff(rows.logits)), len(rows.logits) - 1)
    true = np.cumsum(rows.weights * rows.labels)[last]
    false = np.cumsum(rows.weights * (1 - rows.labels))[last]
    if true[-1] == 0 or false[-1] == 0:
        return None, None
    recall, fallout = true / true[-1], false / false[-1]
    heights = recall + np.append(0, recall[:-1])
    roc_auc = np.sum(np.diff(fallout, prepend=0) * heights) / 2
    precision = true / (true + false)
    average_precision = np.sum(np.diff(recall, prepend=0) * precision)
    return min(1.0, float(roc_auc)), min(1.0, float(average_precision))  # as for brier


def _calibrate(rows: _Rows) -> tuple[CalibrationBin, ...]:
    """Bins of equal weight; rows with the same probability share the bin of their middle one."""
    labels, probabilities, weights = (
        each[::-1] for each in (rows.labels, rows.probabilities, rows.weights)
    )
    starts = np.append(0, np.flatnonzero(np.diff(probabilities)) + 1)
    group_weights = np.add.reduceat(weights, starts)
    ends = np.cumsum(group_weights)
    bins = (N_BINS * (ends - group_weights / 2) / ends[-1]).astype(np.intp)
    # In exact arithmetic neither is needed: rounding alone could pass the end or step back.
    bins = np.maximum.accumulate(np.minimum(bins, N_BINS - 1))
    firsts = starts[np.diff(bins, prepend=-1) > 0]
    totals = np.add.reduceat(weights, firsts)
    columns = (
        np.diff(firsts, append=len(labels)),
        np.add.reduceat(weights * probabilities, firsts) / totals,
        np.add.reduceat(weights * labels, firsts) / totals,
    )
    return tuple(CalibrationBin(*row) for row in zip(*(each.tolist() for each in columns)))


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
    if not len(y):
        raise InputError("no rows: nothing to evaluate")
    _refuse(~np.isin(y, (0, 1)), y, "labels", "0 or 1")
    _refuse(~np.isfinite(z), z, "logits", "a finite number")
    _refuse(~(np.isfinite(s) & (s >= 0)), s, "weights", "a finite number, 0 or more")
    if not 0 < s.sum() < np.inf:
        raise InputError(f"the weights sum to {s.sum()}: expected a finite sum above 0")
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
