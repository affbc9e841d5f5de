"""Rows on a cluster of Dask workers: partitions stay where they are, parameters travel.

Each partition is loaded once, by the worker that takes it, and kept there (`held.py`). A pass sends
the task, pickled once, and brings back sums, added in a tree whose shape the number of partitions
alone decides (`cluster.py`). So for one partitioning the bits of a result are the same for any
number of workers, for any order of finishing, and after a worker's death: Dask then loads what it
held on another one.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block, ClassFactors, weigh_classes
from onelayer.errors import InputError
from onelayer.features import Features
from onelayer.features.dense import DenseFeatures
from onelayer.features.stack import stack_features
from onelayer.rows.blas import single_threaded_blas
from onelayer.rows.cluster import (
    Workers,
    check_here,
    check_workers,
    own_versions,
    pack,
    this_worker,
    unpack,
)
from onelayer.rows.held import HeldRows
from onelayer.rows.memory import MemoryRows

Array = NDArray[Any]
T = TypeVar("T")

ROOM = 1 << 28  # bytes that a sample may take in the process that trains


class Partition(Protocol):
    """A part of the rows: a picklable value that any worker can load; its `str` names it."""

    def load(self) -> Block:
        """Read the rows: the same ones at every call."""


class ClusterRows(MemoryRows):
    """A row source over partitions on Dask workers, with the interface of `MemoryRows`.

    Use `from_partitions`; or, for partitions of several blocks each, `load_parts`, and one source
    for each `side`. The workers keep the partitions as long as this object, or one made from
    it, is alive. `block` knows the columns alone.
    """

    room = ROOM
    in_memory = False
    watch: Callable[[int, int], None] | None = None  # told from which row to which a pass has come

    def __init__(
        self, workers: Workers, held: Sequence[Any], n_jobs: int | None = None, side: int = 0
    ) -> None:
        self._workers, self._side = workers, side
        self._changes: tuple[_Shift | _ByClass, ...] = ()
        workers.finish(held)
        parts = workers.begin("facts", partial(_describe, side=side), held)
        facts = workers.fetch(parts, parts, held)
        full = [k for k, each in enumerate(facts) if each.n_rows]
        if not full:
            raise InputError(f"none of the {len(facts)} partitions holds a row with a weight")
        self._held, self._places = [held[k] for k in full], full
        self._workers = Workers(workers.client, [workers.names[k] for k in full])
        features = _require_same_columns([facts[k].features for k in full], self._workers.names)
        self._first = np.cumsum([0, *(facts[k].n_rows for k in full)])
        self.n_rows, self.n_columns = int(self._first[-1]), features.n_columns
        self.block = FarBlock(features, self.n_rows)  # type: ignore[assignment]
        empty = MemoryRows(Block(features, np.zeros((1, 0)), np.zeros(0)), n_jobs)
        self.n_jobs, self.borders = empty.n_jobs, empty.borders

    @classmethod
    def from_partitions(
        cls, client: Any, partitions: Sequence[Partition], n_jobs: int | None = None
    ) -> "ClusterRows":
        """Have the workers load partitions, and keep them.

        Parameters
        ----------
        client: a `dask.distributed.Client` that is not asynchronous.
        partitions: in the order of their rows; each at most a quarter of a worker's memory.
        n_jobs: threads for what is done here, on a sample of the rows.

        Raises
        ------
        InputError: there is no worker; one has other versions; a partition cannot be read or kills
            its workers; the scheduler goes away. Each names the address or the partition.
        """
        check_workers(client)
        names = [f"partition {k} ({each})" for k, each in enumerate(partitions)]
        return cls.from_parts(Workers(client, names), _load, partitions, n_jobs=n_jobs)

    @classmethod
    def from_parts(
        cls,
        workers: Workers,
        make: Callable[..., Block],
        *columns: Sequence[Any],
        n_jobs: int | None = None,
    ) -> "ClusterRows":
        """Have the workers make each partition's block from its items of the columns, and keep it.

        The items are values or futures, such as the chunks of an array.
        """
        return cls(workers, load_parts(workers, partial(_make_one, make), *columns), n_jobs)

    def reduce(self, task: Callable[[Block], T], merge: Callable[[T, T], T] | None = None) -> T:
        """The sum over partitions of `task(block)`, added in their order."""
        self._tell(0)
        total: T = self._workers.add_up(self._begin(task), merge, self._held)
        self._tell(self.n_rows)
        return total

    def _tell(self, row: int) -> None:
        if self.watch is not None:
            self.watch(row, row)

    def close(self) -> None:
        """Let go of the rows: workers forget partitions that nobody else holds on to."""
        self._held = []

    def map(self, task: Callable[[Block], T]) -> Iterator[T]:
        """One result a partition, in order."""
        parts = self._begin(task)
        return self._workers.stream(list(parts), parts, self._held)

    def over(self, block: Block) -> "ClusterRows":
        """The same rows, shifted as the features of `block` are."""
        other = self._copy()
        other.block = block
        other._changes = (*self._changes, _Shift(getattr(block.features, "shift", None)))
        return other

    def by_class(self, factors: ClassFactors) -> "ClusterRows":
        other = self._copy()
        other._changes = (*self._changes, _ByClass(factors))
        return other

    def _copy(self) -> "ClusterRows":
        other = object.__new__(ClusterRows)
        other.__dict__.update(self.__dict__, drawn=None)
        return other

    def by_partition(
        self, ascending: NDArray[np.intp], n_partitions: int
    ) -> list[NDArray[np.intp]]:
        """The rows of these numbers by partition, empty ones among them, each with numbers of its
        own from 0.
        """
        own = [np.zeros(0, dtype=np.intp)] * n_partitions
        pieces = np.split(ascending, np.searchsorted(ascending, self._first[1:-1]))
        for place, first, piece in zip(self._places, self._first, pieces):
            own[place] = piece - first
        return own

    def take(self, numbers: NDArray[np.intp]) -> Block:
        """The rows of these numbers, brought here."""
        order = np.argsort(numbers, kind="stable")
        own = np.split(numbers[order], np.searchsorted(numbers[order], self._first[1:-1]))
        chosen = [k for k, each in enumerate(own) if len(each)] or [0]
        held = [self._held[k] for k in chosen]
        tasks = [self._pickle(_Take(own[k] - self._first[k])) for k in chosen]
        workers = Workers(self._workers.client, [self._workers.names[k] for k in chosen])
        parts = workers.begin("take", _run, held, tasks)
        stacked = _stack(workers.fetch(parts, parts, held))
        return stacked if (np.diff(order) == 1).all() else stacked.take(np.argsort(order))

    def sample(self, k: int, seed: int = 0) -> Block:
        """At most k rows, one drawn at random out of each of k equally long stretches."""
        return self.take(np.arange(self.n_rows) if k >= self.n_rows else self.draw(k, seed))

    def part(self, numbers: NDArray[np.intp]) -> MemoryRows:
        return MemoryRows(self.take(numbers), self.n_jobs)

    def weigh(self, factor: NDArray[np.float64]) -> MemoryRows:
        raise _too_far()

    def beside(self, numbers: NDArray[Any]) -> MemoryRows:
        raise _too_far()

    def run(self, task: Callable[[Any], T], pieces: Iterable[Any]) -> list[T]:
        raise _too_far()

    def _begin(self, task: Callable[[Block], Any]) -> list[Any]:
        return self._workers.begin("pass", _run, self._held, [self._pickle(task)] * len(self._held))

    def _pickle(self, task: Callable[[Block], Any]) -> bytes:
        return pack((self._side, self._changes, task, np.geterr(), own_versions()))

    def __reduce__(self) -> tuple[Any, ...]:
        # A task that holds on to its source must not take it along.
        return _Elsewhere, ()


class _Elsewhere:
    """Stands for the row source in tasks that were sent away."""


@dataclass(frozen=True)
class FarBlock:
    """What is known here of rows that are far away; `features` are their columns, no rows."""

    features: Features
    n_rows: int

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise _too_far()


def _too_far() -> InputError:
    return InputError(
        "this needs the rows in one memory, and they are on a cluster: train with a number for C "
        "that is finite, without batch_size and with solver='auto', or on rows that fit"
    )


@dataclass(frozen=True)
class _Facts:
    n_rows: int
    features: Features  # without their rows


@dataclass(frozen=True)
class _Shift:
    """What tiles take off each row."""

    shift: Array | None

    def __call__(self, block: Block) -> Block:
        assert isinstance(block.features, DenseFeatures)
        return replace(block, features=replace(block.features, shift=self.shift))


@dataclass(frozen=True)
class _ByClass:
    """What weights of rows of label 0 and of label 1 are multiplied by."""

    factors: ClassFactors

    def __call__(self, block: Block) -> Block:
        weights = weigh_classes(block.labels[0], block.weights, self.factors)
        return replace(block, weights=weights)


@dataclass(frozen=True)
class _Take:
    """The rows of these numbers in a partition."""

    numbers: NDArray[np.intp]

    def __call__(self, block: Block) -> Block:
        return block.take(self.numbers)


def _require_same_columns(features: Sequence[Features], names: Sequence[str]) -> Features:
    first = features[0]
    for each, name in zip(features, names, strict=True):
        if (type(each), each.n_columns) != (type(first), first.n_columns):
            raise InputError(
                f"{name} has {each.n_columns} columns ({type(each).__name__}), expected "
                f"{first.n_columns} ({type(first).__name__}) as in {names[0]}"
            )
    return first


def _load(partition: Partition) -> Block:
    return partition.load()


def _make_one(make: Callable[..., Block], *parts: Any) -> tuple[Block]:
    return (make(*parts),)


def load_parts(
    workers: Workers, make: Callable[..., tuple[Block, ...]], *columns: Sequence[Any]
) -> list[Any]:
    """Have the workers make each partition's blocks from its items of the columns, and keep them.

    Returns a future for each partition, to make a `ClusterRows` of.
    """
    hold = partial(_hold, make=make, versions=own_versions())
    return workers.begin("load", hold, workers.names, *columns)


def _hold(
    name: str, *parts: Any, make: Callable[..., tuple[Block, ...]], versions: dict[str, str]
) -> tuple[HeldRows, ...]:
    """On a worker: read a partition, and keep it."""
    check_here(versions)
    try:
        held = tuple(HeldRows(block) for block in make(*parts))
    except Exception as error:
        said = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        raise InputError(f"{name} cannot be read: {' '.join(said.split())}") from None
    return tuple(map(_settle, held))


def _settle(held: HeldRows) -> HeldRows:
    worker = this_worker()
    held.settle(worker.memory_manager.memory_limit, worker.local_directory)
    return held


def _describe(held: tuple[HeldRows, ...], side: int) -> _Facts:
    features = held[side].block.features
    return _Facts(features.n_rows, features.take(np.zeros(0, dtype=np.intp)))


def _run(sides: tuple[HeldRows, ...], pickled: bytes) -> Any:
    """On a worker: a task on a partition."""
    side, changes, task, errors, versions = unpack(pickled)
    check_here(versions)
    held = _settle(sides[side])
    block = held.block
    for change in changes:
        block = change(block)
    try:
        with single_threaded_blas(), np.errstate(**errors):
            return task(block)
    finally:
        held.rest()


def _stack(blocks: list[Block]) -> Block:
    if len(blocks) == 1:
        return deepcopy(blocks[0])  # what came over the network may lie anywhere in memory
    return Block(
        stack_features([block.features for block in blocks]),
        np.concatenate([block.labels for block in blocks], axis=1),
        np.concatenate([block.weights for block in blocks]),
    )
