"""Files of loans of any number, with a known truth, made file by file in constant memory.

A row has 16 numbers (six of full precision, five of cents, five whole ones) and 4 categories (of 4,
10, 25 and 60 levels, the later ones of a column rarer), and a yes or no drawn from a logistic model
of them: no model can do better, on average, than the log loss of the probabilities that the rows
were drawn with, and `truth_log_loss` tells that of the rows held out.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FILE_ROWS = 1_000_000
GROUP_ROWS = 250_000
HELD_ROWS = 1_000_000
TARGET, YES, NO = "granted", "yes", "no"
FULL, CENTS, WHOLE = 6, 5, 5
LEVELS = {"channel": 4, "region": 10, "branch": 25, "trade": 60}
NUMBERS = [
    *(f"score_{j}" for j in range(FULL)),
    *(f"amount_{j}" for j in range(CENTS)),
    *(f"count_{j}" for j in range(WHOLE)),
]
TRAINED, HELD, TRUTH = "trained", "held", "truth.json"

Array = NDArray[Any]


@dataclass(frozen=True)
class Truth:
    """The model that rows are drawn from, for numbers in units of their spread."""

    weights: Array
    by_level: tuple[Array, ...]
    bias: float = -0.5


def draw_truth() -> Truth:
    """The same for any number of rows."""
    rng = np.random.default_rng(20_000_000)
    weights = rng.normal(0, 0.25, len(NUMBERS))
    return Truth(weights, tuple(rng.normal(0, 0.4, count) for count in LEVELS.values()))


def make_frame(number: int, rows: int, truth: Truth) -> tuple[Any, float]:
    """The rows of one file, a polars frame, and the mean log loss of their own probabilities."""
    import polars as pl

    rng = np.random.default_rng([1, number])
    common = rng.standard_normal(rows)  # columns that are correlated, as real ones are
    logit = np.full(rows, truth.bias)
    columns: dict[str, Any] = {}
    for name, weight in zip(NUMBERS, truth.weights, strict=True):
        z = 0.5 * common + np.sqrt(0.75) * rng.standard_normal(rows)
        columns[name], z = _give_unit(name, z)
        logit += weight * z
    for (name, count), effects in zip(LEVELS.items(), truth.by_level, strict=True):
        codes = np.minimum((count * rng.random(rows) ** 1.5).astype(np.int64), count - 1)
        levels = [f"{name} {k}" for k in range(count)]
        columns[name] = pl.Series(levels, dtype=pl.String).gather(codes)
        logit += effects[codes]
    chance = 1 / (1 + np.exp(-logit))
    yes = rng.random(rows) < chance
    columns[TARGET] = pl.Series([NO, YES], dtype=pl.String).gather(yes.astype(np.int64))
    loss = np.log1p(np.exp(np.where(yes, -logit, logit)))
    return pl.DataFrame(columns), float(loss.mean())


def _give_unit(name: str, z: Array) -> tuple[Array, Array]:
    """A column as it is written, and the same in units of its spread, rounded as it was."""
    if name.startswith("amount"):
        written = np.round(2_000 + 400 * z, 2)
        return written, (written - 2_000) / 400
    if name.startswith("count"):
        whole = np.rint(50 + 12 * z)
        return whole.astype(np.int64), (whole - 50) / 12
    return z, z


def make_files(folder: Path, rows: int) -> None:
    """Write `rows` rows below `folder/trained` and the rows held out below `folder/held`."""
    truth = draw_truth()
    for name in (TRAINED, HELD):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for k, first in enumerate(range(0, rows, FILE_ROWS)):
        frame, _ = make_frame(k + 1, min(FILE_ROWS, rows - first), truth)
        frame.write_parquet(folder / TRAINED / f"{k:05}.parquet", row_group_size=GROUP_ROWS)
    held, loss = make_frame(0, HELD_ROWS, truth)
    held.write_parquet(folder / HELD / "00000.parquet", row_group_size=GROUP_ROWS)
    said = {"rows": rows, "held": HELD_ROWS, "truth_log_loss": loss}
    (folder / TRUTH).write_text(json.dumps(said))


def read_made(folder: Path) -> dict[str, Any]:
    """What was made there: rows, held, truth_log_loss; empty where nothing was."""
    path = folder / TRUTH
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found
