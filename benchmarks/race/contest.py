"""One task, every solver: find what each needs, then time the foremost in turn."""

import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.race import child
from benchmarks.race.child import Run
from benchmarks.race.ours import TIGHT
from benchmarks.race.problem import Facts
from benchmarks.race.solvers import Options, Solver, gather
from benchmarks.race.tasks import Task

LEVELS = (1e-3, 1e-6, 1e-9)
AIMED = LEVELS[1:]  # the levels that targets speak of: who is foremost there is timed again
PATIENCE = 5.0  # a peer gets this many times the quickest peer's time to the strictest level,
SHORTEST, LONGEST = 1.0, 8.0  # but at least and at most so many seconds a fit,
IN_ALL = 1.5  # and so many times that for its whole ladder
UNMATCHED = 25.0  # seconds a fit while no peer has reached the strictest level
LOADING = 300.0
FOREMOST = 2  # peers a level whose times are taken again, in turn with ours,
CLOSE = 1.5  # and all that took at most so many times the quickest peer's time
SLOW = 20.0  # seconds: such a fit is repeated twice alone
NO_GAIN = 0.9  # a tighter tolerance that leaves more of the excess than this gains nothing;
IN_VAIN = 3  # so many in a row, and the ladder ends

_context = multiprocessing.get_context("forkserver")


def load_before_forks(module: str) -> None:
    """Have the server from which children are forked import a module: see `preload`."""
    _context.set_forkserver_preload([module])


class OvertimeError(Exception):
    """A child was asked for more than it could do in the time given."""


