"""Separation and dependence among rows that are not in memory: sought in a part, tried on all.

What separates all rows separates any part of them, and what depends on each other everywhere does
so in a part. So both are looked for among rows that are drawn and held, and what is found there is
tried on all rows in one pass; rows that refute it join those that are held, and the search begins
again (cutting planes, as in `separation/`, whose rows are all at hand).
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block, stack_blocks
from onelayer.coordinates import Coordinates, measure_columns
from onelayer.dependence import EXACT, Dependence, find_dependences
from onelayer.loss import Loss, SoftmaxLoss
from onelayer.rows.memory import MemoryRows
from onelayer.separation import Separation, find_separation
from onelayer.solvers.sample import draw_sample

Array = NDArray[Any]

EPS = float(np.finfo(np.float64).eps)
MOST_ROUNDS = 20
SOME = 1024  # rows that mostly show that classes overlap, few enough to be sent
ADDED = 400  # rows that join those held, the worst of a round
LOOSE = 100.0  # times the tolerance of a search, that a formula may be off in a row


def separate_far(
    rows: MemoryRows,
    loss: Loss,
    *,
    fit_intercept: bool,
    output: int,
    start: Array | None,
    where: Coordinates | None = None,
    programs: bool = True,
) -> Separation:
    """`find_separation` for rows that are not in memory; it counts rows and names none.

    Without programs complete separation alone is looked for, and no pass made over all rows where
    few of them overlap.

    Parameters
    ----------
    where: the columns' ranges, of all rows. The others: see `find_separation`.
    """
    options: dict[str, Any] = {"fit_intercept": fit_intercept, "output": output, "start": start}
    options["programs"] = programs
    if isinstance(loss, SoftmaxLoss):
        return _undecided(rows, output, "rows of several classes are not in memory")
    if not programs:
        found = find_separation(_draw_both(rows, output), loss, **options)
        if found.kind != "complete":
            return found
    where = where or measure_columns(rows, fit_intercept)
    held = hold_rows(rows, loss)
    for _ in range(MOST_ROUNDS):
        found = find_separation(held, loss, **options)
        if not found.found or not (programs or found.kind == "complete"):
            return _judge_none(found, held, rows, fit_intercept, where)
        limit = _rounding(found.direction, where)
        check = _Margins(found.direction, output, limit)
        wrong, sizes, right, there = _gather(rows, check)
        if not len(wrong):
            kind = "complete" if right == there else "quasi-complete"
            return replace(found, kind=kind, rows=np.zeros(0, np.intp), count=right, n_rows=there)
        held = _add(held, rows, wrong[np.argsort(sizes)[:ADDED]])
    return _undecided(rows, output, "too many rows had to be looked at")


def _draw_both(rows: MemoryRows, output: int) -> MemoryRows:
    """A few rows at random, some of each class among them."""
    most = int(min(SOME, rows.n_rows, rows.room // rows.block.features.row_bytes + 1))
    block = rows.take(rows.draw(most))
    lacking = [k for k in (0, 1) if not (block.labels[output] == k).any()]
    firsts = np.array([rows.find_class(k, output) for k in lacking], dtype=np.intp)
    return MemoryRows(stack_blocks([block, rows.take(firsts)]) if lacking else block, rows.n_jobs)


def hold_dependent(rows: MemoryRows, loss: Loss, fit_intercept: bool) -> MemoryRows:
    """A part of the rows, in memory, in which columns depend on each other as in all of them."""
    held = hold_rows(rows, loss)
    for _ in range(MOST_ROUNDS):
        found = find_dependences(held, fit_intercept=fit_intercept)
        sums = [each for each in found if each.terms]
        if not sums:
            break
        where = measure_columns(held, fit_intercept)
        wrong, sizes, _, _ = _gather(rows, _make_formulas(sums, where))
        if not len(wrong):
            break
        held = _add(held, rows, wrong[np.argsort(sizes)[:ADDED]])
    return held


def hold_rows(rows: MemoryRows, loss: Loss) -> MemoryRows:
    """Rows drawn at random, and all of those where a column that is nearly always 0 is not."""
    sample = draw_sample(rows, loss).plain
    if type(sample.block.features) is type(rows.block.features):
        return sample
    return MemoryRows(sample.take(np.arange(sample.n_rows)), rows.n_jobs)


def _add(held: MemoryRows, rows: MemoryRows, numbers: NDArray[np.intp]) -> MemoryRows:
    more = rows.take(np.sort(numbers))
    return MemoryRows(stack_blocks([held.block, more]), rows.n_jobs)


def _judge_none(
    found: Separation,
    held: MemoryRows,
    rows: MemoryRows,
    fit_intercept: bool,
    where: Coordinates,
) -> Separation:
    """What the part proves holds for all, unless it lacks a column that others have."""
    lacking = measure_columns(held, fit_intercept).frozen & ~where.frozen
    if found.kind == "none" and lacking.any():
        return _undecided(rows, 0, "some columns are too rare to be looked into")
    return replace(found, n_rows=rows.n_rows)


def _undecided(rows: MemoryRows, output: int, reason: str) -> Separation:
    nothing = np.zeros((1, rows.n_columns + 1))
    return Separation("undecided", nothing, (), np.zeros(0, np.intp), rows.n_rows, reason=reason)


def _rounding(direction: Array, where: Coordinates) -> float:
    """How far a computed margin may be off, at most."""
    size = np.maximum(np.abs(where.low), np.abs(where.high))
    largest = float(np.abs(direction[0, :-1]) @ size + abs(direction[0, -1]))
    return 2 * (np.count_nonzero(direction) + 4) * EPS * largest


@dataclass(frozen=True)
class _Margins:
    """Of a block's rows those on the wrong side of a direction, and how many are on the right."""

    direction: Array
    output: int
    limit: float

    def __call__(self, block: Block) -> tuple[Array, Array, int, int, int]:
        W, bias = self.direction[:, :-1], self.direction[0, -1]
        Z = np.concatenate([tile.features.linear(W)[0] for tile in block.tiles()]) + bias
        held = np.asarray(block.weights) > 0
        margins = np.where(block.labels[self.output] > 0.5, Z, -Z)
        wrong = np.flatnonzero(held & (margins < -self.limit))
        wrong = wrong[np.argsort(margins[wrong])[:ADDED]]
        right = int((held & (margins > self.limit)).sum())
        return wrong, margins[wrong], right, int(held.sum()), block.n_rows


