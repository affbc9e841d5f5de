"""A training on a cluster of this machine, pass by pass: seconds, bytes, the driver's memory."""

import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

LEAST_TASKS = 2_000
PART_VALUES = 5_000_000  # parts of 250,000 rows, so that a small table has some for each worker


@dataclass(frozen=True)
class Measured:
    """One training.

    Attributes
    ----------
    seconds: of all of it. reading: until the rows were encoded. pass_seconds: of a pass over all
        rows, the median of those for a gradient. pass_bytes: that went through the driver and its
        scheduler in such a pass. between: bytes that workers sent each other in the whole
        training. driver_mb: the most memory of this process meanwhile, beside what it took before.
    """

    workers: int
    seconds: float
    reading: float
    passes: int
    pass_seconds: float
    pass_bytes: int
    between: int
    driver_mb: float
    log_loss: float


class Traffic:
    """Bytes that this process reads and writes over the network, counted where Dask does it."""

    def __init__(self) -> None:
        self.bytes = 0

    def count(self) -> None:
        """Begin to count, in every connection of this process."""
        from distributed.comm.tcp import TCP

        write = TCP.write

        async def counted(comm: Any, *args: Any, **named: Any) -> int:
            size = await write(comm, *args, **named)
            self.bytes += size
            return int(size)

        TCP.write = counted


def measure(folder: Path, workers: int, traffic: Traffic) -> Measured:
    """Train on the Parquet files of a folder, on so many workers of one thread."""
    from onelayer import train
    from onelayer.rows import cluster, partitioned
    from onelayer.table import parts

    parts.PART_VALUES = PART_VALUES
    passes: list[tuple[float, int]] = []
    reduce = partitioned.ClusterRows.reduce

    def timed(rows: Any, task: Callable[..., Any], merge: Any = None) -> Any:
        began, before = time.perf_counter(), traffic.bytes
        result = reduce(rows, task, merge)
        passes.append((time.perf_counter() - began, traffic.bytes - before))
        return result

    said: list[float] = []
    # One thread a worker in all it does, so that two have twice the cores of one.
    os.environ["POLARS_MAX_THREADS"] = "1"
    with cluster.connect(f"local:{workers}") as client:
        client.wait_for_workers(workers)
        before = peak_bytes()
        partitioned.ClusterRows.reduce = timed  # type: ignore[method-assign]
        began = time.perf_counter()
        try:
            model = train(
                folder,
                target="granted",
                client=client,
                say=lambda sentence: said.append(time.perf_counter() - began),
            )
        finally:
            partitioned.ClusterRows.reduce = reduce  # type: ignore[method-assign]
        seconds = time.perf_counter() - began
        between = sum(client.run(sent_bytes).values())
    return Measured(
        workers,
        seconds,
        said[-1],
        model.training.passes,
        float(np.median([took for took, _ in passes])),
        int(np.median([size for _, size in passes])),
        between,
        (peak_bytes() - before) / 1e6,
        model.evaluation.log_loss if model.evaluation else float("nan"),
    )


def time_tasks(workers: int) -> float:
    """Seconds of the scheduler for a task that does nothing, beside a worker that takes it."""
    from onelayer.rows import cluster

    with cluster.connect(f"local:{workers}") as client:
        there = cluster.Workers(client, ["nothing"] * LEAST_TASKS)
        there.add_up(there.begin("warm", _nothing, list(range(100))), None)
        began = time.perf_counter()
        there.add_up(there.begin("idle", _nothing, list(range(LEAST_TASKS))), None)
        return (time.perf_counter() - began) / LEAST_TASKS


def _nothing(number: int) -> int:
    return number


def sent_bytes(dask_worker: Any) -> int:
    """On a worker: the bytes that it has sent to others."""
    return int(dask_worker.transfer_outgoing_bytes_total)


def peak_bytes() -> int:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
