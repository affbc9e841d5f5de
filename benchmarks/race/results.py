"""One CSV file a task: what was measured, where, with which versions, and when."""

import csv
import io
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from benchmarks.race.contest import LEVELS, Entry, Outcome, excess
from benchmarks.race.problem import Facts
from benchmarks.race.solvers import Options

FOLDER = Path(__file__).parents[1] / "results"
DEFAULT = "default"  # the level of a row that tells of default settings
COLUMNS = (
    "solver",
    "version",
    "level",
    "seconds",
    "rounds",
    "calls",
    "setting",
    "excess",
    "bias",
    "memory_mb",
    "passes",
    "products",
    "gradients",
    "note",
)


@dataclass(frozen=True)
class Line:
    """A row of results: one solver at one level, or at its default settings.

    Attributes
    ----------
    seconds: the median over the rounds, or None where it did not get there (`note` says why).
    rounds: timings the median is of; calls: fits in a row behind each of them.
    excess: relative, over the reference optimum of the objective that `bias` names.
    memory_mb: peak over what was held before the fit.
    passes, products, gradients: of ours; over all rows, in units of one `X @ w`, and of one pass
        for cost and gradient.
    """

    solver: str
    version: str
    level: str
    seconds: float | None
    rounds: int
    calls: int
    setting: str
    excess: float | None
    bias: str
    memory_mb: float | None
    passes: int | None
    products: float | None
    gradients: float | None
    note: str

    @property
    def ours(self) -> bool:
        return self.solver.startswith("onelayer")


@dataclass(frozen=True)
class Report:
    """A file of results: facts by name, and its rows."""

    facts: dict[str, str]
    lines: tuple[Line, ...]

    def best(self, level: str) -> Line | None:
        """The quickest of the other libraries at a level."""
        there = [x for x in self.lines if x.level == level and not x.ours and x.seconds is not None]
        return min(there, key=lambda line: line.seconds or 0.0, default=None)

    def own(self, level: str) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.level == level and line.ours)


def summarise(outcome: Outcome) -> Report:
    """The rows that an outcome comes to."""
    lines = [line for entry in outcome.entries for line in _list_lines(outcome, entry)]
    return Report(_describe(outcome), tuple(lines))


