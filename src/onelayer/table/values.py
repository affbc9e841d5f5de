"""What every way of reading shares: missing words, one look at each different text, places."""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from onelayer.errors import InputError
from onelayer.table.rules import MISSING_WORDS

if TYPE_CHECKING:
    from onelayer.table.reading import Table

A = TypeVar("A")
B = TypeVar("B")
MANY = 5


def is_text(dtype: pl.DataType) -> bool:
    """Return whether the values are text, however they are stored."""
    return dtype == pl.String or dtype in (pl.Categorical, pl.Enum)


def is_nested(dtype: pl.DataType) -> bool:
    """Return whether the values are lists, structs, bytes or objects: nothing to learn from."""
    return dtype.is_nested() or dtype in (pl.Binary, pl.Object)


def to_text(column: pl.Series) -> pl.Series:
    """Return a column of text as pl.String."""
    return column if column.dtype == pl.String else column.cast(pl.String)


def map_texts(
    texts: pl.Series, function: Callable[[pl.Series], NDArray[Any]], null: float
) -> NDArray[Any]:
    """Apply `function` once to all different texts, and give each row its own; nulls get `null`."""
    different = texts.drop_nulls().unique()
    if not len(different):
        return np.full(len(texts), null)
    found = function(different)
    found = np.append(found, np.array([null]).astype(found.dtype))
    codes = texts.cast(pl.Enum(different)).to_physical().cast(pl.UInt32)
    taken: NDArray[Any] = found[codes.fill_null(len(different)).to_numpy()]
    return taken


def map_in_threads(function: Callable[[A], B], items: Sequence[A]) -> list[B]:
    """Return the function of each item, in order; polars and NumPy let threads run side by side.

    A thread takes the next item when it is done with one: handing each over would take longer than
    many last. The first error in the order of the items is the one raised.

    >>> map_in_threads(abs, [-2, 1, -3])
    [2, 1, 3]
    """
    found: dict[int, B] = {}
    failed: dict[int, Exception] = {}
    waiting = deque(range(len(items)))

    def work() -> None:
        while waiting:
            try:
                place = waiting.popleft()
            except IndexError:  # another thread took the last one
                return
            try:
                found[place] = function(items[place])
            except Exception as error:  # those before it are begun; those behind are not needed
                failed[place] = error
                waiting.clear()

    helpers = min(pl.thread_pool_size(), len(items)) - 1
    with ThreadPoolExecutor(max(1, helpers)) as pool:
        others = [pool.submit(work) for _ in range(helpers)]
        try:
            work()
        finally:  # after Ctrl-C, too, the others begin no further item
            waiting.clear()
    for other in others:
        other.result()
    if failed:
        raise failed[min(failed)]
    return [found[place] for place in range(len(items))]


def missing_words(na: Sequence[str]) -> list[str]:
    """Return all words that mean missing: the usual ones and the user's own."""
    return [*MISSING_WORDS, *(word.strip() for word in na)]


def missing_numbers(na: Sequence[str]) -> list[float]:
    """Return those of the user's words that are numbers, such as -999.

    >>> missing_numbers(["-999", "none"])
    [-999.0]
    """
    if not na:  # nearly always, and asked for once a column and batch
        return []
    numbers = pl.Series(list(na), dtype=pl.String).str.strip_chars().cast(pl.Float64, strict=False)
    return [float(number) for number in numbers.drop_nulls()]


class RefusedValueError(InputError):
    """A value that cannot be read, where it was met: perhaps in a sample of the rows."""

    column: str
    value: object
    expected: str

    def find(self, tables: Iterable[Table]) -> InputError:
        """Return the error with the place of the first such value in the whole table."""
        for table in tables:
            same = table.frame[self.column].eq_missing(self.value).to_numpy()
            if same.any():
                return refuse_value(table, int(np.argmax(same)), self.column, self.expected)
        return self


def refuse_value(table: Table, row: int, column: str, expected: str) -> RefusedValueError:
    """Return the error for one value that cannot be read; `expected` ends the sentence."""
    value = table.frame[column][row]
    refused = RefusedValueError(
        f"{table.place_of(row)}, column {column!r}: {show(value)} {expected}"
    )
    refused.column, refused.value, refused.expected = column, value, expected
    return refused


def show(value: object) -> str:
    """Return a value for a message, cut to 40 characters.

    >>> show("a" * 50)
    "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...'"
    """
    if value is None:
        return "a missing value"
    text = str(value)
    text = text if len(text) <= 40 else text[:37] + "..."
    return repr(text) if isinstance(value, str) else text


def list_some(values: Sequence[str], most: int = MANY) -> str:
    """Return the first values, quoted, and how many more there are.

    >>> list_some(["a", "b", "c"], most=2)
    "'a', 'b' and 1 more"
    """
    shown = ", ".join(show(value) for value in values[:most])
    more = len(values) - most
    return f"{shown} and {more:,} more" if more > 0 else shown


def require_columns(table: Table, names: Sequence[str]) -> None:
    """Refuse a table that lacks a column, and say which of its columns come close."""
    require_names(table.name, table.frame.columns, names)


def require_names(source: str, there: Sequence[str], names: Sequence[str]) -> None:
    """Refuse a source that lacks a column, and say which of those that are there come close."""
    absent = [name for name in names if name not in there]
    if absent:
        noun = "column" if len(absent) == 1 else "columns"
        raise InputError(f"{source}: no {noun} {list_some(absent)}{suggest(absent[0], there)}")


def suggest(name: str, there: Sequence[str]) -> str:
    """Return which names come close, as the end of a message.

    >>> suggest("incme", ["age", "income"])
    "; did you mean 'income'?"
    """
    lower = {known.lower().strip(): known for known in there}
    close = difflib.get_close_matches(name.lower().strip(), lower, n=3, cutoff=0.6)
    if close:
        return f"; did you mean {list_some([lower[c] for c in close])}?"
    return f"; the columns are {list_some(there, 10)}" if there else ""