class Child:
    """A process with one solver and its data; asked one thing at a time."""

    def __init__(self, folder: Path, solver: str) -> None:
        self.pipe, other = _context.Pipe()
        self.process = _context.Process(target=child.serve, args=(other, folder, solver))
        self.process.start()
        other.close()
        self.refusal = self._wait(LOADING).error

    def ask(self, limit: float, command: str, *arguments: Any) -> Any:
        """The answer, or `OvertimeError` (and the process is gone)."""
        self.pipe.send((command, *arguments))
        return self._wait(limit)

    def close(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()

    def _wait(self, limit: float) -> Any:
        try:
            if self.pipe.poll(limit):
                return self.pipe.recv()
        except EOFError:
            self.close()
            return Run(error="the process died")
        self.close()
        raise OvertimeError


@dataclass
class Entry:
    """A solver in a contest: the runs of its settings so far, by their place in `settings`."""

    solver: Solver
    runs: dict[int, Run] = field(default_factory=dict)
    timings: dict[int, list[float]] = field(default_factory=dict)
    over: float | None = None  # seconds after which a fit was given up
    error: str = ""

    @property
    def settings(self) -> tuple[Options, ...]:
        """The ladder, and the default where it is none of its rungs."""
        ladder, default = self.solver.ladder, self.solver.default
        return ladder if default in ladder else (*ladder, default)

    @property
    def default(self) -> int:
        return self.settings.index(self.solver.default)

    def order(self) -> list[int]:
        """In which order settings are tried: likely quick ones first."""
        first = [self.default] if self.solver.brief else [0, self.default]
        return list(dict.fromkeys((*first, *range(len(self.solver.ladder)))))

    def reach(self, level: float, optimum: Sequence[float]) -> int | None:
        """The loosest setting of the ladder that comes within `level`, by its place."""
        ladder = range(len(self.solver.ladder))
        return next(
            (k for k in ladder if k in self.runs and excess(self.runs[k], optimum) <= level), None
        )

    def seconds(self, k: int) -> float:
        return float(np.median(self.timings[k]))


@dataclass(frozen=True)
class Outcome:
    """Everything that a contest found."""

    task: Task
    facts: Facts
    entries: tuple[Entry, ...]
    optimum: dict[str, tuple[float, ...]]  # by how the bias is treated
    found_by: dict[str, str]
    product: float | None
    gradients: dict[str, float]  # seconds of one pass, by solver


def excess(run: Run, optimum: Sequence[float]) -> float:
    """The largest relative excess over the strengths; inf for a run that failed."""
    if run.error or not optimum or not np.isfinite(run.values).all():
        return float("inf")
    best = np.array(optimum)
    return float(((np.array(run.values) - best) / best).max())


class Contest:
    """The state of one task's contest."""

    def __init__(self, task: Task, data: Path | None, folder: Path, repeats: int) -> None:
        self.task, self.folder, self.repeats = task, folder, repeats
        self.facts = _prepare(task, data, folder)
        self.optimum: dict[str, tuple[float, ...]] = {}
        self.found_by: dict[str, str] = {}
        self.children: dict[str, Child] = {}
        self.product: float | None = None
        self.gradients: dict[str, float] = {}

    def hold(self, solvers: Sequence[Solver]) -> Outcome:
        """Let every solver that can do the task climb its ladder, then time the foremost."""
        able = [solver for solver in solvers if solver.can(self.facts)]
        entries: list[Entry] = []
        try:
            self._refer([solver for solver in able if solver.ours][-1:], able)
            for solver in able:
                entries.append(self._explore(solver, entries))
                self._dismiss(entries)
            self._alternate(entries)
            self._measure(entries)
        finally:
            for one in self.children.values():
                one.close()
        return Outcome(
            self.task,
            self.facts,
            tuple(entries),
            self.optimum,
            self.found_by,
            self.product,
            self.gradients,
        )

    def _refer(self, own: Sequence[Solver], able: Sequence[Solver]) -> None:
        """Our own optimum to rounding, for each objective in play; others may lower it."""
        for solver in own:
            one = self._child(solver)
            for bias in sorted({other.bias for other in able}):
                asked = ("run", TIGHT) if bias == "free" else ("refer", TIGHT, bias)
                run = one.ask(LOADING, *asked)
                if run.error:
                    raise SystemExit(f"{self.task.name}: {solver.name}: {run.error}")
                self._lower(bias, run, f"{solver.name}, tol {TIGHT['tol']:g}")

    def _lower(self, bias: str, run: Run, name: str) -> None:
        if run.error or not np.isfinite(run.values).all():
            return
        known = self.optimum.get(bias)
        if known is None or excess(run, known) < -1e-13:
            self.found_by[bias] = name
        lowest = run.values if known is None else np.minimum(known, run.values)
        self.optimum[bias] = tuple(float(value) for value in lowest)

    def _explore(self, solver: Solver, before: Sequence[Entry]) -> Entry:
        """Run the default, and the ladder from loose to tight for as long as it gains."""
        entry = Entry(solver)
        limit = self._limit(before, solver)
        try:
            entry.error = self._child(solver).refusal
            if not entry.error:
                self._climb(entry, limit)
        except OvertimeError:
            entry.over = limit
            del self.children[solver.name]
        return entry

    def _climb(self, entry: Entry, limit: float) -> None:
        ends, last, vain = time.perf_counter() + IN_ALL * limit, float("inf"), 0
        for k in entry.order():
            run: Run = self._child(entry.solver).ask(limit, "run", entry.settings[k])
            entry.runs[k], entry.timings[k], entry.error = run, [run.seconds], run.error
            self._lower(entry.solver.bias, run, f"{entry.solver.name} {entry.settings[k]}")
            if k not in range(len(entry.solver.ladder)):
                continue
            now = excess(run, self.optimum.get(entry.solver.bias, ()))
            vain = vain + 1 if now > NO_GAIN * last else 0
            if run.error or now <= LEVELS[-1] or vain == IN_VAIN:
                return
            if time.perf_counter() > ends:
                entry.over = IN_ALL * limit
                return
            last = now

    def _limit(self, before: Sequence[Entry], solver: Solver) -> float:
        """How long a fit may take, by what the quickest peer so far has needed."""
        needed = [
            entry.seconds(k)
            for entry in before
            if not entry.solver.ours
            and (k := entry.reach(LEVELS[-1], self.optimum.get(entry.solver.bias, ()))) is not None
        ]
        if solver.ours:
            return LOADING
        if not needed:
            return UNMATCHED
        return float(np.clip(PATIENCE * min(needed), SHORTEST, LONGEST))

    def _foremost(self, entries: Sequence[Entry]) -> dict[str, set[int]]:
        """The settings worth repeating, by solver: all of ours, the quickest peers a level."""
        chosen: dict[str, set[int]] = {}
        for level in AIMED:
            reached = []
            for entry in entries:
                k = entry.reach(level, self.optimum.get(entry.solver.bias, ()))
                if k is not None:
                    reached.append((not entry.solver.ours, entry.seconds(k), k, entry.solver.name))
            own = [place for place in reached if not place[0]]
            rest = sorted(place for place in reached if place[0])
            rest = [x for i, x in enumerate(rest) if i < FOREMOST or x[1] <= CLOSE * rest[0][1]]
            for _, _, k, name in (*own, *rest):
                chosen.setdefault(name, set()).add(k)
        return chosen

    def _dismiss(self, entries: Sequence[Entry]) -> None:
        """End the processes of all that are not foremost: their copies of the data go with them."""
        kept = self._foremost(entries)
        for entry in entries:
            name = entry.solver.name
            if name not in kept and not entry.solver.ours and name in self.children:
                self.children.pop(name).close()

    def _alternate(self, entries: Sequence[Entry]) -> None:
        """Time the foremost again, one after the other, round by round."""
        chosen = self._foremost(entries)
        for entry in entries:  # the timing while exploring stands for those that are not repeated
            for k in chosen.get(entry.solver.name, ()):
                entry.timings[k] = [] if entry.runs[k].seconds < SLOW else entry.timings[k]
        for round_ in range(self.repeats):
            for entry in entries:
                for k in sorted(chosen.get(entry.solver.name, ())):
                    if entry.runs[k].seconds < SLOW or round_ < 1:
                        run = self._child(entry.solver).ask(LOADING, "run", entry.settings[k])
                        entry.timings[k].append(run.seconds)

    def _measure(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if entry.solver.ours and not entry.error:
                found = self._child(entry.solver).ask(LOADING, "measure")
                if isinstance(found, Run):
                    raise SystemExit(f"{self.task.name}: {entry.solver.name}: {found.error}")
                self.product, self.gradients[entry.solver.name] = found

    def _child(self, solver: Solver) -> Child:
        if solver.name not in self.children:
            self.children[solver.name] = Child(self.folder, solver.name)
        return self.children[solver.name]


def hold(task: Task, data: Path | None, repeats: int, peers: Sequence[str] = ()) -> Outcome:
    """Let every installed solver at the task; `peers` names the others that are let in, if any."""
    solvers = [
        solver
        for solver in gather().values()
        if solver.version() is not None and (not peers or solver.ours or solver.name in peers)
    ]
    with tempfile.TemporaryDirectory(prefix="race-") as folder:
        return Contest(task, data, Path(folder), repeats).hold(solvers)


def _prepare(task: Task, data: Path | None, folder: Path) -> Facts:
    """Read the table in a process that ends, so that no child inherits what reading left."""
    ours, other = _context.Pipe()
    process = _context.Process(target=child.prepare, args=(other, task.name, data, folder))
    process.start()
    other.close()
    try:
        facts: Facts = ours.recv()
    except EOFError:
        raise SystemExit(f"{task.name}: its table could not be read, see above") from None
    process.join()
    return facts
