"""Rows on a cluster of Dask workers: partitions stay where they are, parameters travel.

Each partition is loaded once, by the worker that takes it, and kept there (`held.py`). A pass sends
the task, pickled once, and brings back sums. They are added in the order of the partitions, up to
`FAN` at a time, then those sums, and so on: a tree whose shape the number of partitions alone
decides. So for one partitioning the bits of a result are the same for any number of workers, for
any order of finishing, and after a worker's death: Dask then loads what it held on another one.
"""

import asyncio
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy, deepcopy
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.metadata import version
from operator import add
from typing import Any, Protocol, TypeVar
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block
from onelayer.errors import InputError
from onelayer.features import Features
from onelayer.features.dense import DenseFeatures
from onelayer.features.stack import stack_features
from onelayer.rows.blas import single_threaded_blas
from onelayer.rows.files import StoredBlock
from onelayer.rows.held import HeldRows
from onelayer.rows.memory import MemoryRows

Array = NDArray[Any]
T = TypeVar("T")

FAN = 8  # sums that are added in one place
PATIENCE = 20.0  # seconds without a worker, or without a word of the scheduler, before giving up
CHECK = 2.0  # seconds between looks at both
ROOM = 1 << 28  # bytes that a sample may take in the process that trains
EXTRA = "this needs Dask: pip install 'onelayer[dask]'"


class Partition(Protocol):
    """A part of the rows: a picklable value that any worker can load; its `str` names it."""

    def load(self) -> Block:
        """Read the rows: the same ones at every call."""


class Workers:
    """A client of a cluster, with the names of the partitions that it is to work on.

    What goes wrong there comes out as an `InputError` that names the partition or the address.
    """

    def __init__(self, client: Any, names: Sequence[str]) -> None:
        self.client, self.names = client, list(names)
        self.address = client.scheduler.address

    def begin(self, word: str, function: Callable[..., Any], *columns: Sequence[Any]) -> list[Any]:
        """One future for each item of the columns."""
        token = uuid4().hex[:8]
        keys = [f"onelayer-{word}-{token}-{k}" for k in range(len(columns[0]))]
        return list(self.client.map(function, *columns, key=keys, pure=False))

    def fetch(self, futures: Sequence[Any], *sources: Sequence[Any]) -> list[Any]:
        """The futures' values. `sources`: futures, one a partition, that tell whose fault it is."""
        try:
            return list(self.client.sync(_gather, self.client, list(futures), self.address))
        except Exception as error:
            raise self._explain(error, sources) from error

    def stream(self, futures: list[Any], *sources: Sequence[Any]) -> Iterator[Any]:
        """The futures' values in order, a few of them here at a time."""
        while futures:
            yield from self.fetch(futures[:FAN], *sources)
            del futures[:FAN]

    def add_up(
        self, parts: list[Any], merge: Callable[[T, T], T] | None, *sources: Sequence[Any]
    ) -> Any:
        """The sum of the futures' values, in a tree."""
        level, merging = parts, partial(_merge, merge=merge)
        while len(level) > FAN:
            groups = [level[k : k + FAN] for k in range(0, len(level), FAN)]
            level = self.begin("merge", merging, groups)
        return merging(self.fetch(level, parts, *sources))

    def _explain(self, error: Exception, sources: Sequence[Sequence[Any]]) -> Exception:
        from distributed import KilledWorker

        if isinstance(error, InputError):
            return error
        failed = sorted({k for each in sources for k, f in enumerate(each) if f.status == "error"})
        name = " or ".join(self.names[k] for k in failed)
        if isinstance(error, KilledWorker):
            return InputError(
                f"{name or error.task}: {error.allowed_failures + 1} workers that took it died, "
                f"the last at {error.last_worker.address}; mostly for want of memory: cut the rows "
                f"into smaller partitions, or give workers more memory"
            )
        if self.client.status != "running" or isinstance(error, TimeoutError):
            return InputError(
                f"the scheduler at {self.address} went away: start it and its workers, and train "
                f"again"
            )
        if failed:
            said = " ".join(f"{type(error).__name__}: {error}".split())
            return InputError(f"{name} cannot be read: {said}")
        return error


