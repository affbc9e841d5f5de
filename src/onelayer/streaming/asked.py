"""What a training on a long table is asked for, may use, and tells."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from onelayer import __version__
from onelayer.balance import Balance, ClassWeight, settle_balance
from onelayer.errors import InputError
from onelayer.solvers.descent import Descent
from onelayer.solvers.solution import Progress
from onelayer.summary import WeightKind
from onelayer.table.target import Target
from onelayer.thresholds.choice import Costs, ThresholdRule

Array = NDArray[np.float64]

LEAST_MEMORY = 150_000_000  # batches, threads and polars take 130 of any table larger than that
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
    tell: told the `Stage` every so often. say: told sentences for a person. watch: told each step
        of the solver.
    """

    memory: int
    folder: Path | None = None
    cached: bool = True
    resume: bool = False
    n_jobs: int | None = None
    tell: Callable[[Stage], None] | None = None
    say: Callable[[str], None] | None = None
    watch: Callable[[Progress], None] | None = None


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
    def costs(self) -> Costs | None:
        """What decisions cost, where the threshold is chosen by that."""
        return self.threshold.costs if isinstance(self.threshold, ThresholdRule) else None

    @property
    def cost_columns(self) -> tuple[str, ...]:
        """The columns that the costs of decisions are read from."""
        return () if self.costs is None else self.costs.columns

    @property
    def copies(self) -> Literal["weights"] | None:
        """What is one copy of a row: survey weights go out whole, and those of classes too."""
        kept = self.weight_kind == "sampling" or self.class_weight is not None
        return "weights" if kept else None

    def balance(self, target: Target, sums: Array) -> Balance | None:
        """What is to be done to the classes, whose rows weigh `sums` (2,)."""
        negative = target.negative[0] if len(target.negative) == 1 else f"not {target.positive}"
        names = (negative, target.positive)
        return settle_balance(self.class_weight, self.base_rate, sums, names)

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
        classes = [repr(self.class_weight), self.base_rate]
        return [__version__, *fit, *how, descent.batch_size, *classes]


def is_streamed(table: Any, memory: int | str | None) -> bool:
    """Whether a table is to be read in batches: where memory is limited, or it is no single file.

    Raises
    ------
    InputError: memory is limited for a table that is in memory.
    """
    files = is_files(table)
    if memory is not None and str(table) == "-":
        raise InputError("memory is for tables in files or a database, not for standard input")
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


def check_solver(settings: Settings) -> None:
    """Refuse what takes rows out of their order, over and over."""
    asked = None
    if settings.solver in ("newton_cg", "gram"):
        asked = f"solver={settings.solver!r}"
    elif settings.solver == "gradient_descent" and settings.descent.batch_size is not None:
        asked = "batch_size"
    if asked is not None:
        raise InputError(
            f"{asked} needs the rows in memory, and this table is read in batches or lies on a "
            "cluster: leave it out, or give a table that fits"
        )


def check_memory(means: Means) -> None:
    """Refuse less memory than a training takes."""
    if means.memory < LEAST_MEMORY:
        raise InputError(
            f"memory is {means.memory / 1e6:.0f} MB: at least "
            f"{LEAST_MEMORY / 1e6:.0f} MB are needed"
        )
