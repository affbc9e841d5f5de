"""One of ours against the best of the others, task by task: what table and plot show."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.race import results
from benchmarks.race.results import Line, Report
from benchmarks.race.tasks import TASKS

LEVELS = ("1e-06", "1e-09")


@dataclass(frozen=True)
class Duel:
    """One of ours against the best of the others at one task."""

    report: Report
    own: Line
    name: str
    others: dict[str, Line | None]  # the best other, by level
    aim: float

    def ratio(self, level: str) -> float | None:
        """How many times sooner ours is there; None where only one of the two gets there."""
        other = self.others[level]
        own = next(x for x in self.report.own(level) if x.solver == self.own.solver)
        if other is None or other.seconds is None or own.seconds is None:
            return None
        return other.seconds / own.seconds


def gather(folder: Path) -> list[Duel]:
    """A duel for each of ours in each file, in the order of the tasks."""
    duels = []
    for task in TASKS:
        path = folder / f"{task.name}.csv"
        if path.exists():
            report = results.read(path)
            duels += [_duel(report, line) for line in report.own(results.DEFAULT)]
    return duels


def _duel(report: Report, own: Line) -> Duel:
    coded = own.solver.endswith("codes")
    aim = report.facts["aim from codes" if coded else "aim"]
    name = report.facts["task"] + (", from codes" if coded else "")
    return Duel(report, own, name, {level: report.best(level) for level in LEVELS}, float(aim))


def say_seconds(line: Line) -> str:
    """Seconds in the unit that suits them."""
    if line.seconds is None:
        return line.note
    if line.seconds < 1:
        return f"{1000 * line.seconds:.3g} ms"
    return f"{line.seconds:.3g} s"