class ClusterRows(MemoryRows):
    """A row source over partitions on Dask workers, with the interface of `MemoryRows`.

    Use `from_partitions`. The workers keep the partitions as long as this object, or one made from
    it, is alive. `block` knows the columns alone.
    """

    room = ROOM

    def __init__(self, workers: Workers, held: Sequence[Any], n_jobs: int | None = None) -> None:
        self._workers, self._changes = workers, ()
        facts = workers.fetch(workers.begin("facts", _describe, held), held)
        full = [k for k, each in enumerate(facts) if each.n_rows]
        if not full:
            raise InputError(f"none of the {len(facts)} partitions holds a row with a weight")
        self._held = [held[k] for k in full]
        self._workers = Workers(workers.client, [workers.names[k] for k in full])
        features = _require_same_columns([facts[k].features for k in full], self._workers.names)
        self._first = np.cumsum([0, *(facts[k].n_rows for k in full)])
        self.n_rows, self.n_columns = int(self._first[-1]), features.n_columns
        self.block = StoredBlock(features, self.n_rows)  # type: ignore[assignment, arg-type]
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
        workers, load = Workers(client, names), partial(_load, versions=own_versions())
        return cls(workers, workers.begin("load", load, partitions, names), n_jobs)

    def reduce(self, task: Callable[[Block], T], merge: Callable[[T, T], T] | None = None) -> T:
        """The sum over partitions of `task(block)`, added in their order."""
        return self._workers.add_up(self._begin(task), merge, self._held)  # type: ignore[no-any-return]

    def map(self, task: Callable[[Block], T]) -> Iterator[T]:
        """One result a partition, in order."""
        parts = self._begin(task)
        return self._workers.stream(list(parts), parts, self._held)

    def over(self, block: Block) -> "ClusterRows":
        """The same rows, shifted as the features of `block` are."""
        other = copy(self)
        other.block = block
        other._changes = (*self._changes, _Shift(getattr(block.features, "shift", None)))
        return other

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

    def part(self, numbers: NDArray[np.intp]) -> MemoryRows:
        return MemoryRows(self.take(numbers), self.n_jobs)

    def weigh(self, factor: NDArray[np.float64]) -> MemoryRows:
        raise InputError("rows on a cluster take no weights from here: give them with the table")

    def _begin(self, task: Callable[[Block], Any]) -> list[Any]:
        return self._workers.begin(
            "pass", _run, self._held, [self._pickle(task)] * len(self._held)
        )

    def _pickle(self, task: Callable[[Block], Any]) -> bytes:
        from distributed.protocol.pickle import dumps

        return bytes(dumps((self._changes, task, np.geterr(), own_versions())))

    def __reduce__(self) -> tuple[Any, ...]:
        # A task that holds on to its source must not take it along.
        return _Elsewhere, ()


class _Elsewhere:
    """Stands for the row source in tasks that were sent away."""


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
class _Take:
    """The rows of these numbers in a partition."""

    numbers: NDArray[np.intp]

    def __call__(self, block: Block) -> Block:
        return block.take(self.numbers)


def find_client() -> Any:
    """The client that was made last in this process.

    Raises
    ------
    InputError: there is none.
    """
    try:
        from distributed import default_client
    except ImportError:
        raise InputError(EXTRA) from None
    try:
        return default_client()
    except ValueError:
        raise InputError(
            "a table of Dask needs workers: from dask.distributed import Client; client = Client()"
        ) from None


