"""What the rows trained on looked like, in a few bins a column, for later tables to be held to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from onelayer.stored import find_outside
from onelayer.table.levels import read_flags, read_levels
from onelayer.table.moments import count_days, read_moments
from onelayer.table.numerals import read_numbers
from onelayer.table.terms import Column, Flag, Moment, Number, Text
from onelayer.table.values import map_in_threads
from onelayer.table.words import TOKEN, read_texts

if TYPE_CHECKING:
    from onelayer.table.reading import Table
    from onelayer.table.schema import Schema

Floats = NDArray[np.float64]

REFERENCE_ROWS = 20_000
"""At most so many training rows are looked at: by chance alone an index is then under 0.001."""

LEVELS_SHOWN = 12
"""So many of a column's commonest levels have a bin of their own."""

_TENTHS = np.arange(1, 10) / 10


@dataclass(frozen=True)
class Bins:
    """One column in bins, each with its share of the training rows; missing values have the last.

    Attributes
    ----------
    kind : "numbers" with `edges`: bin k holds those above edges[k - 1] and up to edges[k]; or
        "levels" with `levels`, a bin each and then one for all others. Dates are days since the
        column's origin, text is its number of words.
    shares : one more than there are such bins
    """

    column: str
    role: str
    kind: Literal["numbers", "levels"]
    edges: tuple[float, ...]
    levels: tuple[str, ...]
    shares: tuple[float, ...]

    def problem(self) -> str | None:
        """Return what no bins can be, or None."""
        ends = self.levels if self.kind == "levels" else self.edges
        if len(self.shares) != len(ends) + 2:
            return f"shares must be {len(ends) + 2} numbers"
        if list(self.edges) != sorted(set(self.edges)):
            return "edges must rise"
        if not all(0 <= share <= 1 for share in self.shares):
            return "shares must be 0 to 1"
        return None

    def place(self, values: Any) -> NDArray[np.intp]:
        """Return the bin of each value: numbers (nan is missing), or names (null is missing)."""
        if self.kind == "numbers":
            places = np.searchsorted(np.array(self.edges), values, side="left")
            return np.where(np.isnan(values), len(self.shares) - 1, places)
        known = {level: place for place, level in enumerate(self.levels)}
        other, missing = len(self.levels), len(self.shares) - 1
        different = values.unique()
        codes = [missing if name is None else known.get(name, other) for name in different]
        found = values.replace_strict(different, codes, return_dtype=pl.Int64)
        return np.asarray(found.to_numpy(), dtype=np.intp)


@dataclass(frozen=True)
class Reference:
    """The training rows' columns and scores in bins; `rows` is how many rows were looked at.

    `score` is of the probability of the positive value.
    """

    rows: int
    columns: tuple[Bins, ...]
    score: Bins

    def problem(self) -> str | None:
        """Return what no reference can be, or None."""
        return find_outside(self, ("rows",), 1, np.inf)


def bin_columns(
    schema: Schema, table: Table, rows: NDArray[np.intp], weights: Floats
) -> tuple[Bins, ...]:
    """Put the columns that are learnt from, and the protected ones, into bins.

    Arguments
    ---------
    rows
        The numbers of the training rows; of very many, some are looked at.
    weights
        Theirs.
    """
    na = (*schema.na, *table.na)
    if len(rows) > REFERENCE_ROWS:
        few = np.sort(np.random.default_rng(0).permutation(len(rows))[:REFERENCE_ROWS])
        rows, weights = rows[few], weights[few]
    frame = table.frame[rows]

    def fit(column: Column) -> Bins:
        return _fit(column, read_plainly(column, frame[column.name], na), weights)

    return tuple(map_in_threads(fit, list_compared(schema)))


def list_compared(schema: Schema) -> list[Column]:
    """Return the columns that later tables are held to."""
    return [
        column
        for column in schema.columns
        if column.reading is not None and (column.terms or column.role == "protected")
    ]


def read_plainly(column: Column, raw: pl.Series, na: Sequence[str]) -> Any:
    """Return a column as numbers, nan where missing, or as names, null where missing."""
    reading = column.reading
    if isinstance(reading, Number):
        return read_numbers(raw, reading, na)
    if isinstance(reading, Flag):
        return np.where(np.isinf(flags := read_flags(raw, na)), np.nan, flags)
    if isinstance(reading, Moment):
        return count_days(read_moments(raw, reading, na)[0], reading.origin)
    if isinstance(reading, Text):
        words = read_texts(raw, na).str.count_matches(TOKEN).cast(pl.Float64)
        return words.fill_null(np.nan).to_numpy()
    return read_levels(raw, na)


def bin_scores(probabilities: Floats, weights: Floats) -> Bins:
    """Put the training rows' probabilities into tenths."""
    return _fit_numbers("score", "score", probabilities, weights)


def _fit(column: Column, values: Any, weights: Floats) -> Bins:
    if not isinstance(values, pl.Series):
        return _fit_numbers(column.name, column.role, values, weights)
    counts = values.drop_nulls().alias("value").value_counts(name="rows")
    counts = counts.sort(["rows", "value"], descending=[True, False]).head(LEVELS_SHOWN)
    levels = tuple(counts["value"])
    empty = Bins(column.name, column.role, "levels", (), levels, (0.0,) * (len(levels) + 2))
    return _fill(empty, values, weights)


def _fit_numbers(name: str, role: str, values: Floats, weights: Floats) -> Bins:
    there = values[~np.isnan(values)]
    edges: tuple[float, ...] = ()
    if there.size:
        tenths = np.quantile(there, _TENTHS, method="inverted_cdf")
        edges = tuple(np.unique(tenths[tenths < there.max()]).tolist())
    return _fill(Bins(name, role, "numbers", edges, (), (0.0,) * (len(edges) + 2)), values, weights)


def _fill(bins: Bins, values: Any, weights: Floats) -> Bins:
    sums = np.bincount(bins.place(values), weights, len(bins.shares))
    shares = tuple((sums / sums.sum()).tolist())
    return Bins(bins.column, bins.role, bins.kind, bins.edges, bins.levels, shares)


def label_bins(bins: Bins, column: Column | None) -> tuple[str, ...]:
    """Return what each bin holds, in words; `column` is None for the score."""
    if bins.kind == "levels":
        return (*bins.levels, "other", "missing")
    reading = None if column is None else column.reading
    if isinstance(reading, Flag):
        return (*(("no", "yes") if bins.edges else ("always the same",)), "missing")
    ends = [_show(edge, reading) for edge in bins.edges]
    if not ends:
        return ("any", "missing")
    middle = [f"{low} to {high}" for low, high in pairwise(ends)]
    return (f"up to {ends[0]}", *middle, f"above {ends[-1]}", "missing")


def _show(edge: float, reading: object) -> str:
    if isinstance(reading, Moment):
        return str(np.datetime64(reading.origin, "D") + int(edge))
    return f"{edge:.6g}"
