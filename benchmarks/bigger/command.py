"""`python -m benchmarks bigger`: make the rows, train on them in every way, write what came out."""

import argparse
import contextlib
import csv
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.bigger import make
from benchmarks.bigger.ways import WAYS, find_version

FOLDER = Path(__file__).parents[1] / "results" / "bigger"
COLUMNS = (
    "way",
    "version",
    "rounds",
    "seconds",
    "cpu_seconds",
    "pass_seconds",
    "peak_mb",
    "log_loss",
    "rows",
    "cores",
    "date",
    "note",
)

BIGGER = """Training on a table larger than memory, beside what else can.

Makes ROWS rows in DIR (once: about 84 bytes each), with a known truth, and trains on them in every
way that is installed, each in a process of its own. Written to benchmarks/results/bigger: seconds,
peak memory, and the log loss on a million rows held out.
"""


def add_command(commands: Any) -> None:
    """Declare `bigger` and its options."""
    parser = commands.add_parser(
        "bigger",
        help="a table larger than memory, beside what else can train on it",
        description=BIGGER,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=int, default=20_000_000, metavar="N")
    parser.add_argument("--folder", type=Path, required=True, metavar="DIR")
    parser.add_argument("--only", default="", metavar="WORD", help="ways whose name holds WORD")
    parser.add_argument("--limit", type=float, default=1800.0, metavar="SECONDS", help="for a way")
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Make the rows if they are not there, then go through the ways."""
    if make.read_made(arguments.folder).get("rows") != arguments.rows:
        make.make_files(arguments.folder, arguments.rows)
    for way, (package, _) in WAYS.items():
        if arguments.only not in ((way,) if arguments.only in WAYS else way):
            continue
        version = find_version(package)
        if version is None:
            print(f"{way:<36} {package} is not installed")
            continue
        found = run_way(way, arguments.folder, arguments.limit)
        facts = {"way": way, "version": version, "rows": arguments.rows, **found}
        keep(facts | describe_machine(), arguments.out)
        print(f"{way:<36} {json.dumps(found)}", flush=True)


def run_way(way: str, folder: Path, limit: float) -> dict[str, Any]:
    """What its process says, or why there is nothing."""
    with tempfile.TemporaryDirectory(dir=folder) as work:
        command = [sys.executable, "-m", "benchmarks.bigger.child", way, str(folder), work]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            said, wrong = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):  # with all that it started
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return {"note": f"over {limit:g} s"}
    if process.returncode:
        return {"note": (wrong.strip().splitlines() or ["killed"])[-1][:120]}
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found


def describe_machine() -> dict[str, Any]:
    """Where and when."""
    machine = platform.processor() or platform.machine()
    return {
        "cores": f"{len(os.sched_getaffinity(0))} cores, {machine}",
        "date": datetime.now(UTC).date().isoformat(),
    }


def keep(facts: dict[str, Any], folder: Path) -> None:
    """Write a line of results; of a way that was run before the quickest stays."""
    path = folder / f"{facts['rows']}.csv"
    lines = read_results(path)
    before = lines.get(facts["way"])
    facts["rounds"] = 1 + int((before or {}).get("rounds") or 0)
    if before and before["seconds"] and facts.get("seconds", 1e99) > float(before["seconds"]):
        facts = {**before, "rounds": facts["rounds"]}
    lines[facts["way"]] = {name: str(facts.get(name) or "") for name in COLUMNS}
    folder.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines[way] for way in WAYS if way in lines)


def read_results(path: Path) -> dict[str, dict[str, str]]:
    """What `keep` wrote, by way."""
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as stream:
        return {line["way"]: line for line in csv.DictReader(stream)}
