"""What comes out of a search for the strength of the penalty."""

import math
from dataclasses import dataclass
from typing import Literal

from onelayer.stored import find_outside


@dataclass(frozen=True)
class Trial:
    """One value of C, and the mean log loss (nats, weighted) of rows that the fit had not seen."""

    C: float
    loss: float

    def problem(self) -> str | None:
        """Say what no trial can be, or None; asked of what a model file holds."""
        return find_outside(self, ("C", "loss"), 0, math.inf)


@dataclass(frozen=True)
class StrengthChoice:
    """The C that does best on rows left out, with the curve that it was chosen on.

    Attributes
    ----------
    C: the inverse strength chosen.
    tried: the values tried and their losses, by rising C.
    method: "leave-one-out", or "2 folds".
    rows: how many rows it was chosen on; fewer than there are where they are many.
    border: "" where the best value lies inside the range, else the end it is at: "strong", "weak"
        (the loss still falls there) or "flat" (at the weak end, where nothing changes any more).
    """

    C: float
    tried: tuple[Trial, ...]
    method: str
    rows: int
    border: Literal["", "strong", "weak", "flat"] = ""

    def problem(self) -> str | None:
        """Say what no choice can be, or None; asked of what a model file holds."""
        if self.C not in [trial.C for trial in self.tried]:
            return f"C is {self.C!r}, which is none of the values tried"
        return find_outside(self, ("rows",), 1, math.inf)

    @property
    def loss(self) -> float:
        """The mean log loss of left-out rows at the C chosen, nats."""
        return min(trial.loss for trial in self.tried)

    @property
    def message(self) -> str:
        """What is to be known of a choice at the border of the range, in words; empty inside."""
        return _MESSAGES[self.border].format(C=self.C, more=100 * self.C)


_MESSAGES = {
    "": "",
    "strong": (
        "the strongest penalty tried, C={C:g}, does best on rows left out: the columns tell next "
        "to nothing about the target, look for others"
    ),
    "weak": (
        "the weakest penalty tried, C={C:g}, does best on rows left out, and the loss still falls "
        "there: try a larger C, such as C={more:.0e}"
    ),
    "flat": (
        "the weakest penalty tried, C={C:g}, does best on rows left out, and weaker ones would do "
        "as well: C=inf gives the fit without a penalty"
    ),
}
