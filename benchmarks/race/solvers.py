"""What a solver is, and which of them can do a task."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from benchmarks.race.problem import Array, Facts, Problem

Options = dict[str, Any]
Fits = list[tuple[Array, Array]]  # (W, b) for each strength


@dataclass(frozen=True)
class Solver:
    """One way to fit a problem.

    Attributes
    ----------
    name: the package's name first. package: its distribution.
    prepare: the problem in the layout that suits it best; not timed.
    fit: what is timed.
    read: (W, b) for each strength, from what `fit` returned; not timed.
    can: whether it can do the task at all.
    ladder: options from loose to tight; the loosest that reaches a level counts.
    default: options that leave its accuracy and its iterations as they come.
    brief: whether the default's limit of iterations makes it the least work; else it is tried
        after the loosest setting of the ladder.
    bias: "free", or the other objective that it minimises, see `judge`.
    """

    name: str
    package: str
    prepare: Callable[[Problem], Any]
    fit: Callable[[Any, Options], Any]
    read: Callable[[Any], Fits]
    can: Callable[[Facts], bool]
    ladder: tuple[Options, ...]
    default: Options
    bias: str = "free"
    brief: bool = False
    ours: bool = False

    def version(self) -> str | None:
        """The installed version, or None."""
        if self.ours:  # it may run from its source, without being installed
            import onelayer

            return onelayer.__version__
        try:
            return version(self.package)
        except PackageNotFoundError:
            return None


def grade(name: str, start: int, stop: int, step: int = 1, **fixed: Any) -> tuple[Options, ...]:
    """A ladder: `name` = 10^start, 10^(start - step), ... down to 10^stop, beside fixed options."""
    return tuple({name: 10.0**e, **fixed} for e in range(start, stop - 1, -step))


def gather() -> dict[str, Solver]:
    """Every solver by name, in the order in which they run: likely quick ones first."""
    from benchmarks.race import ours, path_peers, peers, sparse_peers

    every = (*ours.SOLVERS, *peers.SOLVERS, *sparse_peers.SOLVERS, *path_peers.SOLVERS)
    return {solver.name: solver for solver in every}
