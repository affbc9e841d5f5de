"""How good probabilities are on rows whose answer is known: one sort, then sums."""

from collections.abc import Iterable
from dataclasses import replace
from math import inf, log
from types import TracebackType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onelayer.errors import InputError
from onelayer.exact_sums import sum_in_units, units_to_float
from onelayer.judging.curves import draw_curve
from onelayer.judging.evaluation import Baseline as Baseline
from onelayer.judging.evaluation import Evaluation as Evaluation
from onelayer.judging.ranking import RUN_ROWS, Ranking
from onelayer.judging.resampling import find_intervals
from onelayer.judging.walk import Cells, Judgement, judge
from onelayer.measures import MEASURES, BrierParts, wilson
from onelayer.measures import CalibrationBin as CalibrationBin
from onelayer.measures import Confusion as Confusion
from onelayer.network import sigmoid
from onelayer.summary import WeightKind

Array = NDArray[np.float64]


def evaluate(
    labels: ArrayLike,
    logits: ArrayLike,
    weights: ArrayLike | None = None,
    threshold: float = 0.5,
    *,
    weight_kind: WeightKind = "frequency",
) -> Evaluation:
    """Compare logits with labels: losses, areas, decisions, calibration, curves and intervals.

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
        weight_kind: For the intervals: "frequency" (2 is the row twice) or "sampling" (survey
            weights: the row is one row, whatever it weighs).

    Raises:
        InputError: The lengths differ, there is no row, or a value is none of the above.

    Source: Fawcett, "An introduction to ROC analysis", 2006; scikit-learn gives the same numbers.

    >>> found = evaluate([0, 0, 1, 1], [-2.0, 0.5, -0.5, 2.0])
    >>> found.roc_auc, found.accuracy, found.confusion
    (0.75, 0.5, Confusion(tn=1.0, fp=1.0, fn=1.0, tp=1.0))
    """
    batch = labels, logits, weights
    return evaluate_batches([batch], threshold, weight_kind=weight_kind, run_rows=None)


Batch = tuple[ArrayLike, ArrayLike, ArrayLike | None]


def evaluate_batches(
    batches: Iterable[Batch],
    threshold: float = 0.5,
    *,
    weight_kind: WeightKind = "frequency",
    run_rows: int | None = RUN_ROWS,
    folder: str | None = None,
) -> Evaluation:
    """`evaluate` on rows that come in batches, to the same bits, in memory that does not grow.

    Args:
        batches: Labels, logits and weights of some rows each, as `evaluate` takes them.
        threshold, weight_kind: As in `evaluate`.
        run_rows: How many rows are held in memory (16 bytes each, and three times that to sort
            them); more are put aside in a temporary file. None holds all.
        folder: Where the temporary file lies; None for the system's own place (TMPDIR).

    Raises:
        InputError: As in `evaluate`; or the temporary file cannot be written, the disk being full.

    >>> batches = [([0, 1], [-2.0, 2.0], None), ([1, 0], [-0.5, 0.5], None)]
    >>> evaluate_batches(batches) == evaluate([0, 1, 1, 0], [-2.0, 2.0, -0.5, 0.5])
    True
    """
    with Judge(threshold, weight_kind=weight_kind, run_rows=run_rows, folder=folder) as judging:
        for batch in batches:
            judging.add(*batch)
        return judging.conclude()


