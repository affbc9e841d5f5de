"""Lines that are no rows: how many may be left out, and how that is said."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from onelayer.errors import DataWarning, InputError

# One malformed line in a thousand may be left out; more, and the table is not what it seems.
MALFORMED_PER_ROW = 0.001
_NAMED_LINES = 3


@dataclass(frozen=True)
class LeftOut:
    """A line of the file that is no row of the table, and why."""

    line: int
    reason: str


def limit_malformed(first: LeftOut, n_left_out: int, n_kept: int, source: str, layout: str) -> None:
    """Raise InputError where more lines are malformed than may be left out.

    `first` is the first of them; `layout` says in words what was expected.
    """
    n_lines = n_kept + n_left_out
    if n_kept and n_left_out <= MALFORMED_PER_ROW * n_lines:
        return
    raise InputError(
        f"{source}, line {first.line}: {first.reason} ({layout}); {n_left_out} of {n_lines} lines "
        f"are malformed, at most {MALFORMED_PER_ROW:.1%} may be left out: mend them, or name every "
        "column"
    )


def say_left_out(left_out: Sequence[LeftOut], n_kept: int, source: str) -> None:
    """Warn once of all lines left out, with their number and the first few by line and reason."""
    n = len(left_out)
    if not n:
        return
    named = [f"line {left.line} ({left.reason})" for left in left_out[:_NAMED_LINES]]
    rest = [f"{n - _NAMED_LINES} more"] if n > _NAMED_LINES else []
    warnings.warn(
        f"{source}: {n} malformed line{'s' * (n > 1)} of {n_kept + n} left out: "
        f"{', '.join([*named, *rest])}",
        DataWarning,
        stacklevel=2,
    )
