"""What comes out of a search for the strength of the penalty."""

import math
from dataclasses import dataclass

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
    method: "leave-one-out", or "3 folds".
    rows: how many rows it was chosen on; fewer than there are where they are many.
    message: what is to be known of the choice; empty where the best value lies inside the range.
    """

    C: float
    tried: tuple[Trial, ...]
    method: str
    rows: int
    message: str = ""

    def problem(self) -> str | None:
        """Say what no choice can be, or None; asked of what a model file holds."""
        if self.C not in [trial.C for trial in self.tried]:
            return f"C is {self.C!r}, which is none of the values tried"
        return find_outside(self, ("rows",), 1, math.inf)

    @property
    def loss(self) -> float:
        """The mean log loss of left-out rows at the C chosen, nats."""
        return min(trial.loss for trial in self.tried)
