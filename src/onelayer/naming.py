"""What people call the columns and rows that solvers know by position."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

MOST_NAMED = 5
LONGEST = 60  # of a name in a sentence


@dataclass(frozen=True)
class Naming:
    """Names for messages about a row source.

    Attributes
    ----------
    columns: a name for each column; without one it is "column 3".
    rows: (n,) the caller's number of each row of the source; None where they are the same.
    row_word: "row", or "line" where the numbers are lines of a file.
    scale, origin: (p,) the table's value is scale times the column's, plus origin; None where the
        columns are the table's own.

    >>> import numpy as np
    >>> Naming(("age", "debt")).column(1), Naming().column(1)
    ('`debt`', 'column 1')
    >>> Naming(rows=np.array([4, 7, 9]), row_word="line").list_rows(np.array([0, 2]))
    'lines 4 and 9'
    """

    columns: Sequence[str] = ()
    rows: NDArray[Any] | None = None
    row_word: str = "row"
    scale: NDArray[Any] | None = None
    origin: NDArray[Any] | None = None

    def column(self, j: int) -> str:
        """The name of column j."""
        return f"`{_show(self.columns[j])}`" if len(self.columns) else f"column {j}"

    def list_columns(self, columns: Sequence[int]) -> str:
        """The names of columns, the first few of many."""
        return list_words([self.column(j) for j in columns[:MOST_NAMED]], len(columns))

    def list_rows(self, rows: NDArray[Any]) -> str:
        """The numbers of rows, the first few of many, with the word for them."""
        first = rows[:MOST_NAMED]
        numbers = first if self.rows is None else self.rows[first]
        word = self.row_word if len(rows) == 1 else f"{self.row_word}s"
        return f"{word} {list_words([str(number) for number in numbers], len(rows))}"


def _show(name: str) -> str:
    shown = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in str(name))
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 3]}..."


def list_words(parts: Sequence[str], total: int | None = None) -> str:
    """Words as a list in a sentence; `total` is how many there are where these are not all.

    >>> list_words(["a", "b", "c"]), list_words(["a", "b"], 5)
    ('a, b and c', 'a, b and 3 more')
    """
    if total is not None and total > len(parts):
        return f"{', '.join(parts)} and {total - len(parts):,} more"
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))


UNNAMED = Naming()
