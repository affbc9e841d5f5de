"""What a model was trained on, and how: the part of it that is there for people."""

import math
import re
from dataclasses import dataclass, field
from typing import Any, Literal

from onelayer.balance import Balance
from onelayer.solvers.solution import Progress, Solution
from onelayer.stored import ADDED, Unbounded, find_outside
from onelayer.summary import WeightKind


@dataclass(frozen=True)
class Revision:
    """What was done to a model since it was trained, and what it was made from before.

    Attributes
    ----------
    kind: "update" or "forget". at: when, UTC, as 2026-01-31T23:59:59Z.
    table, sha256, rows: of the training that it took the place of.
    """

    kind: Literal["update", "forget"]
    at: str
    table: str
    sha256: str | None
    rows: int

    def problem(self) -> str | None:
        """Say what no revision can be, or None; asked of what a model file holds."""
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", self.at):
            return f"at is {self.at!r:.40}, expected a time such as 2026-01-31T23:59:59Z"
        if self.sha256 is not None and not re.fullmatch("[0-9a-f]{64}", self.sha256):
            return "sha256 must be 64 digits from 0 to f"
        return find_outside(self, ("rows",), 1, math.inf)


@dataclass(frozen=True)
class TrainingFacts:
    """What a model was trained on and how.

    Attributes
    ----------
    table: name of the table; sha256: of its file's bytes, None for a frame.
    rows, positives: of the training rows; holdout_rows: rows held out and judged; holdout: the
        share of rows asked for, None in files that do not say it.
    left_out_lines: malformed lines of the file; without_target: rows without a value there.
    C: as asked for, or as chosen; l1_ratio, tol, seed: as asked for. solver, status, message,
        objective, cost, passes, iterations, seconds, history, remarks: as in `Solution`.
    test: name of the other table that the model was judged on, or None.
    weight_kind: what the weights are: "frequency", or "sampling" for survey weights.
    balance: what was done to the classes, if anything.
    """

    table: str
    sha256: str | None
    target: str
    rows: int
    positives: int
    holdout_rows: int
    left_out_lines: tuple[int, ...]
    without_target: int
    seed: int
    C: Unbounded
    l1_ratio: float
    tol: float
    solver: str
    status: str
    message: str
    objective: float
    cost: float
    passes: int
    iterations: int
    seconds: float
    history: tuple[Progress, ...]
    test: str | None = None
    remarks: tuple[str, ...] = ()
    weight_kind: WeightKind = field(default="frequency", metadata=ADDED)
    holdout: float | None = field(default=None, metadata=ADDED)
    balance: Balance | None = field(default=None, metadata=ADDED)

    def problem(self) -> str | None:
        """Say what no training can be, or None; asked of what a model file holds."""
        if not 0 < self.positives < self.rows:
            return f"{self.positives} positives among {self.rows} rows: both classes are needed"
        if self.sha256 is not None and not re.fullmatch("[0-9a-f]{64}", self.sha256):
            return "sha256 must be 64 digits from 0 to f"
        if not (self.C > 0 and self.tol > 0):
            return "C and tol must be above 0"
        if not 0 <= self.l1_ratio <= 1:
            return f"l1_ratio is {self.l1_ratio}, expected 0 to 1"
        if self.holdout is not None and not 0 <= self.holdout < 1:
            return f"holdout is {self.holdout}, expected a share from 0 to below 1"
        if any(line < 1 for line in self.left_out_lines):
            return "left_out_lines are counted from 1"
        counts = ("holdout_rows", "without_target", "seed", "passes", "iterations")
        return find_outside(self, (*counts, "objective", "cost", "seconds"), 0, math.inf)


def state_solution(solution: Solution) -> dict[str, Any]:
    """What a training's facts take from its solution, by name."""
    return {
        "solver": solution.solver,
        "status": solution.status,
        "message": solution.message,
        "objective": solution.objective,
        "cost": solution.cost,
        "passes": solution.passes,
        "iterations": solution.iterations,
        "seconds": solution.seconds,
        "history": solution.history,
        "remarks": solution.remarks,
    }
