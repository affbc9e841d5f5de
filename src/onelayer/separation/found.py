"""What a search for separation has found, and its sentence for people."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from onelayer.naming import UNNAMED, Naming

Array = NDArray[Any]

KINDS = ("none", "quasi-complete", "complete", "undecided")
MOST_DIRECTIONS = 3


@dataclass(frozen=True)
class Direction:
    """One direction along which some rows go to their own side and no other row moves wrongly.

    Attributes
    ----------
    weights: (n_outputs, p + 1) in the units of the rows, the bias last.
    columns: those with a weight in it.
    rows: how many rows it separates, of those that the directions before it left.
    """

    weights: Array
    columns: tuple[int, ...]
    rows: int


@dataclass(frozen=True)
class Separation:
    """Whether the classes can be told apart along some direction of the parameters.

    Attributes
    ----------
    kind: "complete" (every row on its own side), "quasi-complete" (some rows, all others on the
        plane between), "none" (proved: without a penalty there is a finite optimum) or "undecided".
    direction: (n_outputs, p + 1), the bias last: adding it to the parameters lowers the loss of
        the rows named and raises that of none; zeros where none is found.
    columns: the columns that it takes.
    rows: positions of the separated rows, in order.
    n_rows: rows with a weight.
    directions: the parts of `direction`, each as sparse as was found.
    exact: whether every side was settled without rounding; else rows count as on the plane when
        they are within the rounding of their own logit.
    output: of several yes-or-no outputs, the one meant.
    reason: why it is undecided; else empty.
    count: of the separated rows, where they are too far to be named and `rows` is empty.
    """

    kind: str
    direction: Array
    columns: tuple[int, ...]
    rows: Array
    n_rows: int
    directions: tuple[Direction, ...] = ()
    exact: bool = True
    output: int | None = None
    reason: str = ""
    count: int | None = None

    @property
    def found(self) -> bool:
        """Whether there is a separation, and so no finite optimum without a penalty."""
        return self.kind in ("complete", "quasi-complete")

    def sentence(self, naming: Naming = UNNAMED) -> str:
        """The finding in plain words: kind, columns, rows."""
        where = "" if self.output is None else f" of output {self.output}"
        if self.kind == "none":
            return f"the classes{where} overlap: no direction separates them"
        if self.kind == "undecided":
            return f"whether the classes{where} are separated is not known: {self.reason}"
        how = "completely" if self.kind == "complete" else "quasi-completely"
        by = " and ".join(_say(each, naming) for each in self.directions[:MOST_DIRECTIONS])
        if len(self.directions) > MOST_DIRECTIONS:
            by += f" and in {len(self.directions) - MOST_DIRECTIONS} more ways"
        if self.kind == "complete":
            rows = f"all {self.n_rows:,} rows are on their own side"
        else:
            count = len(self.rows) if self.count is None else self.count
            rows = f"{count:,} of {self.n_rows:,} rows"
            rows += "" if self.count is not None else f" ({naming.list_rows(self.rows)})"
            rows += " is" if count == 1 else " are"
            rows += self._say_rest()
        close = "" if self.exact else ", to within rounding"
        return f"the classes{where} are {how} separated by {by}: {rows}{close}"

    def _say_rest(self) -> str:
        if len(self.direction) > 1:
            return " told from at least one other class without error"
        return " on their own side, the others on the plane between"


def _say(direction: Direction, naming: Naming) -> str:
    if not direction.columns:
        return "the bias"
    if len(direction.columns) == 1:
        return naming.column(direction.columns[0])
    return f"{naming.list_columns(direction.columns)} together"
