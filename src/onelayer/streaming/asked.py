"""What a training on a long table is asked for, may use, and tells."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onelayer import __version__
from onelayer.balance import ClassWeight
from onelayer.errors import InputError
from onelayer.solvers.descent import Descent
from onelayer.solvers.solution import Progress
from onelayer.summary import WeightKind
from onelayer.thresholds.choice import ThresholdRule

LEAST_MEMORY = 100_000_000
USUAL_PASSES = 12


@dataclass(frozen=True)
class Stage:
    """What is under way: `doing` in words, rows `done` of `total` in this pass over the table.

    Where nothing is read meanwhile `done` is 0 and `total` None.

    Attributes
    ----------
    passes: over the encoded rows, so far. progress: the solver's last step.
    seconds: since the pass began. in_all: since the first of the passes over encoded rows began.
    """

    doing: str
    done: int
    total: int | None
    seconds: float
    passes: int = 0
    progress: Progress | None = None
    in_all: float = 0.0


@dataclass(frozen=True)
class Means:
    """What a training may use.

    Attributes
    ----------
    memory: bytes, beside what the program itself takes.
    folder: for the encoded rows. cached: whether they are kept there at all; else every pass reads
        and encodes the table again.
    resume: whether to go on from what a killed run of the same training left.
    tell: told the `Stage` every so often. say: told sentences for a person.
    """

    memory: int
    folder: Path | None = None
    cached: bool = True
    resume: bool = False
    n_jobs: int | None = None
    tell: Callable[[Stage], None] | None = None
    say: Callable[[str], None] | None = None


@dataclass(frozen=True)
class Settings:
    """What to fit and how; see `train` and `fitting.fit`."""

    C: float | str
    l1_ratio: float
    tol: float
    solver: str
    descent: Descent
    weight_kind: WeightKind
    threshold: float | ThresholdRule
    class_weight: ClassWeight = None
    base_rate: float | None = None

    @property
    def cost_columns(self) -> tuple[str, ...]:
        """The columns that the costs of decisions are read from."""
        rule = self.threshold
        costs = rule.costs if isinstance(rule, ThresholdRule) else None
        return () if costs is None else costs.columns

    @property
    def strength(self) -> float:
        """C as a number."""
        assert not isinstance(self.C, str)
        return float(self.C)

    def to_list(self) -> list[object]:
        """Plain values that tell one training from another."""
        fit = [self.C, self.l1_ratio, self.tol, self.solver, self.weight_kind, repr(self.threshold)]
        descent = self.descent
        how = [descent.learning_rate, descent.num_iterations, descent.optimizer]
        return [__version__, *fit, *how, descent.batch_size]


def is_streamed(table: Any, memory: int | str | None) -> bool:
    """Whether a table is to be read in batches: where memory is limited, or it is no single file.

    Raises
    ------
    InputError: memory is limited for a table that is in memory.
    """
    files = is_files(table)
    if memory is not None and not files:
        raise InputError("memory is for tables in files or a database; this one is in memory")
    if not files or memory is not None:
        return files
    name = str(table)
    return isinstance(table, list | tuple) or "://" in name or _is_many(name)


def is_files(table: Any) -> bool:
    """Whether a table is a path, a database's address, or a list of paths."""
    if isinstance(table, list | tuple):
        return bool(table) and all(isinstance(each, str | os.PathLike) for each in table)
    return isinstance(table, str | os.PathLike) and str(table) != "-"


def _is_many(name: str) -> bool:
    """Whether a name is that of a folder, or a pattern that no file has for its name."""
    return os.path.isdir(name) or (not os.path.exists(name) and any(c in name for c in "*?["))


def check_rows(settings: Settings) -> None:
    """Refuse what needs the rows in memory.

    The rows on disk have no columns but those learnt from, and their weights as they came.
    """
    for name in ("class_weight", "base_rate"):
        if getattr(settings, name) is not None:
            raise InputError(
                f"{name} is for tables in memory: leave out the memory limit, or put it into a "
                "column of weights"
            )
    if settings.cost_columns:
        raise InputError(
            f"costs in columns ({', '.join(settings.cost_columns)}) are for tables in memory: give "
            "numbers, or leave out the memory limit"
        )


def check_memory(means: Means) -> None:
    """Refuse less memory than a training takes."""
    if means.memory < LEAST_MEMORY:
        raise InputError(
            f"memory is {means.memory / 1e6:.0f} MB: at least "
            f"{LEAST_MEMORY / 1e6:.0f} MB are needed"
        )
