"""`python -m benchmarks cluster`: what a cluster takes here, and would take elsewhere."""

import argparse
import csv
import os
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.cluster.cost import Job, Speeds, cost_of_training
from benchmarks.cluster.simulate import simulate_pass

FOLDER = Path(__file__).parents[1] / "results" / "cluster"

CLUSTER = """Training on a cluster of Dask workers.

With --folder DIR, files made by `python -m benchmarks bigger`: trains on them with one worker and
with two, in turn, and writes seconds, bytes a pass and the driver's memory to
benchmarks/results/cluster. Without it: predicts what larger tables would take on larger clusters,
and simulates a pass of 1,000 workers message by message beside it.
"""

# Rows, columns of the encoded table, machines of 8 cores.
TABLES = (
    (1e8, 100, 4),
    (1e9, 100, 16),
    (1e10, 100, 100),
    (1e11, 100, 1_000),
    (1e10, 1_000, 1_000),
    (1e9, 10_000, 1_000),
    (1e11, 10_000, 10_000),
)
PART_VALUES, MOST_PARTS = 1 << 25, 10_000


def add_command(commands: Any) -> None:
    """Declare `cluster` and its options."""
    parser = commands.add_parser(
        "cluster",
        help="a cluster of workers: measured here, predicted elsewhere",
        description=CLUSTER,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--folder", type=Path, metavar="DIR", help="files to train on")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--price", type=float, default=0.4, help="of a machine-hour, in dollars")
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Measure, or predict."""
    if arguments.folder is not None:
        measure_here(arguments.folder, arguments.rounds, arguments.out)
    else:
        predict(arguments.price, arguments.out)


def measure_here(folder: Path, rounds: int, out: Path) -> None:
    """One worker and two, in turn."""
    from benchmarks.cluster.measure import Traffic, measure, time_tasks

    traffic, machine = Traffic(), describe_machine()
    traffic.count()
    rows = []
    for _ in range(rounds):
        for workers in (1, 2):
            found = asdict(measure(folder, workers, traffic)) | machine
            print(found, flush=True)
            rows.append(found)
    rows_of_tasks = [{"tasks_seconds": time_tasks(2)} | machine]
    print(rows_of_tasks)
    write(out / "measured.csv", rows)
    write(out / "tasks.csv", rows_of_tasks)


def predict(price: float, out: Path) -> None:
    """What tables of many sizes would take, each pass simulated beside the prediction."""
    rows = []
    for n, columns, workers in TABLES:
        parts = int(max(8, min(MOST_PARTS, n * columns / PART_VALUES)))
        job, speeds = Job(n, columns, parts, workers), Speeds()
        bill = cost_of_training(job, speeds, price)
        found = {
            "rows": n,
            "columns": columns,
            "machines": workers,
            "parts": parts,
            "simulated_gradient": simulate_pass(job, speeds),
            "simulated_hessian": simulate_pass(job, speeds, hessian=True),
        }
        rows.append({k: f"{v:.4g}" for k, v in (found | asdict(bill)).items()})
        print(rows[-1], flush=True)
    write(out / "predicted.csv", rows)


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """A CSV file of these rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def describe_machine() -> dict[str, Any]:
    """Where it ran."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "machine": platform.machine(),
        "date": datetime.now(UTC).date().isoformat(),
    }