def write(report: Report, folder: Path) -> Path:
    """Write it to `folder`, named as its task."""
    out = io.StringIO()
    for name, fact in report.facts.items():
        out.write(f"# {name}: {fact}\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for line in report.lines:
        writer.writerow([_format(getattr(line, name)) for name in COLUMNS])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{report.facts['task']}.csv"
    path.write_text(out.getvalue(), encoding="utf-8")
    return path


def read(path: Path) -> Report:
    """Read a file that `write` wrote."""
    lines = path.read_text(encoding="utf-8").splitlines()
    facts = dict(line[2:].split(": ", 1) for line in lines if line.startswith("# "))
    rows = csv.DictReader(line for line in lines if not line.startswith("# "))
    return Report(facts, tuple(_parse(row) for row in rows))


def _list_lines(outcome: Outcome, entry: Entry) -> Iterator[Line]:
    optimum = outcome.optimum.get(entry.solver.bias, ())
    for level in LEVELS:
        yield _line(outcome, entry, f"{level:g}", entry.reach(level, optimum))
    yield _line(outcome, entry, DEFAULT, entry.default if entry.default in entry.runs else None)


def _line(outcome: Outcome, entry: Entry, level: str, k: int | None) -> Line:
    solver, optimum = entry.solver, outcome.optimum.get(entry.solver.bias, ())
    run = None if k is None else entry.runs[k]
    found = None if run is None else excess(run, optimum)
    if run is None or k is None or run.error:
        return Line(
            solver=solver.name,
            version=solver.version() or "",
            level=level,
            seconds=None,
            rounds=0,
            calls=0,
            setting="",
            excess=None,
            bias=solver.bias,
            memory_mb=None,
            passes=None,
            products=None,
            gradients=None,
            note=_explain(entry, outcome),
        )
    seconds, gradient = entry.seconds(k), outcome.gradients.get(solver.name)
    product = outcome.product if solver.ours else None
    return Line(
        solver=solver.name,
        version=solver.version() or "",
        level=level,
        seconds=seconds,
        rounds=len(entry.timings[k]),
        calls=run.calls,
        setting=_word(entry.settings[k]),
        excess=found,
        bias=solver.bias,
        memory_mb=run.memory,
        passes=run.passes,
        products=seconds / product if product else None,
        gradients=seconds / gradient if gradient else None,
        note="",
    )


def _explain(entry: Entry, outcome: Outcome) -> str:
    """Why a level was not reached."""
    if entry.error:
        return entry.error
    optimum = outcome.optimum.get(entry.solver.bias, ())
    nearest = min((excess(run, optimum) for run in entry.runs.values()), default=float("inf"))
    words = "never" if entry.over is None else f"over {entry.over:.3g} s"
    return words if np.isinf(nearest) else f"{words}; nearest {nearest:.1e}"


def _describe(outcome: Outcome) -> dict[str, str]:
    task, facts = outcome.task, outcome.facts
    described = {
        "task": task.name,
        "kind": task.kind,
        "table": _size(facts),
        "source": " in ".join(task.source) if task.source else "simulated, or with scikit-learn",
        "aim": f"{task.aim:g}",
        "aim from codes": f"{task.code_aim or task.aim:g}",
    }
    for bias, values in sorted(outcome.optimum.items()):
        described[f"optimum, bias {bias}"] = f"{sum(values)!r} by {outcome.found_by[bias]}"
        described[f"checked, bias {bias}"] = _check(outcome, bias)
    return described | _describe_machine()


def _size(facts: Facts) -> str:
    kind = "CSR" if facts.sparse else "float32" if facts.single else "float64"
    classes = f", {facts.classes} classes" if facts.classes > 2 else ""
    return f"{facts.rows:,} x {facts.columns:,} {kind}{classes}"


def _check(outcome: Outcome, bias: str) -> str:
    """Who else came nearest to the reference: another package than the one that found it."""
    optimum, finder = outcome.optimum[bias], outcome.found_by[bias]
    others = [
        (excess(run, optimum), entry.solver.name)
        for entry in outcome.entries
        for run in entry.runs.values()
        if entry.solver.bias == bias and finder.split()[0].strip(",") not in entry.solver.name
    ]
    nearest, name = min(others, default=(float("inf"), "nobody"))
    return f"{name} within {nearest:.1e}"


def _describe_machine() -> dict[str, str]:
    return {
        "cpu": _name_processor(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else "?"),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "date": datetime.now(UTC).date().isoformat(),
    }


def _name_processor() -> str:
    listed = Path("/proc/cpuinfo")
    facts: dict[str, str] = {}
    if listed.exists():
        for line in listed.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            facts.setdefault(name.strip(), value.strip())
    name = facts.get("model name", platform.processor() or platform.machine())
    family = [f"{word} {facts[word]}" for word in ("cpu family", "model") if word in facts]
    return ", ".join([name, *family])


def _word(options: Options) -> str:
    return " ".join(f"{name}={value}" for name, value in options.items())


def _format(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _parse(row: dict[str, str]) -> Line:
    def number(name: str) -> float | None:
        return float(row[name]) if row[name] else None

    return Line(
        solver=row["solver"],
        version=row["version"],
        level=row["level"],
        seconds=number("seconds"),
        rounds=int(row["rounds"]),
        calls=int(row["calls"]),
        setting=row["setting"],
        excess=number("excess"),
        bias=row["bias"],
        memory_mb=number("memory_mb"),
        passes=int(row["passes"]) if row["passes"] else None,
        products=number("products"),
        gradients=number("gradients"),
        note=row["note"],
    )