@contextmanager
def connect(address: str) -> Iterator[Any]:
    """A client of the scheduler at `address`; "local:4" starts four workers on this machine.

    Raises
    ------
    InputError: Dask is not installed; no scheduler answers there.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise InputError(EXTRA) from None
    kind, _, count = address.partition(":")
    if kind == "local":
        if not count.isdecimal() or int(count) < 1:
            raise InputError(f"{address}: expected local: and a number of workers, as in local:4")
        options = {"n_workers": int(count), "threads_per_worker": 1, "dashboard_address": None}
        with LocalCluster(**options) as cluster, Client(cluster) as client:
            yield client
        return
    try:
        client = Client(address, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise InputError(f"no scheduler answers at {address}: {error}") from None
    with client:
        yield client


def check_workers(client: Any) -> None:
    """Require a worker, and on each worker the versions of this process.

    Raises
    ------
    InputError: there is none within 20 seconds; one differs.
    """
    if client.asynchronous:
        raise InputError("the client is asynchronous: make one with asynchronous=False")
    address = client.scheduler.address
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
        found = client.run(own_versions, on_error="return")
    except (OSError, TimeoutError) as error:
        if isinstance(error, TimeoutError) and client.status == "running":
            raise InputError(f"{address} has no workers: start some") from None
        raise InputError(f"the scheduler at {address} does not answer: {error}") from None
    for worker, theirs in found.items():
        if isinstance(theirs, BaseException):
            raise InputError(
                f"worker {worker} cannot use onelayer {own_versions()['onelayer']}: {theirs}: "
                f"install the same version everywhere"
            )
        _require_versions(worker, theirs, own_versions())


@cache
def own_versions() -> dict[str, str]:
    """What must be the same everywhere for the same bits, and for pickles to be understood."""
    import onelayer

    return {
        "onelayer": onelayer.__version__,
        "python": ".".join(platform.python_version_tuple()[:2]),
        "numpy": np.__version__,
        "scipy": version("scipy"),
    }


def _require_versions(worker: str, theirs: dict[str, str], ours: dict[str, str]) -> None:
    for name, own in ours.items():
        if theirs.get(name) != own:
            raise InputError(
                f"worker {worker} has {name} {theirs.get(name)}, and here it is {own}: install "
                f"the same version everywhere"
            )


def _require_same_columns(features: Sequence[Features], names: Sequence[str]) -> Features:
    first = features[0]
    for each, name in zip(features, names, strict=True):
        if (type(each), each.n_columns) != (type(first), first.n_columns):
            raise InputError(
                f"{name} has {each.n_columns} columns ({type(each).__name__}), expected "
                f"{first.n_columns} ({type(first).__name__}) as in {names[0]}"
            )
    return first


async def _gather(client: Any, futures: list[Any], address: str) -> list[Any]:
    """The futures' values; an error where no worker is left, or the scheduler is silent."""
    gathering = asyncio.ensure_future(client.gather(futures, asynchronous=True))
    seen = time.monotonic()
    try:
        while True:
            await asyncio.wait({gathering}, timeout=CHECK)
            if gathering.done():
                return list(gathering.result())
            if client.status != "running":
                raise TimeoutError(address)
            if await asyncio.wait_for(client.scheduler.ncores(workers=None), PATIENCE):
                seen = time.monotonic()
            elif time.monotonic() - seen > PATIENCE:
                raise InputError(f"{address} has no workers left: start some, and train again")
    finally:
        gathering.cancel()


def _load(partition: Partition, name: str, versions: dict[str, str]) -> HeldRows:
    """On a worker: read a partition, and keep it."""
    from distributed import get_worker

    _require_versions(get_worker().address, own_versions(), versions)
    try:
        held = HeldRows(partition.load())
    except Exception as error:
        said = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        raise InputError(f"{name} cannot be read: {' '.join(said.split())}") from None
    return _settle(held)


def _settle(held: HeldRows) -> HeldRows:
    from distributed import get_worker

    worker = get_worker()
    held.settle(worker.memory_manager.memory_limit, worker.local_directory)
    return held


def _describe(held: HeldRows) -> _Facts:
    return _Facts(held.block.n_rows, held.block.features.take(np.zeros(0, dtype=np.intp)))


def _run(held: HeldRows, pickled: bytes) -> Any:
    """On a worker: a task on a partition."""
    from distributed import get_worker
    from distributed.protocol.pickle import loads

    changes, task, errors, versions = loads(pickled)
    _require_versions(get_worker().address, own_versions(), versions)
    block = _settle(held).block
    for change in changes:
        block = change(block)
    try:
        with single_threaded_blas(), np.errstate(**errors):
            return task(block)
    finally:
        held.rest()


def _merge(values: list[T], merge: Callable[[T, T], T] | None) -> T:
    # Sums may be added into the first, which Dask keeps in case it is asked for again.
    total = deepcopy(values[0])
    for value in values[1:]:
        total = (merge or add)(total, value)
    return total


def _stack(blocks: list[Block]) -> Block:
    return Block(
        stack_features([block.features for block in blocks]),
        np.concatenate([block.labels for block in blocks], axis=1),
        np.concatenate([block.weights for block in blocks]),
    )
