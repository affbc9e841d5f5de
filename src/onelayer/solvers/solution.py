"""What every solver returns."""

import math
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from onelayer.certificate import Certificate
from onelayer.stored import Unbounded, find_outside


@dataclass(frozen=True)
class Progress:
    """One line of a training's history: the state after a pass."""

    iteration: int
    cost: Unbounded  # mean log loss, nats; inf where gradient descent went out of all bounds
    objective: Unbounded
    rho: Unbounded  # proved distance from the optimum in standard errors; inf where none is proved
    step: float  # length of the step that led here: 1 is a full Newton step

    def problem(self) -> str | None:
        """Say what no step can be, or None; asked of what a model file holds."""
        return find_outside(self, ("iteration", "cost", "objective", "rho", "step"), 0, math.inf)


@dataclass(frozen=True)
class Solution:
    """The parameters found, and everything that is known about them.

    Attributes
    ----------
    W, b: (n_outputs, n_x) and (n_outputs, 1), in the units of the table.
    objective: F at the answer, the weighted sum of log losses plus the penalty.
    cost: the weighted mean log loss in nats, the article's cost.
    certificate: how far from the exact optimum the answer can be.
    status: "optimal" (proved to `tol`), "stopped" (all iterations asked for are done), "rounding"
        (float64 allows no more), "separated" (no finite optimum, proved), "endless" (none in
        sight), "unproved" (steps within `tol`, no bound), "diverged", "stalled".
    message: the status in words, with what to do.
    passes: how often all rows were read. seconds: wall time.
    iterations: steps taken. history: one `Progress` a step.
    solver: the name of the algorithm.
    """

    W: NDArray[Any]
    b: NDArray[Any]
    objective: float
    cost: float
    certificate: Certificate
    status: str
    message: str
    passes: int
    seconds: float
    iterations: int
    solver: str
    history: tuple[Progress, ...] = field(default=(), repr=False)

    @property
    def converged(self) -> bool:
        """Whether the answer is proved to `tol`, or as near as float64 allows, or ran as asked."""
        return self.status in ("optimal", "rounding", "stopped")

    def then(self, later: "Solution") -> "Solution":
        """The later solution, with what this one has cost before it counted in."""
        history = (replace(p, iteration=p.iteration + self.iterations) for p in later.history[1:])
        return replace(
            later,
            passes=self.passes + later.passes,
            seconds=self.seconds + later.seconds,
            iterations=self.iterations + later.iterations,
            history=(*self.history, *history),
        )
