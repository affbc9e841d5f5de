"""One solver at one task in a process of its own: what is asked through a pipe is run and timed.

The data are loaded and put into the solver's layout before the clock starts. The parent asks, waits
for as long as it will, and ends the process where that was not enough.
"""

import ctypes
import time
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from benchmarks.peak import read_peak, read_status
from benchmarks.race import ours, peers
from benchmarks.race.problem import Facts, Problem, judge
from benchmarks.race.solvers import Fits, Options, Solver, gather
from benchmarks.race.tasks import QUICK, TASKS

SHORT = 0.1  # seconds: a fit that takes less is repeated until so much time has passed
MOST_CALLS = 200
SAMPLE = 300, 50  # rows and columns of the first call, which loads and compiles and is not timed
MB = 1024.0


@dataclass(frozen=True)
class Run:
    """What one setting of one solver gave.

    Attributes
    ----------
    seconds: the median over `calls` fits in a row. values: the objective for each strength.
    memory: MB at the peak of the first fit over what was held before it; None off Linux.
    passes: over the rows, of ours. error: what the library raised, else empty.
    """

    seconds: float = 0.0
    calls: int = 0
    values: tuple[float, ...] = ()
    memory: float | None = None
    passes: int | None = None
    error: str = ""


@dataclass
class Bench:
    """A solver with its data laid out, and the last fit for what is measured at the answer."""

    solver: Solver
    problem: Problem
    prepared: Any = None
    fits: Fits = field(default_factory=list)

    def refer(self, options: Options, bias: str) -> Run:
        """The optimum of an objective that treats the bias in another way, by ours."""
        problem = _with_bias_as(bias, self.problem)
        chosen = {**options, "fit_intercept": False}
        fits = self.solver.read(self.solver.fit(self.solver.prepare(problem), chosen))
        if bias == "penalised":
            fits = [(W[:, :-1], W[:, -1]) for W, _ in fits]
        return Run(values=tuple(judge(self.problem, fits, bias)))

    def measure(self) -> tuple[float, float]:
        """Seconds of one product with the table, and of one pass for the gradient."""
        return ours.time_product(self.problem), ours.time_gradient(self.prepared, self.fits)

    def run(self, options: Options) -> Run:
        """Time the fit; judge what it found."""
        before = _reset_peak()
        seconds, fitted = self._time(options)
        peak = read_peak()
        timings = [seconds]
        while sum(timings) < SHORT and len(timings) < MOST_CALLS:
            timings.append(self._time(options)[0])
        self.fits = self.solver.read(fitted)
        memory = None if before is None or peak is None else (peak - before) / MB
        return Run(
            seconds=float(np.median(timings)),
            calls=len(timings),
            values=tuple(judge(self.problem, self.fits, self.solver.bias)),
            memory=memory,
            passes=ours.count_passes(fitted) if self.solver.ours and memory is not None else None,
        )

    def _time(self, options: Options) -> tuple[float, Any]:
        began = time.perf_counter()
        whole = self.problem.whole
        prepared = self.solver.prepare(self.problem) if whole else self.prepared
        fitted = self.solver.fit(prepared, options)
        return time.perf_counter() - began, fitted


def serve(pipe: Connection, folder: Path, name: str) -> None:
    """Answer (command, *arguments) with a Run, or with what else was asked for."""
    peers.hush()
    bench = Bench(gather()[name], Problem.load(folder))
    try:
        _warm_up(bench)
        bench.prepared = bench.solver.prepare(bench.problem)
    except Exception as error:  # a library's own failure is a result of the race
        pipe.send(Run(error=_first_line(error)))
        return
    pipe.send(Run())
    with suppress(EOFError, BrokenPipeError):  # the parent is gone
        while True:
            command, *arguments = pipe.recv()
            try:
                answer = getattr(bench, command)(*arguments)
            except Exception as error:
                answer = Run(error=_first_line(error))
            pipe.send(answer)


def prepare(pipe: Connection, name: str, data: Path | None, folder: Path) -> None:
    """Read or draw a task's table, write it into the folder, and tell its facts."""
    task = next(task for task in (*TASKS, *QUICK) if task.name == name)
    problem = task.read(data)
    problem.save(folder)
    pipe.send(Facts.of(problem))


def _warm_up(bench: Bench) -> None:
    solver, small = bench.solver, bench.problem.sample(*SAMPLE)
    with suppress(Exception):  # a table of so few rows may have no answer
        solver.fit(solver.prepare(small), solver.default)


def _with_bias_as(bias: str, problem: Problem) -> Problem:
    if bias == "none":
        return problem
    ones = np.ones((len(problem.y), 1), problem.X.dtype)
    if sparse.issparse(problem.X):
        X = sparse.csr_array(sparse.hstack([problem.X, sparse.csr_array(ones)], format="csr"))
    else:
        X = np.hstack([problem.X, ones])
    return Problem(X, problem.y, problem.strengths, problem.l1_ratio)


def _reset_peak() -> float | None:
    """Give back what is free, set the peak to what is held, and tell that in kB."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except (OSError, AttributeError):
        return None
    return read_status("VmRSS:")


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:120]