class Judge:
    """Takes labels, logits and weights in batches, and gives the evaluation of all of them.

    Args:
        threshold, weight_kind, run_rows, folder: As in `evaluate_batches`.
        whole: Whether to draw the curve too, and the rows again for the intervals.

    >>> with Judge(0.5, run_rows=None) as judging:
    ...     judging.add([0, 1], [-2.0, 2.0])
    ...     judging.conclude().accuracy
    1.0
    """

    def __init__(
        self,
        threshold: float = 0.5,
        *,
        weight_kind: WeightKind = "frequency",
        run_rows: int | None = RUN_ROWS,
        folder: str | None = None,
        whole: bool = True,
    ) -> None:
        if not 0 <= threshold <= 1:
            raise InputError(f"threshold is {threshold}: expected a probability between 0 and 1")
        self.threshold, self.by_row = float(threshold), weight_kind == "sampling"
        self._is_whole, self._ranking = whole, Ranking(run_rows, folder)
        # The sums of weights are exact and rounded once, whatever the order the rows came in.
        self._units = np.zeros(4, dtype=object)
        self._counts, self._rows = np.zeros(2, dtype=np.intp), 0

    def __enter__(self) -> "Judge":
        self._ranking.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ranking.__exit__(kind, error, trace)

    def add(self, labels: ArrayLike, logits: ArrayLike, weights: ArrayLike | None = None) -> None:
        """Take some more rows."""
        y, z, s = _read_rows(labels, logits, weights)
        if not len(y):
            return
        is_called = np.asarray(sigmoid(z)) > self.threshold
        self._units += sum_in_units(s, 2 * y.astype(np.intp) + is_called, 4)
        there = s > 0
        self._rows += len(y)
        self._counts += np.bincount(y[there].astype(np.intp), minlength=2)
        self._ranking.add(z[there], y[there], s[there])

    def conclude(self) -> Evaluation:
        """The evaluation of all rows that were added.

        Raises:
            InputError: There was no row, or none with a weight.
        """
        if not self._rows:
            raise InputError("no rows: nothing to evaluate")
        tn, fp, fn, tp = self._units
        negatives, positives = units_to_float(tn + fp), units_to_float(fn + tp)
        total = units_to_float(tn + fp + fn + tp)
        if not 0 < total < inf:
            raise InputError(f"the weights sum to {total}: expected a finite sum above 0")
        rows, is_defined = int(self._counts.sum()), bool(self._counts.all())
        found = judge(self._ranking.blocks(), positives, negatives, rows, self.threshold)
        base_rate = positives / total
        bare = Evaluation(
            n=rows,
            positives=int(self._counts[1]),
            base_rate=base_rate,
            log_loss=found.log_loss,
            baseline_log_loss=_entropy(base_rate),
            brier=min(1.0, found.brier),  # rounding could pass 1
            roc_auc=min(1.0, found.roc_auc) if is_defined else None,
            average_precision=min(1.0, found.average_precision) if is_defined else None,
            threshold=self.threshold,
            accuracy=units_to_float(tn + tp) / total,
            baseline_accuracy=max(negatives, positives) / total,
            confusion=Confusion(*(units_to_float(units) for units in self._units)),
            calibration=_list_bins(found.bins, total, self.by_row),
            ks=min(1.0, found.ks) if is_defined else None,
            brier_parts=_part_brier(found, base_rate),
        )
        return self._complete(bare, found.cells, total) if self._is_whole else bare

    def _complete(self, bare: Evaluation, cells: Cells, total: float) -> Evaluation:
        values = {name: bare.value_of(name) for name in MEASURES}
        return replace(
            bare,
            curve=draw_curve(cells, self.threshold, bare.base_rate),
            intervals=find_intervals(cells, total, values, by_row=self.by_row),
        )


def _list_bins(bins: Array, total: float, by_row: bool) -> tuple[CalibrationBin, ...]:
    rows, weights, predicted, positives, squares = bins[:, bins[0] > 0]
    copies = (weights / total) ** 2 / squares if by_row else weights
    found = []
    for n, mean, share, many in zip(rows, predicted / weights, positives / weights, copies):
        rate = wilson(min(float(share), 1.0), float(many))
        found.append(CalibrationBin(int(n), float(mean), rate.value, rate.low, rate.high))
    return tuple(found)


def _part_brier(found: Judgement, base_rate: float) -> BrierParts:
    _, weights, predicted, positives, _ = found.bins[:, found.bins[0] > 0]
    share, said, seen = weights / weights.sum(), predicted / weights, positives / weights
    reliability = float(np.sum(share * (said - seen) ** 2))
    resolution = float(np.sum(share * (seen - base_rate) ** 2))
    uncertainty = base_rate * (1 - base_rate)
    return BrierParts(
        reliability, resolution, uncertainty, found.brier - reliability + resolution - uncertainty
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
