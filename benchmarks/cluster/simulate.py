"""A pass over a cluster, message by message: what the closed form in `cost.py` leaves out.

Nothing is computed but time. The scheduler handles one task after the other; a worker's cores take
its tasks in order; a part takes longer or shorter by chance; each machine sends and receives one
message at a time; a sum waits for the last of its addends. So stragglers, queues and crowded links
are in it.
"""

import heapq
import math
from dataclasses import dataclass, field

import numpy as np

from benchmarks.cluster.cost import FLOAT, UNEVEN, Job, Speeds
from onelayer.rows.cluster import FAN


@dataclass
class Link:
    """A machine's side of the network: one message at a time."""

    bandwidth: float
    free: float = 0.0

    def send(self, begin: float, size: float) -> float:
        """When a message that is ready at `begin` is through."""
        self.free = max(self.free, begin) + size / self.bandwidth
        return self.free


@dataclass
class Machine:
    """A worker: when each of its cores is free, and its link."""

    link: Link
    cores: list[float] = field(default_factory=list)

    def work(self, begin: float, seconds: float) -> float:
        """When a task that is there at `begin` is done."""
        core = heapq.heappop(self.cores)
        end = max(core, begin) + seconds
        heapq.heappush(self.cores, end)
        return end


def simulate_pass(job: Job, speeds: Speeds, hessian: bool = False, seed: int = 0) -> float:
    """Seconds of one pass."""
    rng = np.random.default_rng(seed)
    p = job.columns + 1
    parameters, result = FLOAT * p, FLOAT * (p * p if hessian else p)
    seconds = job.rows / job.parts * job.row_values / speeds.values
    if hessian:
        seconds += job.rows / job.parts * 2.0 * job.row_values**2 / speeds.flops
    machines = [Machine(Link(speeds.bandwidth), [0.0] * job.cores) for _ in range(job.workers)]
    scheduler = Link(speeds.bandwidth)
    clock, ready = 0.0, []
    for k in range(job.parts):
        clock += speeds.scheduler
        arrived = scheduler.send(clock, parameters) + speeds.latency
        took = seconds * max(0.1, 1 + UNEVEN * rng.standard_normal())
        machine = machines[k % job.workers]
        ready.append((machine.work(arrived, took), k % job.workers))
    return _add_up(ready, machines, clock, result, speeds)


def _add_up(
    level: list[tuple[float, int]],
    machines: list[Machine],
    clock: float,
    result: int,
    speeds: Speeds,
) -> float:
    """When the sum of all is at the driver."""
    while len(level) > FAN:
        groups = [level[k : k + FAN] for k in range(0, len(level), FAN)]
        merged = []
        for group in sorted(groups, key=lambda each: max(end for end, _ in each)):
            # The sum is made where its last addend is: the others are fetched.
            last, home = max(group)
            clock = max(clock, last) + speeds.scheduler
            begin, link = clock + speeds.latency, machines[home].link
            for end, owner in sorted(group):
                if owner != home:
                    sent = machines[owner].link.send(max(end, begin), result)
                    begin = max(link.send(sent - result / link.bandwidth, result), begin)
            merged.append((begin + speeds.latency, home))
        level = merged
    driver = Link(speeds.bandwidth)
    return max(driver.send(end + speeds.latency, result) for end, _ in sorted(level))


def compare(job: Job, speeds: Speeds, predicted: float, hessian: bool = False) -> float:
    """How far the simulated time is from the predicted one: 0.1 is ten percent above."""
    found = simulate_pass(job, speeds, hessian)
    assert math.isfinite(found)
    return found / predicted - 1
