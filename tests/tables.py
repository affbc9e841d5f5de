"""Small tables for tests, as they come from a text file or typed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from onelayer.table.reading import Table


def text_table(columns: Mapping[str, Sequence[str | None]], na: Sequence[str] = ()) -> Table:
    """A table as read from loans.csv, header in line 1."""
    frame = pl.DataFrame({k: pl.Series(list(v), dtype=pl.String) for k, v in columns.items()})
    return Table(frame, "loans.csv", first_line=2, na=tuple(na))


def typed_table(columns: Mapping[str, Any]) -> Table:
    return Table(pl.DataFrame(dict(columns)), "DataFrame")


def as_text(values: Any) -> list[str]:
    return [str(value) for value in values]


def draw_labels(rows: int, seed: int = 0) -> list[str]:
    """Yes and no at random, so that nothing settles them."""
    return ["yes" if coin else "no" for coin in np.random.default_rng(seed).integers(0, 2, rows)]
