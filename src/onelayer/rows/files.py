"""Rows that are read anew in every pass: from a cache on disk, or encoded from their table again.

Blocks are cut by the number of rows and columns alone, so that the bits of a result depend neither
on the memory that may be used nor on how the rows came.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextvars import copy_context
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block, ClassFactors, stack_blocks, weigh_classes
from onelayer.errors import InputError
from onelayer.features.mixed import MixedFeatures
from onelayer.rows.cache import Cache, CachedBlock, Layout, no_rows
from onelayer.rows.journal import Journal
from onelayer.rows.memory import MemoryRows, available_cores, merge_in_order

Array = NDArray[Any]
T = TypeVar("T")

BLOCK_VALUES = 1 << 19  # 4 MiB of float64


@dataclass(frozen=True)
class StoredBlock:
    """What is known of such rows without reading them; `features` are their columns, no rows."""

    features: MixedFeatures
    n_rows: int

    @property
    def labels(self) -> Array:
        raise _not_in_memory()

    @property
    def weights(self) -> Array:
        raise _not_in_memory()


def _not_in_memory() -> InputError:
    return InputError(
        "this needs the rows in memory: train with a finite C and without gradient descent in "
        "batches, or on a table that fits"
    )


class FileRows(MemoryRows):
    """A row source over a cache on disk, with the interface of `MemoryRows`.

    Parameters
    ----------
    cache: the rows.
    room: bytes that a sample of them may take.
    watch: told from which row to which a block goes that a pass has come to.

    Its `journal`, if any, keeps what passes come to. Its `factors` multiply the weights of rows of
    label 0 and of label 1.
    """

    factors: ClassFactors = (1.0, 1.0)
    journal: Journal | None = None
    in_memory = False

    def __init__(
        self,
        cache: Cache,
        n_jobs: int | None = None,
        room: float = np.inf,
        watch: Callable[[int, int], None] | None = None,
    ) -> None:
        self.cache = cache
        self._begin(cache.layout, cache.n_rows, n_jobs, room)
        self.watch = watch

    def _begin(self, layout: Layout, n_rows: int, n_jobs: int | None, room: float) -> None:
        self.layout, self.n_rows, self.n_columns, self.room = layout, n_rows, layout.n_columns, room
        self.n_jobs = available_cores() if n_jobs in (None, -1) else max(1, int(n_jobs or 1))
        self.block = StoredBlock(no_rows(layout), n_rows)  # type: ignore[assignment]
        step = max(1, BLOCK_VALUES // self.block.features.row_values)
        self.borders = [(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]
        self._pool = None

    def close(self) -> None:
        """Let go of the files; the rows are not read again."""
        self.cache.close()

    def by_class(self, factors: ClassFactors) -> "FileRows":
        other = copy(self)
        other._pool, other.drawn = self._threads(), None
        other.factors = self.factors[0] * factors[0], self.factors[1] * factors[1]
        return other

    def reduce(self, task: Callable[[Block], T], merge: Callable[[T, T], T] | None = None) -> T:
        return self._once(task, merge, partial(super().reduce, task, merge))

    def _once(self, task: Any, merge: Any, add_up: Callable[[], T]) -> T:
        """The sum, kept where there is a journal."""
        if self.journal is None:
            return add_up()
        return self.journal.once((self.factors, task, merge), add_up)

    def _between(self, start: int, stop: int) -> Block:
        watch = None if self.watch is None else partial(self.watch, start, stop)
        return CachedBlock(self.cache, start, stop, self.factors, watch)

    def take(self, numbers: NDArray[np.intp]) -> Block:
        order = np.argsort(numbers, kind="stable")
        pieces = list(self._find(numbers[order]))
        stacked = stack_blocks(self._gather(pieces))
        return stacked if (np.diff(order) > 0).all() else stacked.take(np.argsort(order))

    def _find(
        self, ascending: NDArray[np.intp]
    ) -> Iterator[tuple[tuple[int, int], NDArray[np.intp]]]:
        """The blocks that hold some of the rows, and the rows' places there."""
        cuts = np.searchsorted(ascending, [border[0] for border in self.borders[1:]])
        for border, own in zip(self.borders, np.split(ascending, cuts), strict=True):
            if len(own):
                yield border, own - border[0]

    def _gather(self, pieces: Iterable[tuple[tuple[int, int], NDArray[np.intp]]]) -> list[Block]:
        return self.run(lambda piece: self._between(*piece[0]).take(piece[1]), pieces)

    def part(self, numbers: NDArray[np.intp]) -> MemoryRows:
        return MemoryRows(self.take(numbers), self.n_jobs)

    def weigh(self, factor: NDArray[np.float64]) -> MemoryRows:
        raise _not_in_memory()


class ReadRows(FileRows):
    """Rows that `read()` brings in order, in blocks of any size, each time that it is called."""

    def __init__(
        self,
        read: Callable[[], Iterator[Block]],
        layout: Layout,
        n_rows: int,
        n_jobs: int | None = None,
        room: float = np.inf,
    ) -> None:
        self.read = read
        self._begin(layout, n_rows, n_jobs, room)
        self.watch = None

    def close(self) -> None:
        """Nothing is held."""

    def reduce(self, task: Callable[[Block], T], merge: Callable[[T, T], T] | None = None) -> T:
        return self._once(task, merge, lambda: merge_in_order(self.map(task), merge))

    def map(self, task: Callable[[Block], T]) -> Iterator[T]:
        pool, under_way = self._threads(), list[Future[T]]()
        for block in self._blocks():
            # np.errstate lives in the context, which threads do not inherit.
            under_way.append(pool.submit(copy_context().run, task, block))
            if len(under_way) > self.n_jobs:
                yield under_way.pop(0).result()
        for future in under_way:
            yield future.result()

    def _blocks(self) -> Iterator[Block]:
        """The rows in blocks of the borders, however they come."""
        waiting: list[Block] = []
        held, borders = 0, iter(self.borders)
        start, stop = next(borders, (0, 0))
        for block in self.read():
            waiting.append(block)
            held += block.n_rows
            while held and held >= stop - start:
                joined = stack_blocks(waiting)
                if self.watch is not None:
                    self.watch(start, stop)
                yield self._weighed(joined.rows(0, stop - start))
                held -= stop - start
                waiting = [joined.rows(stop - start, joined.n_rows)] if held else []
                start, stop = next(borders, (stop, stop))
        if held or start < self.n_rows:
            raise InputError(
                "the table has changed since this training began: it has another number of rows "
                "now; start again"
            )

    def _weighed(self, block: Block) -> Block:
        weights = weigh_classes(block.labels[0], block.weights, self.factors)
        return Block(block.features, block.labels, weights)

    def _gather(self, pieces: Iterable[tuple[tuple[int, int], NDArray[np.intp]]]) -> list[Block]:
        wanted = {start: places for (start, _), places in pieces}
        found, first = [], 0
        for block in self._blocks():
            if first in wanted:
                found.append(block.take(wanted[first]))
            first += block.n_rows
        return found
