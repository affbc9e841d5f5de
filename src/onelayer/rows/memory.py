"""Rows held in memory, worked on in blocks by threads.

NumPy and scipy.sparse let go of the interpreter lock inside their loops, so threads over blocks
use every core. Block borders depend on the shape alone and sums run in the order of the blocks:
the bits of a result do not depend on the number of threads.
"""

import operator
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import TILE_VALUES, Block, ClassFactors, weigh_classes
from onelayer.loss import multiply_weights, take_weights
from onelayer.rows.sharing import share

S = TypeVar("S")
T = TypeVar("T")

FEWEST = 4  # blocks of a table of many values, however wide it is
COPIED_BYTES = 10e6  # a larger part of the rows is copied piece by piece as it is read
SPARSE_ROWS, SPARSE_VALUES = 1 << 14, 1 << 20  # in a block of rows that hold few of their columns
BLOCKS = 32  # enough for even work on many cores, few enough to merge their Hessians cheaply


def available_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def merge_in_order(results: Iterable[T], merge: Callable[[T, T], T] | None) -> T:
    """The results added up, or merged, from the first to the last."""
    return reduce(merge or operator.add, results)


class MemoryRows:
    """A row source over one block in memory.

    >>> from onelayer.features.dense import DenseFeatures
    >>> block = Block(DenseFeatures(np.ones((3, 2))), np.ones((1, 3)), np.ones(3))
    >>> MemoryRows(block).reduce(lambda part: float(part.weights.sum()))
    3.0
    """

    room = np.inf  # bytes that a sample of the rows may take
    in_memory = True  # whether any of the rows can be had at any time
    drawn: Any = None  # of rows that are not, the sample that a fit holds

    def __init__(self, block: Block, n_jobs: int | None = None) -> None:
        self._set_up(block, block.n_rows, n_jobs)

    def _set_up(self, block: Block, n_rows: int, n_jobs: int | None) -> None:
        self.block, self.n_rows = block, n_rows
        self.n_columns = block.features.n_columns
        self.n_jobs = available_cores() if n_jobs in (None, -1) else max(1, int(n_jobs or 1))
        self._pool: ThreadPoolExecutor | None = None

    @cached_property
    def borders(self) -> list[tuple[int, int]]:
        """Where blocks begin and end; small tables are never asked for them."""
        block, n_rows = self.block, self.n_rows
        values = n_rows * block.features.row_values
        count = min(BLOCKS, max(1, values // TILE_VALUES))
        # Where a block holds hardly more values than there are columns, adding up its sums would
        # cost as much as making them; some blocks there must be, for the threads.
        count = min(count, max(FEWEST, values // (4 * max(1, block.features.n_columns))))
        if block.features.row_values < self.n_columns:
            # Such rows are short work: in blocks of few of them threads would wait for each other.
            count = min(count, max(2, n_rows // SPARSE_ROWS, values // SPARSE_VALUES))
        count = 1 << (count.bit_length() - 1)  # even work for any power of two of threads
        step = max(1, -(-n_rows // count))
        return [(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]

    def reduce(self, task: Callable[[Block], T], merge: Callable[[T, T], T] | None = None) -> T:
        """The sum over blocks of `task(block)`, merged in the order of the blocks."""
        total: list[T] = []

        def add(result: T) -> None:
            total[:] = [merge_in_order([*total, result], merge)]  # one at a time, not kept

        self._share(lambda border: task(self._between(*border)), self.borders, add)
        return total[0]

    def map(self, task: Callable[[Block], T]) -> Iterator[T]:
        """One result a block, in order; at most one more than threads is under way at a time."""
        return self.stream(lambda border: task(self._between(*border)), self.borders)

    def stream(self, task: Callable[[S], T], pieces: Iterable[S]) -> Iterator[T]:
        """`task(piece)` for each piece in order, as `map` does for blocks."""
        waiting = list(pieces)
        if self.n_jobs == 1 or len(waiting) == 1:
            yield from map(task, waiting)
            return
        pool = self._threads()

        def submit(piece: S) -> Future[T]:
            # np.errstate lives in the context, which threads do not inherit.
            return pool.submit(copy_context().run, task, piece)

        own = waiting[-1:] if len(waiting) <= self.n_jobs else []  # see `run`
        later = iter(waiting[: len(waiting) - len(own)])
        under_way = [submit(piece) for piece in islice(later, self.n_jobs + 1)]
        try:
            done = [task(piece) for piece in own]
            while under_way:
                yield under_way.pop(0).result()
                under_way.extend(submit(piece) for piece in islice(later, 1))
            yield from done
        finally:
            for future in under_way:
                future.cancel()

    def run(self, task: Callable[[S], T], pieces: Iterable[S]) -> list[T]:
        """`task(piece)` for each piece, on the same threads; the results in the pieces' order."""
        results: list[T] = []
        self._share(task, list(pieces), results.append)
        return results

    def _share(self, task: Callable[[S], T], pieces: list[S], take: Callable[[T], None]) -> None:
        helpers = min(self.n_jobs, len(pieces)) - 1
        if helpers > 0:
            share(self._threads(), helpers, task, pieces, take)
        else:
            for piece in pieces:
                take(task(piece))

    def beside(self, numbers: NDArray[Any]) -> "MemoryRows":
        """The same rows on the same threads, `numbers` (any, n_rows) in place of their labels."""
        return self.over(replace(self.block, labels=numbers))

    def over(self, block: Block) -> "MemoryRows":
        """The same rows of another block, in blocks as before and on the same threads."""
        other = copy(self)
        other.borders = self.borders
        other._pool = self._threads() if self.n_jobs > 1 else None
        other.block = block
        return other

    def find_class(self, label: int, output: int = 0) -> int:
        """The number of the first row of a class, which has one."""
        first = 0
        for place, n_rows in self.map(_First(label, output)):
            if place >= 0:
                return first + place
            first += n_rows
        raise AssertionError("both classes are trained on")

    def take(self, numbers: NDArray[np.intp]) -> Block:
        """The rows of these numbers, copied."""
        return self.block.take(numbers)

    def part(self, numbers: NDArray[np.intp]) -> "MemoryRows":
        """A source of the rows of these numbers: a copy, unless it would be large."""
        if len(numbers) * self.block.features.row_bytes > COPIED_BYTES:
            return DrawnRows(self.block, numbers, np.broadcast_to(1.0, len(numbers)), self.n_jobs)
        return MemoryRows(self.take(numbers), self.n_jobs)

    def weigh(self, factor: NDArray[np.float64]) -> "MemoryRows":
        """The same rows, each with its weight times a factor."""
        return self.over(replace(self.block, weights=multiply_weights(self.block.weights, factor)))

    def by_class(self, factors: ClassFactors) -> "MemoryRows":
        """The same rows, their weights times a factor for label 0 and one for label 1."""
        labels, weights = self.block.labels[0], self.block.weights
        return self.over(replace(self.block, weights=weigh_classes(labels, weights, factors)))

    def _between(self, start: int, stop: int) -> Block:
        return self.block.rows(start, stop)

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.n_jobs, thread_name_prefix="onelayer")
        return self._pool

    def sample(self, k: int, seed: int = 0) -> Block:
        """At most k rows, one drawn at random out of each of k equally long stretches."""
        return self.block if k >= self.n_rows else self.take(self.draw(k, seed))

    def draw(self, k: int, seed: int = 0) -> NDArray[np.intp]:
        """The numbers of k rows, one out of each of k equally long stretches, in order.

        Every k-th row would follow the period of ordered data; a stretch's random row does not.
        """
        edges = np.arange(k + 1) * self.n_rows // k
        return np.random.default_rng(seed).integers(edges[:-1], edges[1:])


@dataclass(frozen=True)
class _First:
    """The place of a block's first row of a class, or -1, and how many rows it has."""

    label: int
    output: int

    def __call__(self, block: Block) -> tuple[int, int]:
        places = np.flatnonzero(block.labels[self.output] == self.label)
        return (int(places[0]) if len(places) else -1), block.n_rows


class DrawnRows(MemoryRows):
    """Some rows of a block, by their numbers, each with its weight times a factor.

    They are copied block by block as they are worked on, and take no memory of their own.

    >>> from onelayer.features.dense import DenseFeatures
    >>> block = Block(DenseFeatures(np.arange(6.0).reshape(3, 2)), np.ones((1, 3)), np.ones(3))
    >>> drawn = DrawnRows(block, np.array([2, 0]), np.array([1.0, 5.0]))
    >>> drawn.reduce(lambda part: part.features.back(part.weights[None])).tolist()
    [[4.0, 10.0]]
    """

    def __init__(
        self,
        block: Block,
        numbers: NDArray[np.intp],
        factor: NDArray[np.float64],
        n_jobs: int | None = None,
    ) -> None:
        self.numbers, self.factor = numbers, factor
        self._set_up(block, len(numbers), n_jobs)

    def take(self, numbers: NDArray[np.intp]) -> Block:
        return self._copy(self.numbers[numbers], take_weights(self.factor, numbers))

    def weigh(self, factor: NDArray[np.float64]) -> "DrawnRows":
        return DrawnRows(
            self.block, self.numbers, multiply_weights(self.factor, factor), self.n_jobs
        )

    def _between(self, start: int, stop: int) -> Block:
        return self._copy(self.numbers[start:stop], self.factor[start:stop])

    def _copy(self, numbers: NDArray[np.intp], factor: NDArray[np.float64]) -> Block:
        block = self.block.take(numbers)
        return replace(block, weights=multiply_weights(block.weights, factor))
