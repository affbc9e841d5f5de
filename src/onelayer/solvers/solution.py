"""What every solver returns."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from numpy.typing import NDArray

from onelayer.certificate import Certificate
from onelayer.dependence.relation import Dependence
from onelayer.errors import InputError
from onelayer.separation.found import Separation
from onelayer.stored import Unbounded, find_outside
from onelayer.summary import Summary

LARGEST_EXCESS = 1e-8  # relative: what float64 leaves open of the objective beyond this is said
WORTH_SAYING = 1e-2  # standard errors: what float64 leaves open below this changes no decision


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


class Evidence(Protocol):
    """The rows of a fit, held for a summary; `inference.Evidence` is the one there is."""

    def summarise(
        self,
        solution: "Solution",
        *,
        errors: str | None,
        clusters: Any,
        level: float,
        names: Sequence[str] | None,
    ) -> Summary:
        """See `Solution.summary`."""


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
        (float64 allows no more), "separated" (no finite optimum: see `separations`), "endless"
        (none in sight), "unproved" (steps within `tol`, no bound), "diverged", "stalled".
    message: the status in words, with what to do.
    passes: how often all rows were read. seconds: wall time.
    iterations: steps taken. history: one `Progress` a step.
    solver: the name of the algorithm.
    evidence: the rows it was found on, for `summary`; gone once the solution is pickled or copied.
    separations: what a search for separation has found, one an output; none where none was made.
    dependencies: columns that others already hold, where the Hessian gave reason to look.
    remarks: what a user should know of the table, in sentences.
    unique: whether no other weights have the same objective, as far as was looked.
    may_depend: whether the Hessian gave reason to look for dependent columns.
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
    evidence: Evidence | None = field(default=None, repr=False, compare=False)
    separations: tuple[Separation, ...] = ()
    dependencies: tuple[Dependence, ...] = ()
    remarks: tuple[str, ...] = ()
    unique: bool = True
    may_depend: bool = field(default=False, repr=False)

    @property
    def converged(self) -> bool:
        """Whether the answer is proved to `tol`, or as near as float64 allows, or ran as asked."""
        return self.status in ("optimal", "rounding", "stopped")

    def holding(self, evidence: Evidence) -> "Solution":
        """The same solution with the rows for its `summary`; what `replace` does, in a tenth."""
        held = object.__new__(Solution)
        held.__dict__.update(self.__dict__, evidence=evidence)
        return held

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

    def summary(
        self,
        errors: str | None = None,
        clusters: Any = None,
        level: float = 0.95,
        names: Sequence[str] | None = None,
    ) -> Summary:
        """Coefficients with their errors, and how well the whole fits: one pass over the rows.

        Parameters
        ----------
        errors: "model" (inverse Hessian; the default), "robust" or "HC0" (sandwich), "HC1" (that
            times n / (n - parameters)). For sampling weights "HC0" is the default.
        clusters: (n,) the name of each row's cluster, of any type, for errors that hold where rows
            of a cluster go together.
        level: of the intervals, above 0 and below 1.
        names: (p,) of the features.

        Returns
        -------
        A `Summary`; `print` shows its table, and its `notes` say where the errors do not hold.

        Raises
        ------
        InputError: the rows are no longer there, or no longer those of the fit; an option is out
            of its range.
        """
        if self.evidence is None:
            raise InputError(
                "this solution no longer holds its rows (they are not saved with it): give them "
                "again, as in classifier.summary(X, y)"
            )
        return self.evidence.summarise(
            self, errors=errors, clusters=clusters, level=level, names=names
        )

    def __getstate__(self) -> dict[str, Any]:
        """All but the rows: a saved answer is small and holds nobody's data."""
        return {**self.__dict__, "evidence": None}


def is_low(solution: Solution) -> bool:
    """Whether the objective is proved to be within `LARGEST_EXCESS` of its least value."""
    gap = solution.certificate.gap
    return gap <= LARGEST_EXCESS * max(solution.objective - gap, 0.0)


def is_settled(solution: Solution) -> bool:
    """Whether the answer is the optimum asked for, or so near that nothing is to be said."""
    found = solution.certificate
    near = found.rho <= WORTH_SAYING or found.kind == "duality"
    return solution.status == "optimal" or (
        solution.status == "rounding" and near and is_low(solution)
    )
