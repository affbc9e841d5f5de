"""How a model treats groups of people: rates, calibration and losses by a protected column."""

from dataclasses import dataclass
from math import inf

from onelayer.measures import Rate
from onelayer.stored import find_outside

FEWEST_ROWS = 30  # of a group: of fewer nothing is said
FOUR_FIFTHS = 0.8


@dataclass(frozen=True)
class Group:
    """The rows of one value of a protected column; all but the counts is None below 30 rows.

    Attributes
    ----------
    value: the value, "missing", a range of numbers ("up to 25"), or "other" for values that
        training did not see.
    n, positives: rows. share: of the whole weight.
    selected: the rate of positive decisions. recall: of them among positive rows, the true
        positive rate; false_alarms: among negative rows. Each with its 95 % interval; None
        without such rows.
    mean_predicted: the mean probability, and observed: the share of positives, which would be alike
        for a calibrated group. log_loss: the mean, nats.
    selected_ratio, rejected_ratio: the rate of positive (negative) decisions over that of the group
        with the highest one; below 0.8 it is under four fifths.
    """

    value: str
    n: int
    positives: int
    share: float
    selected: Rate | None = None
    recall: Rate | None = None
    false_alarms: Rate | None = None
    mean_predicted: float | None = None
    observed: Rate | None = None
    log_loss: Rate | None = None
    selected_ratio: float | None = None
    rejected_ratio: float | None = None

    @property
    def is_judged(self) -> bool:
        """Whether there are rows enough to say anything."""
        return self.selected is not None

    def problem(self) -> str | None:
        """Say what no group can be, or None."""
        shares = ("share", "mean_predicted", "selected_ratio", "rejected_ratio")
        return find_outside(self, ("n", "positives"), 0, inf) or find_outside(self, shares, 0, 1)


@dataclass(frozen=True)
class GroupAudit:
    """The groups of one protected column: ranges of numbers in order, values by falling rows.

    `selected_impact` is the adverse impact ratio if the positive value is what people hope for: the
    lowest rate of positive decisions over the highest, among the groups judged. `rejected_impact`
    is the same of negative decisions, if those are hoped for. None with fewer than two such groups.
    """

    column: str
    groups: tuple[Group, ...]
    selected_impact: float | None
    rejected_impact: float | None

    def problem(self) -> str | None:
        """Say what no audit can be, or None."""
        return find_outside(self, ("selected_impact", "rejected_impact"), 0, 1)
