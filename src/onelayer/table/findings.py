"""What passes over parts of a table found, so that it can be added up: the raw part of a survey."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from onelayer.rows.lots import draw_lots, hold_out
from onelayer.table.levels import read_levels
from onelayer.table.schema import read_weights
from onelayer.table.tally import Tally
from onelayer.table.target import get_target
from onelayer.table.values import map_in_threads

if TYPE_CHECKING:
    from onelayer.table.reading import Table

_SAMPLE_SEED = 0x5EED
_EVERY_LOT = 2**64 - 1
SPARE = 4  # one part in so many of the sample is taken in before it is drawn anew, which copies it


@dataclass(frozen=True)
class Split:
    """Which rows a training uses, and for what.

    Attributes
    ----------
    target, weight : columns; a row without a target or with weight 0 is not there
    holdout : share of the rows that is held out. seed : of the draw
    """

    target: str
    weight: str | None
    holdout: float
    seed: int
    na: tuple[str, ...] = ()

    def apply(self, first: int, table: Table) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return which rows of a batch are there, and which of these are held out."""
        return self.choose(first, table, self.find_labelled(table))

    def find_labelled(self, table: Table) -> NDArray[np.bool_]:
        """Return which rows of a batch have a target."""
        return read_levels(get_target(table, self.target), self.na).is_not_null().to_numpy()

    def choose(
        self, first: int, table: Table, labelled: NDArray[np.bool_]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return what `apply` does, of a batch whose rows with a target are known."""
        there = labelled
        if self.weight is not None:
            there = there & (read_weights(table, self.weight, self.na, some=False) > 0)
        return there, there & hold_out(
            np.arange(first, first + len(there)), self.holdout, self.seed
        )


class Findings:
    """What is known of the batches seen so far; those of two runs of rows add up, in their order.

    Parameters
    ----------
    split : which rows count
    size : rows of the sample. limit : rows of larger lots are not in it, see `limit_lots`
    """

    def __init__(self, split: Split, size: int, limit: int = _EVERY_LOT) -> None:
        self.split, self.sample = split, Sample(size, limit)
        self.tallies: dict[str, Tally] = {}
        self.targets: Tally | None = None
        self.n_rows = self.n_labelled = self.n_there = self.n_held = 0
        self.left_out: list[int] = []

    def add(self, first: int, table: Table) -> None:
        """See the rows of a batch, the first of which has the number `first`."""
        self.see(first, table, self.split.find_labelled(table))

    def see(self, first: int, table: Table, labelled: NDArray[np.bool_]) -> None:
        """`add`, given which of the rows have a target."""
        there, held = self.split.choose(first, table, labelled)
        frame = table.frame
        target, kinds = self.split.target, frame.schema.items()
        self.tallies = self.tallies or {name: Tally(kind, name == target) for name, kind in kinds}
        self.targets = self.targets or Tally(frame.schema[target], is_target=True)
        trained = there & ~held
        tasks: list[Callable[[], None]] = [
            partial(self.sample.add, first, table),
            partial(self.targets.count, frame[target]),
            *(partial(tally.see, frame[name], trained) for name, tally in self.tallies.items()),
        ]
        map_in_threads(lambda task: task(), tasks)
        self.n_rows, self.n_there = self.n_rows + frame.height, self.n_there + int(there.sum())
        self.n_labelled += int(labelled.sum())
        self.n_held += int(held.sum())
        self.left_out += [line.line for line in table.left_out]

    def __add__(self, later: Findings) -> Findings:
        """Take in what was found in the rows behind these."""
        if not self.n_rows or not later.n_rows:
            return self if self.n_rows else later
        assert self.targets is not None
        assert later.targets is not None
        for name, tally in self.tallies.items():
            tally.merge(later.tallies[name])
        self.targets.merge(later.targets)
        self.sample.merge(later.sample)
        self.n_rows, self.n_there = self.n_rows + later.n_rows, self.n_there + later.n_there
        self.n_labelled += later.n_labelled
        self.n_held += later.n_held
        self.left_out += later.left_out
        return self


class Sample:
    """The rows of the `size` least lots so far, of those up to `limit`."""

    def __init__(self, size: int, limit: int) -> None:
        self._frames: list[pl.DataFrame] = []
        self._numbers: list[NDArray[np.int64]] = []
        self._lots: list[NDArray[np.uint64]] = []
        self._size, self._limit = size, np.uint64(limit)
        self._first: Table | None = None

    def add(self, first: int, table: Table) -> None:
        """Draw among the rows of a batch."""
        self._first = self._first or replace(table, frame=table.frame.clear(), lines=None)
        numbers = np.arange(first, first + table.frame.height)
        lots = draw_lots(numbers, _SAMPLE_SEED)
        places = np.flatnonzero(lots <= self._limit)
        self._take([table.frame[places]], [numbers[places]], [lots[places]])

    def merge(self, later: Sample) -> None:
        """Draw among the rows of another sample, which come behind these."""
        self._take(later._frames, later._numbers, later._lots)

    def _take(
        self,
        frames: list[pl.DataFrame],
        numbers: list[NDArray[np.int64]],
        lots: list[NDArray[np.uint64]],
    ) -> None:
        self._frames += frames
        self._numbers += numbers
        self._lots += lots
        if sum(map(len, self._lots)) > self._size + self._size // SPARE:
            self._shrink()

    def _shrink(self) -> None:
        lots, numbers = np.concatenate(self._lots), np.concatenate(self._numbers)
        frame = pl.concat(self._frames)
        if len(lots) > self._size:
            self._limit = np.partition(lots, self._size - 1)[self._size - 1]
            kept = np.flatnonzero(lots <= self._limit)
            frame, lots, numbers = frame[kept], lots[kept], numbers[kept]
        self._frames, self._lots, self._numbers = [frame], [lots], [numbers]

    def close(self, name: str, na: tuple[str, ...]) -> tuple[Table, NDArray[np.int64]]:
        """The rows drawn, in order, and their numbers."""
        self._shrink()
        assert self._first is not None
        table = replace(
            self._first, frame=self._frames[0], name=name, na=na, left_out=(), first_line=None
        )
        return table, self._numbers[0]


def limit_lots(size: int, n_rows: int) -> int:
    """A lot that the `size` least of `n_rows` lots do not exceed, unless by a freak of chance.

    So a part of a long table keeps few rows for the sample, without a look at the others. Ten
    standard deviations on top: were it exceeded, the sample would be that much smaller.

    >>> limit_lots(100, 50) == 2**64 - 1, limit_lots(100, 10_000) / 2**64
    (True, 0.02)
    """
    share = (size + 10 * size**0.5) / max(1, n_rows)
    return min(int(share * 2.0**64), _EVERY_LOT) if share < 1 else _EVERY_LOT
