"""What a training on a cluster takes: a pass over the rows, and all of it, in seconds and money.

A pass sends the parameters to each part, works on it, and adds the sums up in a tree of fan FAN.
The scheduler hands out one task after the other, each part's and each sum's. So

    pass = max(scheduler * parts + part, scheduler * tasks, turns * part) + straggler
           + levels of the tree * ((fan - 1) * transfer of a sum + scheduler)

where `part` is the seconds of one part and `turns` how many fall to a core; the last of many is
late by about sqrt(2 log cores) standard deviations. A sum is 8 (p + 1) bytes for a gradient,
8 (p + 1)^2 for a Hessian.
"""

import math
from dataclasses import dataclass

from onelayer.rows.cluster import FAN

FLOAT = 8  # bytes
UNEVEN = 0.1  # a part's seconds vary by so much (one standard deviation)
MOST_SAMPLED = 1000  # parameters: with more, the Hessian of all rows is summed (sampled_newton.py)
SAMPLED_PASSES, SUMMED_PASSES = 9, 12  # over all rows, from start to end; see docs/performance.md


@dataclass(frozen=True)
class Speeds:
    """What was measured on two busy cores, or is taken from others: see docs/scale.md.

    Attributes
    ----------
    scheduler: seconds of the scheduler for a task. values: values a second that one core works on
        in a pass for the gradient. flops: of one core in a pass for the Hessian. raw: raw values a
        second that one core reads and counts, or reads and encodes. bandwidth: bytes a second into
        or out of a machine. latency: seconds of a message.
    """

    scheduler: float = 1e-3
    values: float = 5e7
    flops: float = 1e10
    raw: float = 2e6
    bandwidth: float = 1.25e9
    latency: float = 5e-4


@dataclass(frozen=True)
class Job:
    """A table, and what works on it.

    Attributes
    ----------
    rows, columns: of the encoded table. values: that a row holds (its numbers, and one for each
        category); all columns if None. parts: of the table. workers: machines, of `cores` each.
    """

    rows: float
    columns: int
    parts: int
    workers: int
    cores: int = 8
    values: int | None = None

    @property
    def row_values(self) -> int:
        """Values of a row."""
        return self.columns if self.values is None else self.values


@dataclass(frozen=True)
class Bill:
    """Seconds and bytes of a training, and what the machines cost."""

    gradient: float
    hessian: float
    read: float
    total: float
    sent: float
    memory: float
    price: float


def count_levels(parts: int) -> int:
    """How many times sums are added up to FAN at a time until one is left.

    >>> count_levels(1), count_levels(8), count_levels(9), count_levels(1000)
    (1, 1, 2, 4)
    """
    levels = 1
    while parts > FAN:
        parts, levels = math.ceil(parts / FAN), levels + 1
    return levels


def count_tasks(parts: int) -> int:
    """The tasks of a pass: one a part, and one a sum but the last, which is added at the driver.

    >>> count_tasks(8), count_tasks(64)
    (8, 72)
    """
    tasks = parts
    while parts > FAN:
        parts = math.ceil(parts / FAN)
        tasks += parts
    return tasks


def cost_of_pass(job: Job, speeds: Speeds, hessian: bool = False) -> float:
    """Seconds of one pass."""
    p = job.columns + 1
    parameters, result = FLOAT * p, FLOAT * (p * p if hessian else p)
    part = job.rows / job.parts * job.row_values / speeds.values
    if hessian:
        part += job.rows / job.parts * 2.0 * job.row_values**2 / speeds.flops
    at_once = min(job.parts, job.workers * job.cores)
    turns = math.ceil(job.parts / at_once)
    hand_out = job.parts * max(speeds.scheduler, parameters / speeds.bandwidth)
    late = UNEVEN * part * math.sqrt(2 * math.log(at_once) * turns)
    merge = (FAN - 1) * result / speeds.bandwidth + speeds.scheduler + 2 * speeds.latency
    summed = (count_levels(job.parts) - 1) * merge + last_sum(job, result, speeds)
    handled = count_tasks(job.parts) * speeds.scheduler
    return max(hand_out + part, turns * part, handled) + late + summed


def last_sum(job: Job, result: int, speeds: Speeds) -> float:
    """Seconds until the last sums are at the driver."""
    left = job.parts
    while left > FAN:
        left = math.ceil(left / FAN)
    return left * result / speeds.bandwidth + 2 * speeds.latency


def cost_of_training(job: Job, speeds: Speeds, price: float = 0.0, raw_columns: int = 0) -> Bill:
    """The whole: two readings of the raw table, then passes; `price` is that of a machine-hour."""
    gradient, hessian = cost_of_pass(job, speeds), cost_of_pass(job, speeds, hessian=True)
    columns = raw_columns or job.row_values
    read = 2 * job.rows * columns / speeds.raw / (job.workers * job.cores)
    sampled = job.columns + 1 <= MOST_SAMPLED
    passes = SAMPLED_PASSES * gradient if sampled else SUMMED_PASSES * hessian
    # The standard errors are of the Hessian of all rows: one pass.
    total = read + passes + hessian
    result = FLOAT * (job.columns + 1)
    sent = job.parts * 2.0 * result
    memory = FLOAT * job.rows * job.row_values / job.workers
    return Bill(gradient, hessian, read, total, sent, memory, price * job.workers * total / 3600)
