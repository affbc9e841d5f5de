"""The numbers in which steps over a subspace are told: the parameters themselves, by default.

What a direction is, its logits and the penalty's products with it are all that the steps ask for.
"""

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from onelayer.objective import Evaluation
from onelayer.solvers.applied import dots, measure, survey
from onelayer.solvers.kept import KeptRows, Terms
from onelayer.solvers.preconditioner import (
    Preconditioner,
    choose_preconditioner,
    factor_some_rows,
    soften_diagonal,
)
from onelayer.solvers.second_order import RELATIVE_GAP

Array = NDArray[Any]


@dataclass(frozen=True)
class Stand:
    """A point of the parameters with its logits and what was summed there.

    Attributes
    ----------
    theta: (n_outputs, width), in the space's own numbers, the bias last. logits: (n_outputs, n).
    value: (groups,), the objective. gradient: (n_outputs, width), before it is made a direction.
    size: (groups,), the slope in the norm of the inverse penalty: about lambda at most.
    ended: whether the slope alone proves the end.
    moved: the gradient's own logits, where they have been found already.
    """

    theta: Array
    logits: Array
    terms: Terms
    value: Array
    gradient: Array
    size: Array
    ended: bool
    moved: Array | None = None


class Space(Protocol):
    """The numbers in which points and directions are told: `Weights`, or `shares.Shares`.

    `width` of them an output, the bias last; a few vectors of a piece's stay in cache.
    """

    @property
    def kept(self) -> KeptRows:
        """The rows."""

    @property
    def width(self) -> int:
        """Numbers of an output."""

    @property
    def pieces(self) -> list[slice]:
        """All of them, some at a time."""

    def look(self, theta: Array, logits: Array, terms: Terms) -> Stand:
        """What is summed where the logits are known."""

    def direct(self, stand: Stand) -> tuple[Array, Array]:
        """The slope's direction (n_outputs, width) and its logits (n_outputs, n)."""

    def weigh(self, own: slice, values: Array, logits: Array) -> Array:
        """The penalty times a direction, of which `values` (own, n_outputs) are a piece."""

    def learn(self, stand: Stand, steps: int) -> "tuple[Space, int]":
        """The space to go on in after so many steps with its preconditioner, and how many then."""


@dataclass(frozen=True)
class Weights:
    """The parameters themselves, in the objective's coordinates.

    Attributes
    ----------
    far: what `applied.find_farthest_row` gives.
    renewed: whether the preconditioner is made anew where that pays.
    """

    kept: KeptRows
    tol: float
    far: float
    precondition: Preconditioner
    renewed: bool

    @property
    def width(self) -> int:
        """See `Space`."""
        return self.kept.objective.width

    @property
    def pieces(self) -> list[slice]:
        """See `Space`."""
        return self.kept.pieces

    def look(self, theta: Array, logits: Array, terms: Terms) -> Stand:
        """See `Space`: one product back."""
        evaluation, gradient = self.kept.evaluate(theta, terms)
        slopes, penalty = gradient[:, :-1], self.kept.objective.penalty[:-1]
        size = np.sqrt(dots(self.kept.objective, slopes / penalty, slopes))
        proved = self._is_proved(theta, evaluation, gradient, size)
        return Stand(theta, logits, terms, evaluation.value, gradient, size, proved)

    def _is_proved(
        self, theta: Array, evaluation: Evaluation, gradient: Array, size: Array
    ) -> bool:
        """Looked at closely only where it may hold."""
        if not is_small(size, self.tol, evaluation.value):
            return False
        objective = self.kept.objective
        around = survey(objective, theta, evaluation, self.far)
        points = measure(objective, around, gradient, np.zeros_like(gradient), gradient)
        return all(
            point.decrement < 2 * point.rounding
            or (point.rho <= self.tol and point.gap <= RELATIVE_GAP * max(each - point.gap, 0.0))
            for point, each in zip(points, evaluation.value, strict=True)
        )

    def direct(self, stand: Stand) -> tuple[Array, Array]:
        """See `Space`: one product."""
        slope = self.precondition(stand.gradient)
        if self.kept.softmax:
            slope = take_shared_off(slope)
        return slope, self.kept.linear(slope)

    def weigh(self, own: slice, values: Array, logits: Array) -> Array:
        """See `Space`."""
        return np.asarray(values * self.kept.objective.penalty[own, None])

    def learn(self, stand: Stand, steps: int) -> "tuple[Weights, int]":
        """See `Space`."""
        better = factor_some_rows(self.kept, stand.terms, self.precondition, steps)
        if better is None and self.renewed:
            better = choose_preconditioner(self.kept, stand.terms, self.precondition, steps)
        if better is None or better is self.precondition:
            return self, steps
        return replace(self, precondition=better), 0


def is_small(size: Array, tol: float, value: Array) -> bool:
    """Whether a slope of this size may prove the end."""
    return bool((size <= tol).all() and (0.5 * np.square(size) <= RELATIVE_GAP * value).all())


def choose_weights(kept: KeptRows, theta: Array, tol: float, far: float) -> tuple[Weights, Stand]:
    """The parameters as they are, and the start there: one look."""
    if kept.softmax:
        theta = take_shared_off(theta)
    logits = kept.linear(theta)
    terms = kept.terms(logits)
    soft = soften_diagonal(kept, terms)
    precondition = soft or choose_preconditioner(kept, terms, None, 0)
    space = Weights(kept, tol, far, precondition, soft is None)
    return space, space.look(theta, logits, terms)


def take_shared_off(parameters: Array) -> Array:
    """Parameters (n_outputs, p + 1) less what all classes share, which moves no probability: its
    only curvature is the penalty's, far below all other where columns are large."""
    values = parameters.T
    return np.asarray(np.subtract(values, values.mean(axis=1)[:, None]).T)
