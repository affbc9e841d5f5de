"""`Evaluation`: how good a model is on rows whose answer is known, as a value."""

from dataclasses import dataclass, field
from math import inf
from typing import Any

from onelayer.judging.audit import GroupAudit
from onelayer.judging.drift import Drift
from onelayer.judging.plotting import plot_evaluation
from onelayer.markup import name_fragment, render
from onelayer.markup.charts import Chart
from onelayer.markup.curves import draw_curves
from onelayer.measures import (
    MEASURES,
    BrierParts,
    CalibrationBin,
    Confusion,
    Curve,
    Interval,
    Measure,
    MeasureName,
)
from onelayer.stored import ADDED, find_outside, to_stored


@dataclass(frozen=True)
class Baseline:
    """What a simpler model does on the same rows: the best single column by itself.

    The column was chosen, and its little model fitted, on the rows trained on.
    """

    column: str
    log_loss: float
    brier: float
    roc_auc: float | None
    average_precision: float | None
    ks: float | None
    accuracy: float

    def problem(self) -> str | None:
        """Say what no baseline can be, or None."""
        names = ("brier", "roc_auc", "average_precision", "ks", "accuracy")
        shares = find_outside(self, names, 0, 1)
        return find_outside(self, ("log_loss",), 0, inf) or shares


@dataclass(frozen=True)
class CostsFound:
    """What decisions cost a row, as a mean: at the threshold, and always saying the same.

    `never` calls no row positive, `always` every row.
    """

    at_threshold: float
    never: float
    always: float


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found; means and shares are weighted, losses in nats, rows of weight 0 gone.

    `roc_auc`, `average_precision`, `ks` and `curve` are None where they are not defined: all labels
    are the same. `baseline_accuracy` is that of always saying the commoner class,
    `baseline_log_loss` that of always saying the base rate. `calibration` goes from the lowest
    probabilities to the highest. `intervals` are those of the measures, 95 %, by the bootstrap.

    A model's evaluation on a table also has `best_column`, a simpler model to beat; `groups`, by
    each protected column; `drift`, against the rows trained on; and `costs`, where the threshold
    was chosen by costs. In files that lack them they are empty, as in `evaluate` of bare numbers.
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
    ks: float | None = field(default=None, metadata=ADDED)
    brier_parts: BrierParts | None = field(default=None, metadata=ADDED)
    intervals: tuple[Interval, ...] = field(default=(), metadata=ADDED)
    curve: Curve | None = field(default=None, metadata=ADDED)
    best_column: Baseline | None = field(default=None, metadata=ADDED)
    groups: tuple[GroupAudit, ...] = field(default=(), metadata=ADDED)
    drift: Drift | None = field(default=None, metadata=ADDED)
    costs: CostsFound | None = field(default=None, metadata=ADDED)

    @property
    def gini(self) -> float | None:
        """2 ROC AUC - 1."""
        return None if self.roc_auc is None else 2 * self.roc_auc - 1

    @property
    def measures(self) -> tuple[Measure, ...]:
        """All measures in one order, each with its interval."""
        ranges = {each.measure: (each.low, each.high) for each in self.intervals}
        return tuple(
            Measure(name, self.value_of(name), *ranges.get(name, (None, None))) for name in MEASURES
        )

    def value_of(self, name: MeasureName) -> float | None:
        """The value of a measure by its name; None where it is not defined."""
        where = self if name in _OWN else self.confusion
        found: float | None = getattr(where, name)
        return found

    def draw_curves(self, positive: str) -> list[Chart]:
        """ROC, precision over recall, calibration and gain, as far as they are defined, as charts.

        Args:
            positive: What the positive rows are called.
        """
        curve, bins = self.curve, self.calibration
        return draw_curves(curve, bins, self.roc_auc, self.average_precision, positive)

    def _repr_html_(self) -> str:
        """How a notebook shows it: the measures, and the curves."""
        charts, prefix = self.draw_curves("positive rows"), name_fragment(self)
        return render("evaluation.html.jinja", found=self, charts=charts, prefix=prefix)

    def plot(self, axes: Any = None) -> Any:
        """Draw ROC, precision and recall, calibration and gain with matplotlib; see `plotting`.

        Needs `pip install 'onelayer[plot]'`. Returns the four axes, (2, 2).
        """
        return plot_evaluation(self.curve, self.calibration, self.threshold, axes)

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


_OWN: tuple[MeasureName, ...] = (
    "log_loss",
    "brier",
    "roc_auc",
    "average_precision",
    "gini",
    "ks",
    "accuracy",
)
_SHARES = (
    "base_rate",
    "brier",
    "roc_auc",
    "average_precision",
    "ks",
    "threshold",
    "accuracy",
    "baseline_accuracy",
)
