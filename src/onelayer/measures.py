"""What is measured of decisions and probabilities: the values, their intervals, their formulas."""

from dataclasses import dataclass, field
from fractions import Fraction
from math import inf, sqrt
from typing import Literal, get_args

from onelayer.stored import ADDED, find_outside

MeasureName = Literal[
    "log_loss",
    "brier",
    "roc_auc",
    "average_precision",
    "gini",
    "ks",
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "f1",
    "mcc",
]
MEASURES: tuple[MeasureName, ...] = get_args(MeasureName)
LOWER_IS_BETTER = ("log_loss", "brier")
_Z = 1.959963984540054  # of 95 %


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

    @property
    def precision(self) -> float | None:
        """tp / (tp + fp); None where no row is called positive."""
        return _divide(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float | None:
        """tp / (tp + fn), the true positive rate; None where there is no positive row."""
        return _divide(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float | None:
        """tn / (tn + fp); None where there is no negative row."""
        return _divide(self.tn, self.tn + self.fp)

    @property
    def f1(self) -> float | None:
        """2 tp / (2 tp + fp + fn); None where no row is positive or called so."""
        return _divide(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def balanced_accuracy(self) -> float | None:
        """The mean of recall and specificity; None where one of them is not defined.

        >>> Confusion(tn=8, fp=2, fn=1, tp=4).balanced_accuracy
        0.8
        """
        if self.recall is None or self.specificity is None:
            return None
        return (self.recall + self.specificity) / 2

    @property
    def mcc(self) -> float | None:
        """Matthews' correlation of truth and decision, -1 to 1; None where either is constant.

        (tp tn - fp fn) / sqrt((tp + fp)(tp + fn)(tn + fp)(tn + fn)), in exact fractions: the
        difference would cancel, and the product of four sums of weights could overflow.

        >>> Confusion(tn=1e200, fp=0, fn=0, tp=1e200).mcc
        1.0
        """
        tn, fp, fn, tp = (Fraction(each) for each in (self.tn, self.fp, self.fn, self.tp))
        product = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
        if not product:
            return None
        top = tp * tn - fp * fn
        size = sqrt(top * top / product)
        return size if top > 0 else -size


def _divide(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None


@dataclass(frozen=True)
class Interval:
    """The 95 % interval of a measure: what it would lie in over other rows of the same kind."""

    measure: MeasureName
    low: float
    high: float

    def problem(self) -> str | None:
        """Say what no interval can be, or None."""
        return None if self.low <= self.high else f"low is above high: {self.low}, {self.high}"


@dataclass(frozen=True)
class Measure:
    """One measure as a person reads it; None where it is not defined."""

    name: MeasureName
    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Rate:
    """A share or a mean with its 95 % interval."""

    value: float
    low: float
    high: float

    def problem(self) -> str | None:
        """Say what no rate can be, or None."""
        return None if self.low <= self.value <= self.high else "the interval must hold the value"


def wilson(share: float, rows: float) -> Rate:
    """A share seen over so many rows, with Wilson's 95 % interval.

    (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n); it holds at 0 and at 1.

    Args:
        share: 0 to 1.
        rows: Above 0; with weights the number of rows of one weight that would tell as much.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.

    >>> found = wilson(0.0, 10)
    >>> found.low, round(found.high, 4)
    (0.0, 0.2775)
    """
    square = _Z * _Z / rows
    middle = (share + square / 2) / (1 + square)
    half = sqrt(max(0.0, share * (1 - share) / rows * _Z * _Z + square * square / 4)) / (1 + square)
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return Rate(share, min(low, share), max(high, share))


@dataclass(frozen=True)
class CalibrationBin:
    """`n` rows of neighbouring probabilities: their weighted mean and their share of positives.

    `low` and `high` are Wilson's 95 % interval of the share; None in files that lack them.
    """

    n: int
    mean_predicted: float
    observed: float
    low: float | None = field(default=None, metadata=ADDED)
    high: float | None = field(default=None, metadata=ADDED)

    def problem(self) -> str | None:
        """Say what no bin can hold, or None."""
        rows = find_outside(self, ("n",), 1, inf)
        return rows or find_outside(self, ("mean_predicted", "observed", "low", "high"), 0, 1)


@dataclass(frozen=True)
class BrierParts:
    """Brier = reliability - resolution + uncertainty + within, over the bins of the calibration.

    With bins of weight w_k (a share), mean probability p_k and share of positives y_k, and the base
    rate y: reliability sum w_k (p_k - y_k)^2, lower is better; resolution sum w_k (y_k - y)^2,
    higher is better; uncertainty y (1 - y). `within` is what the bins do not see: the rest.

    Source: Murphy, "A new vector partition of the probability score", 1973; of the rest Stephenson,
    Coelho, Jolliffe, "Two extra components in the Brier score decomposition", 2008.
    """

    reliability: float
    resolution: float
    uncertainty: float
    within: float

    def problem(self) -> str | None:
        """Say what no part can be, or None."""
        return find_outside(self, ("reliability", "resolution", "uncertainty"), 0, 1)


@dataclass(frozen=True)
class Cut:
    """One place to cut: with this threshold, so large a share of each class is called positive.

    `recall` is the true positive rate, `false_alarms` the false positive rate.
    """

    threshold: float
    recall: float
    false_alarms: float

    def problem(self) -> str | None:
        """Say what no cut can be, or None."""
        return find_outside(self, ("threshold", "recall", "false_alarms"), 0, 1)


@dataclass(frozen=True)
class Curve:
    """Every decision that a threshold can make, from calling no row positive to calling all.

    A bounded number of cuts: those between them lie on straight lines, to about 1e-5 of the area.
    All curves are views of these cuts; each property gives (x, y) of all points.
    """

    base_rate: float
    cuts: tuple[Cut, ...]

    def problem(self) -> str | None:
        """Say what no curve can be, or None."""
        return find_outside(self, ("base_rate",), 0, 1)

    @property
    def roc(self) -> tuple[tuple[float, float], ...]:
        """(false alarms, recall)."""
        return tuple((cut.false_alarms, cut.recall) for cut in self.cuts)

    @property
    def precision_recall(self) -> tuple[tuple[float, float], ...]:
        """(recall, precision), the first point standing at recall 0 for the first rows called."""
        points = [
            (cut.recall, self.base_rate * cut.recall / called)
            for cut in self.cuts
            if (called := self.share_called(cut))
        ]
        return ((0.0, points[0][1]), *points) if points else ()

    @property
    def gain(self) -> tuple[tuple[float, float], ...]:
        """(share of all rows called positive, share of the positive rows among them)."""
        return tuple((self.share_called(cut), cut.recall) for cut in self.cuts)

    @property
    def lift(self) -> tuple[tuple[float, float], ...]:
        """(share of all rows called positive, how many times as many positives as at random)."""
        return tuple(
            (called, cut.recall / called) for cut in self.cuts if (called := self.share_called(cut))
        )

    def share_called(self, cut: Cut) -> float:
        """The share of all rows that a cut calls positive."""
        return self.base_rate * cut.recall + (1 - self.base_rate) * cut.false_alarms
