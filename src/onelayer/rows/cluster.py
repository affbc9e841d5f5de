"""A cluster of Dask workers: work for each partition, and its sums. The one door to Dask.

Sums are added in the order of the partitions, up to `FAN` at a time, then those sums, and so on: a
tree whose shape the number of partitions alone decides. What goes wrong becomes one error that
names the partition, the address or the version.
"""

import asyncio
import logging
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from functools import cache, partial
from importlib.metadata import version
from operator import add
from typing import Any, TypeVar
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from onelayer.errors import InputError

Array = NDArray[Any]
T = TypeVar("T")

FAN = 8  # sums that are added in one place
PATIENCE = 20.0  # seconds without a worker, or without a word of the scheduler, before giving up
CHECK = 2.0  # seconds between looks at both
SUSPECTS = 0.5  # seconds until all partitions are known that met every death
ANSWER = 120.0  # seconds in which a worker imports this package, on a busy machine
STARTS = 2  # of Dask, which waits 10 seconds for each
EXTRA = "this needs Dask: pip install 'onelayer[dask]'"


class Workers:
    """A client of a cluster, with the names of the partitions that it is to work on.

    What goes wrong there comes out as an `InputError` that names the partition or the address.
    """

    def __init__(self, client: Any, names: Sequence[str]) -> None:
        self.client, self.names = client, list(names)
        self.address = client.scheduler.address

    def begin(self, word: str, function: Callable[..., Any], *columns: Sequence[Any]) -> list[Any]:
        """One future for each item of the columns."""
        if self.client.status != "running":
            raise self._lost()
        # A group of their own: tasks that look like many for few partitions would be spread out
        # evenly, and the rows be copied to where they went.
        group = f"onelayer-{word}-{uuid4().hex[:8]}"
        keys = [(group, k) for k in range(len(columns[0]))]
        return list(self.client.map(function, *columns, key=keys, pure=False))

    def fetch(self, futures: Sequence[Any], *sources: Sequence[Any]) -> list[Any]:
        """The futures' values. `sources`: futures, one a partition, that tell whose fault it is."""
        return list(self._await(_gather, futures, sources))

    def finish(self, futures: Sequence[Any]) -> None:
        """Wait until each partition's future has a value, which stays where it is."""
        self._await(_finish, futures, (futures,))

    def _await(
        self, work: Callable[..., Any], futures: Sequence[Any], sources: Sequence[Sequence[Any]]
    ) -> Any:
        try:
            return self.client.sync(_watch, self.client, work, list(futures))
        except Exception as error:
            named = self._explain(error, sources)
            self.drop(futures)  # what kills workers would go on, as long as this error is held
            raise named from error

    def drop(self, futures: Sequence[Any]) -> None:
        """Have nobody work on these any more."""
        if self.client.status == "running":
            self.client.cancel(list(futures))

    def stream(self, futures: list[Any], *sources: Sequence[Any]) -> Iterator[Any]:
        """The futures' values in order, a few of them here at a time."""
        while futures:
            # Copied: what came over the network may lie anywhere in memory, and sum otherwise.
            yield from map(deepcopy, self.fetch(futures[:FAN], *sources))
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

    def _lost(self) -> InputError:
        return InputError(
            f"the scheduler at {self.address} went away: start it and its workers, and train again"
        )

    def _explain(self, error: Exception, sources: Sequence[Sequence[Any]]) -> Exception:
        from distributed import KilledWorker

        if isinstance(error, InputError):
            return error
        if isinstance(error, KilledWorker):
            time.sleep(SUSPECTS)
        failed = sorted({k for each in sources for k, f in enumerate(each) if f.status == "error"})
        name = " or ".join(self.names[k] for k in failed)
        if isinstance(error, KilledWorker):
            return InputError(
                f"{name or error.task}: {error.allowed_failures + 1} workers that took it died, "
                f"the last at {error.last_worker.address}; mostly for want of memory: cut the rows "
                f"into smaller partitions, or give workers more memory"
            )
        if self.client.status != "running" or isinstance(error, TimeoutError):
            return self._lost()
        if failed:
            said = " ".join(f"{type(error).__name__}: {error}".split())
            return InputError(f"{name} cannot be read: {said}")
        return error


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
        import dask
        from distributed import LocalCluster
    except ImportError:
        raise InputError(EXTRA) from None
    kind, _, count = address.partition(":")
    if kind == "local":
        if not count.isdecimal() or int(count) < 1:
            raise InputError(f"{address}: expected local: and a number of workers, as in local:4")
        options: dict[str, Any] = {
            "n_workers": int(count),
            "threads_per_worker": 1,
            "dashboard_address": ":0",
            "silence_logs": logging.CRITICAL,  # what goes wrong is said once, by an error
        }
        # Starting a worker takes seconds: three that died of one partition are enough.
        options["scheduler_kwargs"] = {"allowed_failures": 2}
        # A worker that takes long to start again, on a busy machine, is not given up.
        patient = dask.config.set({"distributed.deploy.lost-worker-timeout": "10 minutes"})
        with (
            patient,
            _start(partial(LocalCluster, **options)) as cluster,
            _start(partial(_make_client, cluster)) as client,
        ):
            yield client
        return
    try:
        client = _start(partial(_make_client, address, timeout=PATIENCE))
    except (OSError, ValueError, TypeError) as error:  # the last: TLS that is not set up here
        raise InputError(f"no scheduler answers at {address}: {error}") from None
    with client:
        yield client


