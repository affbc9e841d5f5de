"""The rows of a protected column in groups: its values, or ranges of its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from onelayer.table.levels import read_levels
from onelayer.table.terms import Column, Range

MOST_VALUES = 20
"""A column of more values than this is grouped by the commonest, and the others as one."""


def name_groups(column: Column) -> tuple[str, ...]:
    """Return the groups of a protected column, in order; the last two are "other" and "missing".

    Of numbers of more than ten different values the training rows' quarters are the groups.
    """
    assert column.seen is not None
    if column.seen.numbers is not None:
        ends = [f"{edge:.6g}" for edge in _edges(column.seen.numbers)]
        middle = [f"{low} to {high}" for low, high in pairwise(ends)]
        return (f"up to {ends[0]}", *middle, f"above {ends[-1]}", "other", "missing")
    levels = [each.level for each in column.seen.levels[:MOST_VALUES]]
    return (*levels, "other", "missing")


def group_rows(column: Column, raw: pl.Series, na: Sequence[str]) -> NDArray[np.intp]:
    """Return the place of each row's group in `name_groups`."""
    assert column.seen is not None
    names = read_levels(raw, na)
    groups = name_groups(column)
    other, missing = len(groups) - 2, len(groups) - 1
    if column.seen.numbers is not None:
        values = names.cast(pl.Float64, strict=False)
        found = np.searchsorted(_edges(column.seen.numbers), values.fill_null(0.0).to_numpy())
        found = np.where(values.is_null().to_numpy(), other, found)
        return np.where(names.is_null().to_numpy(), missing, found)
    known = {level: place for place, level in enumerate(groups[:other])}
    different = names.unique()
    codes = [missing if name is None else known.get(name, other) for name in different]
    codes_of_rows = names.replace_strict(different, codes, return_dtype=pl.Int64)
    return np.asarray(codes_of_rows.to_numpy(), dtype=np.intp)


def _edges(numbers: Range) -> list[float]:
    """The quartiles that differ, and leave something above them."""
    quartiles = numbers.quantiles[2:5]
    edges = sorted({edge for edge in quartiles if edge < numbers.maximum})
    return edges or [numbers.minimum]
