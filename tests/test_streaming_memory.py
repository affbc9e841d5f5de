"""A training keeps to the memory that it is given, on a table many times as large."""

import sys

import numpy as np
import polars as pl
import pytest
from fresh import run_python

from onelayer.streaming.asked import LEAST_MEMORY

CAP = LEAST_MEMORY // 10**6  # MB: the least that is taken is kept to, too
CODE = """
import sys
import onelayer.cli.train, onelayer.training, polars, scipy.sparse, scipy.linalg
def read(word):
    return int(open("/proc/self/status").read().split(word + ":")[1].split()[0]) / 1000
imports = read("VmRSS")
model = onelayer.training.train({path!r}, target="y", memory="{cap}MB", cache={cache!r})
print(read("VmHWM") - imports, model.certificate.rho)
"""

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the high water mark is read from /proc"
)


def write_table(folder, files: int) -> float:
    """Write files of 200,000 rows x 30; the megabytes that all take as float64."""
    folder.mkdir()
    for k in range(files):
        rng = np.random.default_rng(k)
        # Few different values: small on disk, as large as any in memory.
        X = rng.integers(-50, 50, (200_000, 30)) / 8
        y = X[:, 0] - X[:, 1] / 2 + 5 * rng.logistic(size=len(X)) > 0
        frame = pl.DataFrame({f"x{j}": X[:, j] for j in range(30)} | {"y": y})
        group = 50_000 if k % 2 else 5_000  # larger than a batch, which then is a part of one
        frame.write_parquet(folder / f"part-{k:03}.parquet", row_group_size=group)
    return files * 200_000 * 30 * 8 / 1e6


def measure(tmp_path, files: int) -> float:
    size = write_table(tmp_path / "table", files)
    paths = {"path": str(tmp_path / "table"), "cache": str(tmp_path / "cache")}
    over, rho = map(float, run_python(CODE.format(cap=CAP, **paths), timeout=900).split())
    assert rho <= 1e-4
    assert over <= CAP, f"{over:.0f} MB on a table of {size:.0f}"
    return size


def test_a_table_of_twice_the_memory(tmp_path):
    assert measure(tmp_path, 7) > 2 * CAP


@pytest.mark.slow
def test_a_table_of_twenty_times_the_memory(tmp_path):
    assert measure(tmp_path, 63) > 20 * CAP
