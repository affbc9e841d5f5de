"""What one pass over a long table counts of each column, batch by batch."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from onelayer.table.rules import CODES_DIFFERENT
from onelayer.table.values import is_nested, is_text

MOST_TEXTS = 100_000
"""Different texts of a column that are counted; with more, only those that are no numbers."""

MOST_ODD = 1_000
"""Different texts that are no numbers, of a column of very many different texts."""

FEW_WAITING = 10_000
"""Values of batches, counted, that wait to be merged."""

MOST_NUMBERS = CODES_DIFFERENT[1]
"""Different whole numbers that are counted: with more they are no codes."""


@dataclass
class Tally:
    """One column's different values and how many training rows hold each, as far as few.

    Attributes
    ----------
    is_target : values of any type are counted, a column's own ones only of some
    missing : training rows without a value, as the file has it (words for missing not counted)
    aside : texts that are no numbers, of rows that are not trained on
    """

    dtype: pl.DataType
    is_target: bool = False
    missing: int = 0
    aside: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._counts = pl.DataFrame(schema={"value": self.dtype, "rows": pl.Int64})
        self._waiting: list[pl.DataFrame] = []
        self._many = False

    @property
    def counts(self) -> pl.DataFrame:
        """Columns `value` and `rows`, in the order of the values; complete unless `many`."""
        self._merge()
        return self._counts

    @property
    def many(self) -> bool:
        """Too many values are different, and `counts` has only those that are no numbers."""
        self._merge()
        return self._many

    @property
    def is_counted(self) -> bool:
        """Whether values of this type are counted one by one."""
        dtype = self.dtype
        if self.is_target:
            return not is_nested(dtype)
        return is_text(dtype) or dtype.is_integer() or dtype == pl.Boolean

    def see(self, column: pl.Series, trained: NDArray[np.bool_]) -> None:
        """Count the rows trained on, and look at the others."""
        if self.dtype.is_float() and not self.is_counted:  # no copy of its values is needed
            absent = np.isnan(column.to_numpy())
            absent &= trained
            self.missing += int(np.count_nonzero(absent))
        elif trained.all():
            self.count(column)
        else:
            self.count(column.filter(pl.Series(trained)))
            self._look(column.filter(pl.Series(~trained)))

    def _look(self, column: pl.Series) -> None:
        """See rows that are not trained on."""
        if is_text(self.dtype) and len(self.aside) < MOST_ODD:
            self.aside.update(_find_odd(column.drop_nulls().cast(pl.String).unique()))

    def count(self, column: pl.Series) -> None:
        """Count a batch's training rows."""
        holds_nan = column.dtype.is_float()
        # As an array, what is null is nan too.
        absent = np.isnan(column.to_numpy()).sum() if holds_nan else column.null_count()
        self.missing += int(absent)
        if not self.is_counted:
            return
        column = column.fill_nan(None) if holds_nan else column
        column = (column.drop_nulls() if column.null_count() else column).alias("value")
        if is_text(self.dtype):
            column = column.cast(pl.String)
        if self._many:
            if not is_text(self.dtype):
                return
            column = _find_odd(column)
        self._add(column.value_counts(name="rows"))

    def merge(self, other: Tally) -> None:
        """Add what was counted in other rows."""
        self.missing += other.missing
        if len(self.aside) < MOST_ODD:
            self.aside.update(other.aside)
        counts = other.counts
        if other.many and not self.many:
            self._keep_odd()
        elif self.many and not other.many:
            counts = counts.filter(self._is_odd(counts["value"]))
        self._add(counts)

    def _keep_odd(self) -> None:
        """There are too many values to be counted: keep those that are no numbers."""
        self._many = True
        self._counts = self._counts.filter(self._is_odd(self._counts["value"]))

    def _is_odd(self, values: pl.Series) -> pl.Series:
        odd = _find_odd(values).to_list() if is_text(self.dtype) else []
        return values.is_in(odd)

    def _add(self, found: pl.DataFrame) -> None:
        """Take in counts: of a few values, some batches' at once, which costs as much as one's."""
        if found.height:
            rows = found["rows"].cast(pl.Int64)
            self._waiting.append(pl.DataFrame([found["value"], rows]))
        if sum(counts.height for counts in self._waiting) > FEW_WAITING or self._many:
            self._merge()

    def _merge(self) -> None:
        if not self._waiting:
            return
        kind = self._waiting[0]["value"].dtype
        both = pl.concat([self._counts.cast({"value": kind}), *self._waiting])
        self._waiting = []
        self._counts = both.group_by("value").agg(pl.col("rows").sum()).sort("value")
        most = MOST_TEXTS if is_text(self.dtype) else MOST_NUMBERS
        if not self._many and self._counts.height > most:
            self._keep_odd()
        if self._many and self._counts.height > MOST_ODD:
            self._counts = self._counts.sort(["rows", "value"], descending=[True, False])
            self._counts = self._counts.head(MOST_ODD)


def _find_odd(texts: pl.Series) -> pl.Series:
    """The texts that polars reads no finite number from."""
    numbers = texts.cast(pl.Float64, strict=False)
    return texts.filter(numbers.is_null() | ~numbers.is_finite())