def _make_client(address: Any, **options: Any) -> Any:
    from distributed import Client

    class Started(Client):
        """A client that is closed at once where it does not start.

        Dask leaves it to the garbage collector, which may come to it while the next client starts
        and holds the lock that both need: that one then waits for itself.
        """

        def start(self: Any, **options: Any) -> None:
            try:
                Client.start(self, **options)
            except BaseException:
                self.close()
                raise

    made: Any = Started
    return made(address, **options)


def _start(make: Callable[[], Any]) -> Any:
    """What Dask makes, tried twice: it asserts that a thread of its own begins within 10 seconds.

    Raises
    ------
    InputError: on this machine it takes longer.
    """
    for _ in range(STARTS):
        try:
            return make()
        except AssertionError:
            continue
    raise InputError(
        f"Dask has not started here within {10 * STARTS} seconds: the machine is too busy, try "
        "again later"
    )


def check_workers(client: Any) -> None:
    """Require a worker, and on each worker the versions of this process.

    Raises
    ------
    InputError: there is none within 20 seconds; one differs.
    """
    if client.asynchronous:
        raise InputError("the client is asynchronous: make one with asynchronous=False")
    for worker, theirs in _ask_versions(client).items():
        if isinstance(theirs, BaseException):
            raise InputError(
                f"worker {worker} cannot use onelayer {own_versions()['onelayer']}: {theirs}: "
                f"install the same version everywhere"
            )
        require_versions(worker, theirs, own_versions())


def _ask_versions(client: Any) -> dict[str, Any]:
    """By worker, of those that answer: its versions, or why it has none."""
    address, began = client.scheduler.address, time.monotonic()
    while True:
        try:
            found = client.sync(_run_on_each, client)
        except OSError as error:  # a `TimeoutError` is one
            said = str(error) or f"silent for {PATIENCE:g} seconds"
            raise InputError(f"the scheduler at {address} does not answer: {said}") from None
        waited = time.monotonic() - began > PATIENCE
        if waited and not found:
            raise InputError(f"{address} has no workers: start some")
        silent = [each for each, said in found.items() if isinstance(said, TimeoutError)]
        if silent:
            raise InputError(
                f"worker {silent[0]} does not answer within {ANSWER:g} seconds: start it again"
            )
        # One that dies as it is asked has not answered.
        answers = {each: said for each, said in found.items() if not isinstance(said, OSError)}
        if answers or waited:
            return answers or found
        time.sleep(CHECK / 4)


def this_worker() -> Any:
    """The worker that runs the task at hand."""
    from distributed import get_worker

    return get_worker()


def pack(task: Any) -> bytes:
    """A task as bytes; functions that no other process can import travel whole."""
    from distributed.protocol.pickle import dumps

    return bytes(dumps(task))


def unpack(packed: bytes) -> Any:
    """The task again."""
    from distributed.protocol.pickle import loads

    return loads(packed)


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


def check_here(versions: dict[str, str]) -> None:
    """On a worker: require its versions to be these."""
    require_versions(this_worker().address, own_versions(), versions)


def require_versions(worker: str, theirs: dict[str, str], ours: dict[str, str]) -> None:
    for name, own in ours.items():
        if theirs.get(name) != own:
            raise InputError(
                f"worker {worker} has {name} {theirs.get(name)}, and here it is {own}: install "
                f"the same version everywhere"
            )


async def _run_on_each(client: Any) -> dict[str, Any]:
    """By worker: its versions, or what went wrong; a `TimeoutError` where it says nothing."""

    async def ask(worker: str) -> Any:
        answer = client.run(own_versions, workers=[worker], on_error="return")
        return (await asyncio.wait_for(answer, ANSWER))[worker]

    said = await asyncio.wait_for(client.scheduler.identity(n_workers=-1), PATIENCE)
    answers = await asyncio.gather(*map(ask, said["workers"]), return_exceptions=True)
    return dict(zip(said["workers"], answers, strict=True))


async def _gather(client: Any, futures: list[Any]) -> list[Any]:
    return list(await client.gather(futures, asynchronous=True))


async def _finish(client: Any, futures: list[Any]) -> None:
    async def finish(future: Any) -> None:
        error = await future.exception()
        if error is not None:
            raise error

    await asyncio.gather(*map(finish, futures))


async def _watch(client: Any, work: Callable[..., Any], futures: list[Any]) -> Any:
    """What the work comes to; an error where no worker is left, or the scheduler is silent."""
    working = asyncio.ensure_future(work(client, futures))
    seen = time.monotonic()
    try:
        while True:
            await asyncio.wait({working}, timeout=CHECK)
            if working.done():
                return working.result()
            if client.status != "running":
                raise TimeoutError
            if await asyncio.wait_for(client.scheduler.ncores(workers=None), PATIENCE):
                seen = time.monotonic()
            elif time.monotonic() - seen > PATIENCE:
                raise InputError(
                    f"{client.scheduler.address} has no workers left: start some, and train again; "
                    f"where they die over and over, cut the rows into smaller partitions"
                )
    finally:
        working.cancel()


def _merge(values: list[T], merge: Callable[[T, T], T] | None) -> T:
    # Sums may be added into the first, which Dask keeps in case it is asked for again.
    total = deepcopy(values[0])
    for value in values[1:]:
        total = (merge or add)(total, value)
    return total
