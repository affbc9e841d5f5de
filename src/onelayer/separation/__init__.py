"""Separation: whether the classes can be told apart, so that without a penalty nothing is optimal.

If some d has sigma_i x~_i'd >= 0 for every row and > 0 for some, the loss falls for ever along d:
there is no finite optimum. All rows > 0 is complete separation, else it is quasi-complete; if there
is no such d, the optimum is finite and attained. Source: A. Albert and J. A. Anderson, Biometrika
71 (1984), 1-10; the search is derived in docs/mathematics.md.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.coordinates import Coordinates, measure_columns
from onelayer.loss import Loss, SigmoidLoss, SoftmaxLoss
from onelayer.rows.blas import single_threaded_blas
from onelayer.rows.memory import MemoryRows
from onelayer.separation.cutting import (
    NEAR,
    Unsettled,
    Working,
    cut,
    cut_few,
    find_any,
    find_strict,
    start_working,
)
from onelayer.separation.found import Direction as Direction
from onelayer.separation.found import Separation as Separation
from onelayer.separation.planes import drop_small, is_exact, settle_on_plane
from onelayer.separation.ranges import separate_by_single_columns
from onelayer.separation.sides import Mask, Sides, make_sides

Array = NDArray[Any]

MOST_PARAMETERS = 1000  # of a linear program: beyond, it takes minutes
MOST_REDUCED = 200  # of one for few columns, which takes longer and whose answer is less read


def find_separation(
    rows: MemoryRows,
    loss: Loss | None = None,
    *,
    fit_intercept: bool = True,
    output: int = 0,
    start: Array | None = None,
    where: Coordinates | None = None,
    programs: bool = True,
) -> Separation:
    """Look for a direction that separates the classes; without one, prove that there is none.

    Parameters
    ----------
    rows: features, labels and weights; rows of weight 0 do not count.
    loss: what the labels mean; one sigmoid output if None.
    output: of several sigmoid outputs, which.
    start: (n_outputs, p + 1) parameters, the bias last, that may separate all rows already.
    where: the columns' ranges, where they have been measured.
    programs: whether to go beyond single columns and `start`, to linear programs.

    Returns
    -------
    A `Separation`, whose kind is "none", "quasi-complete", "complete" or, where the columns are too
    many or float64 cannot tell, "undecided".

    Examples
    --------
    >>> from onelayer.blocks import Block
    >>> from onelayer.features.dense import DenseFeatures
    >>> x, rare = [0.0, 1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 0.0, 1.0]
    >>> block = Block(
    ...     DenseFeatures(np.column_stack([x, rare])),
    ...     np.array([[0.0, 1.0, 0.0, 1.0, 1.0]]),
    ...     np.ones(5),
    ... )
    >>> found = find_separation(MemoryRows(block))
    >>> found.kind, found.columns, found.rows.tolist()
    ('quasi-complete', (1,), [4])
    """
    loss = loss or SigmoidLoss(1)
    with single_threaded_blas():
        where = where or measure_columns(rows, fit_intercept)
        sides = make_sides(rows, loss, where, output)
        search = _Search(sides)
        search.run(start, programs)
    several = loss.n_outputs > 1 and not isinstance(loss, SoftmaxLoss)
    return search.report(output if several else None)


class _Search:
    """What has been found so far, and which margins are still open."""

    def __init__(self, sides: Sides) -> None:
        self.sides = sides
        self.all = self.open = sides.all_open()
        self.found: list[Direction] = []
        self.exact, self.reason = True, ""

    def run(self, start: Array | None, programs: bool) -> None:
        """Single columns first, then programs over what they leave."""
        self.found, self.open = separate_by_single_columns(self.sides, self.open)
        try:
            if self.open.any() and not self._close_by_bias():
                self._run_programs(start, programs)
        except Unsettled as unsettled:
            self.reason = str(unsettled)

    def _close_by_bias(self) -> bool:
        """Where rows of one class alone are left, the bias puts them on their side."""
        own = np.unique(self.sides.own[self.open.any(axis=0)])
        if len(own) > 1 or not self.sides.has_bias or self.sides.softmax:
            return False
        weights = np.zeros((1, self.sides.width))
        weights[0, -1] = 1.0 if own[0] == 1 else -1.0
        self.found.append(Direction(weights, (), int(self.open.sum())))
        self.open = np.zeros_like(self.open)
        return True

    def _run_programs(self, start: Array | None, programs: bool) -> None:
        """All at once, or the largest set that can be separated; then by few columns.

        What has been found stands, even where the search for more comes to no end.
        """
        before, size = self.open, self.sides.width * max(1, self.sides.n_outputs - 1)
        dense = self._try(start)
        if not dense:
            if not programs or size > MOST_PARAMETERS:
                why = "the columns are too many" if programs else "no more was looked for"
                raise Unsettled(why)
            working = start_working(self.sides, before)
            if find_any(working) is None:
                return
            dense, working = self._find_strict(working)
            dense = dense or self._find_all(working)
        elif programs and size <= MOST_REDUCED:
            working = start_working(self.sides, before)
        gone = before & ~self.open
        reduced = programs and size <= MOST_REDUCED and bool(gone.any())
        few = self._find_few(working, before, gone) if reduced else None
        self.found += dense if few is None else [few]

    def _find_strict(self, working: Working) -> tuple[list[Direction], Working]:
        """One direction that separates all rows, if there is one, and the rows worked on."""
        try:
            direction, margins, working = cut(working, find_strict, self.open, self.open)
            return ([] if direction is None else [self._close(direction, margins)]), working
        except Unsettled:
            return [], working

    def _find_all(self, working: Working) -> list[Direction]:
        """Directions that together separate all rows that can be."""
        out: list[Direction] = []
        try:
            while self.open.any():
                direction, margins, _ = cut(working, find_any, self.open)
                if direction is None:
                    break
                out.append(self._close(direction, margins))
                working = start_working(self.sides, self.open) if self.open.any() else working
        except Unsettled as unsettled:
            self.reason = str(unsettled)
        return out

    def _try(self, start: Array | None) -> list[Direction]:
        """The parameters that were handed in, where they separate every row."""
        if start is None:
            return []
        margins = self.sides.margins(start)
        if not (margins > self.sides.rounding(start))[self.open].all():
            return []
        return [self._close(start, margins, start)]

    def _close(self, direction: Array, margins: Array, raw: Array | None = None) -> Direction:
        """Take the rows off the plane of a direction from the open ones, if no row is beyond it."""
        sides = self.sides
        if raw is None:
            direction = drop_small(sides, direction)
            least = NEAR * float(np.abs(direction[:, :-1] * sides.span).max(initial=0))
            raw = settle_on_plane(sides, direction, self.open & (np.abs(margins) <= least))
            margins = sides.margins(raw)
        hidden = sides.rounding(raw)
        exact = is_exact(sides, raw, margins, self.open)
        limit = 0.0 if exact else hidden
        if (margins < -limit)[self.open].any() or not (margins > limit)[self.open].any():
            raise Unsettled("float64 cannot tell on which side some rows are")
        gone = self.open & (margins > limit)
        self.open, self.exact = self.open & ~gone, self.exact and exact
        columns = np.flatnonzero(np.any(raw[:, :-1] != 0, axis=0))
        return Direction(raw, tuple(map(int, columns)), int(gone.any(axis=0).sum()))

    def _find_few(self, working: Working, before: Mask, gone: Mask) -> Direction | None:
        """One direction of few columns for all margins `gone`; None where there is none."""
        kept = self.open, self.exact
        try:
            direction, margins = cut_few(working, before, gone)
            if direction is not None:
                self.open, self.exact = before, True
                few = self._close(direction, margins)
                if not (self.open & gone).any():
                    return few
        except Unsettled:
            pass
        self.open, self.exact = kept
        return None

    def report(self, output: int | None) -> Separation:
        """What all directions together say."""
        sides = self.sides
        gone = (self.all & ~self.open).any(axis=0)
        kind = "complete" if not self.open.any() else "quasi-complete" if self.found else "none"
        if self.reason and not self.found:
            kind = "undecided"
        columns = sorted({j for each in self.found for j in each.columns})
        return Separation(
            kind=kind,
            direction=_join(sides, self.found),
            columns=tuple(columns),
            rows=np.flatnonzero(gone),
            n_rows=int(self.all.any(axis=0).sum()),
            directions=tuple(self.found),
            exact=self.exact,
            output=output,
            reason=self.reason,
        )


def _join(sides: Sides, found: list[Direction]) -> Array:
    """One direction for all: earlier ones counted so often that later ones undo none of them."""
    if not found:
        return np.zeros((sides.n_outputs, sides.width))
    total = found[0].weights
    for each in found[1:]:
        behind = sides.margins(total)
        ahead = sides.margins(each.weights)
        undone = sides.all_open() & (behind > 0) & (ahead < 0)
        times = np.ceil(2 * np.max(-ahead[undone] / behind[undone], initial=0.5))
        total = total * times + each.weights
    return total
