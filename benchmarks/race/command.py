"""`race` and `draw`: what the command line asks for."""

import argparse
import time
from pathlib import Path
from typing import Any

from benchmarks.race import draw, results
from benchmarks.race.results import DEFAULT, Report
from benchmarks.race.tasks import QUICK, TASKS, Task

REPEATS = 5
QUICK_REPEATS = 3
QUICK_PEERS = ("scikit-learn newton-cholesky", "scikit-learn lbfgs", "scikit-learn newton-cg")
EXACT = 1e-9  # relative excess that the short form requires of ours
GENEROUS = 4.0  # times the best other's time: a shared machine is no racetrack

RACE = """Time to reach the optimum, beside every library that can do the work.

Reads the tables that lie in DIR; of those that do not it says which public package has them.
Simulated tables and those that scikit-learn brings need no folder. A file of results a task is
written to benchmarks/results. The other libraries are the extra `bench`; one that is not installed
stays out.
"""


def add_commands(commands: Any) -> None:
    """Declare `race` and `draw` and their options."""
    race = commands.add_parser(
        "race",
        help="time to reach the optimum, beside every other library",
        description=RACE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    race.add_argument("--data", type=Path, metavar="DIR", help="the folder of tables")
    race.add_argument(
        "--only", default="", metavar="WORD", help="a task, or all whose name or kind holds WORD"
    )
    race.add_argument("--repeats", type=int, default=REPEATS, metavar="N", help="5 if not given")
    race.add_argument("--out", type=Path, default=results.FOLDER, metavar="DIR")
    race.add_argument(
        "--quick",
        action="store_true",
        help="small tables, scikit-learn alone, nothing written; fails where ours is not exact to "
        f"{EXACT:g} or takes over {GENEROUS:g} times the best",
    )
    race.add_argument(
        "--exact-alone", action="store_true", help="with --quick: tell the times, judge the answers"
    )
    race.set_defaults(run=run_race)
    drawn = commands.add_parser("draw", help="the table and the plot of the documentation")
    drawn.add_argument("--results", type=Path, default=results.FOLDER, metavar="DIR")
    drawn.set_defaults(run=lambda arguments: draw.draw(arguments.results))


def run_race(arguments: argparse.Namespace) -> None:
    """Hold the contests one after the other, and write each one's results when it ends."""
    if arguments.quick:
        run_quick(arguments.only, judge_times=not arguments.exact_alone)
        return
    from benchmarks.race import contest

    contest.load_before_forks("benchmarks.race.preload_peers")
    for task in choose(TASKS, arguments.only):
        if not task.is_there(arguments.data):
            file, package = task.source or ("", "")
            print(f"{task.name:<24} {file} is not there; it comes from {package}")
            continue
        began = time.perf_counter()
        report = results.summarise(contest.hold(task, arguments.data, arguments.repeats))
        results.write(report, arguments.out)
        tell(report, time.perf_counter() - began)


def run_quick(only: str, judge_times: bool = True) -> None:
    """The short form; ends the process with 1 where ours is not exact or far behind."""
    from benchmarks.race import contest

    contest.load_before_forks("benchmarks.race.preload")
    faults = []
    for task in choose(QUICK, only):
        began = time.perf_counter()
        report = results.summarise(contest.hold(task, None, QUICK_REPEATS, QUICK_PEERS))
        tell(report, time.perf_counter() - began)
        faults += find_faults(report, judge_times)
    if faults:
        raise SystemExit("\n".join(faults))


def choose(tasks: tuple[Task, ...], word: str) -> list[Task]:
    """The task of this name; if there is none, those whose name or kind holds the word."""
    chosen = [task for task in tasks if word == task.name]
    chosen = chosen or [task for task in tasks if word in task.name or word in task.kind]
    if not chosen:
        names = ", ".join(task.name for task in tasks)
        raise SystemExit(f"--only {word}: no task or kind holds it; there are {names}")
    return chosen


def find_faults(report: Report, judge_times: bool = True) -> list[str]:
    """What the short form does not let pass."""
    name, best, faults = report.facts["task"], report.best(f"{EXACT:g}"), []
    for line in report.own(DEFAULT):
        if line.seconds is None or line.excess is None or line.excess > EXACT:
            faults.append(f"{name}: {line.solver} ends {line.excess} off, at most {EXACT:g}")
        elif judge_times and best is not None and line.seconds > GENEROUS * (best.seconds or 0.0):
            faults.append(
                f"{name}: {line.solver} takes {line.seconds:.4f} s, "
                f"{best.solver} {best.seconds:.4f} s"
            )
    return faults


def tell(report: Report, seconds: float) -> None:
    """A line for each of ours at each level that a target speaks of."""
    for level in ("1e-06", "1e-09"):
        best = report.best(level)
        for line in report.own(level):
            own = f"{line.seconds:.6f} s" if line.seconds is not None else line.note
            rest = "no other" if best is None else f"{best.solver} {best.seconds:.6f} s"
            ratio = ""
            if best is not None and best.seconds and line.seconds:
                ratio = f"{best.seconds / line.seconds:.2f} times sooner"
            print(
                f"{report.facts['task']:<24} {line.solver:<16} to {level}  {own:<14} "
                f"{rest:<44} {ratio}  [{seconds:.0f} s]",
                flush=True,
            )
