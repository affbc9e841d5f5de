"""One way of training in a process of its own: `python -m benchmarks.bigger.child WAY FOLDER WORK`.

Prints one line of JSON: seconds by the clock and of all cores, peak memory in MB (its own, or that
of a process it started), and the mean log loss on the rows held out.
"""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bigger.make import HELD, TARGET, YES
from benchmarks.bigger.ways import WAYS
from benchmarks.peak import read_peak


def run(way: str, folder: Path, work: Path) -> dict[str, Any]:
    """Train and judge."""
    began = time.perf_counter()
    chances, facts = WAYS[way][1](folder, work)
    seconds = time.perf_counter() - began
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    told = {
        "seconds": seconds,
        "cpu_seconds": sum(each.ru_utime + each.ru_stime for each in (own, children)),
        "peak_mb": max(read_peak() or own.ru_maxrss, children.ru_maxrss) / 1e3,
        "log_loss": judge(folder, chances) if len(chances) else None,
    }
    return told | facts


def judge(folder: Path, chances: Any) -> float:
    """The mean log loss of probabilities of "yes" of the rows held out."""
    import polars as pl

    yes = (pl.read_parquet(folder / HELD / "*.parquet")[TARGET] == YES).to_numpy()
    right = np.clip(np.where(yes, chances, 1 - chances), 1e-15, None)
    return float(-np.log(right).mean())


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))))