@dataclass(frozen=True)
class _Formulas:
    """Of a block's rows those for which a column is not the sum that it is said to be."""

    W: Array
    constants: Array
    limits: Array

    def __call__(self, block: Block) -> tuple[Array, Array, int, int, int]:
        parts = [tile.features.linear(self.W) for tile in block.tiles()]
        off = np.abs(np.hstack(parts) - self.constants[:, None]) / self.limits[:, None]
        worst = np.where(np.asarray(block.weights) > 0, off.max(axis=0), 0.0)
        wrong = np.flatnonzero(worst > 1)
        wrong = wrong[np.argsort(-worst[wrong])[:ADDED]]
        return wrong, -worst[wrong], 0, 0, block.n_rows


def _make_formulas(found: list[Dependence], where: Coordinates) -> _Formulas:
    W = np.zeros((len(found), len(where.low)))
    for k, each in enumerate(found):
        W[k, each.column] = 1.0
        for j, factor in each.terms:
            W[k, j] = -factor
    reach = where.high - where.low
    limits = LOOSE * EXACT * (np.abs(W) @ reach)
    return _Formulas(W, np.array([each.constant for each in found]), limits)


def _gather(
    rows: MemoryRows, check: "_Margins | _Formulas"
) -> tuple[NDArray[np.intp], Array, int, int]:
    """The numbers of the rows that are wrong, how wrong, and the counts of all blocks."""
    first, right, there = 0, 0, 0
    wrong, sizes = [np.zeros(0, np.intp)], [np.zeros(0)]
    for found, size, on_side, held, n_rows in rows.map(check):
        wrong.append(found + first)
        sizes.append(size)
        first, right, there = first + n_rows, right + on_side, there + held
    return np.concatenate(wrong), np.concatenate(sizes), right, there
