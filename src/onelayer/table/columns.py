"""One column: settle what it holds, judge whether it is of use, and fit its terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from onelayer.table.codes import find_codes
from onelayer.table.fit import (
    Fitted,
    fit_flags,
    fit_levels,
    fit_moments,
    fit_numbers,
    fit_words,
    see_numbers,
)
from onelayer.table.levels import read_levels
from onelayer.table.numerals import Floats
from onelayer.table.roles import find_constant, find_identifier, find_leak, tally
from onelayer.table.rules import rare_below
from onelayer.table.settle import Settled, settle, settle_as
from onelayer.table.terms import Column, Flag, Level, Moment, Range, Role
from onelayer.table.values import is_nested

if TYPE_CHECKING:
    from onelayer.table.reading import Table


@dataclass(frozen=True)
class Training:
    """The training rows: which rows of the table they are, their labels and weights."""

    rows: NDArray[np.bool_]
    labels: Floats
    weights: Floats


def infer_column(
    table: Table,
    name: str,
    training: Training,
    na: Sequence[str],
    forced: str | None = None,
    keep: bool = False,
) -> Column:
    """Return a column with its role, reason and terms.

    What it holds is settled over all rows of the table, and so is whether it names the rows; all
    else comes from the training rows. `forced` is the role that the user gave, `keep` that it be
    used even as an identifier or a leak.
    """
    dtype = table.frame[name].dtype
    if is_nested(dtype):
        return Column(name, "unsupported", f"holds {dtype}: lists, records and bytes are not read")
    settled = settle(table, name, na) if forced is None else settle_as(table, name, na, forced)
    values = settled.values.filter(pl.Series(training.rows))
    if forced is None and settled.role == "numeric" and (why := _find_codes(values, training)):
        settled = replace(settle_as(table, name, na, "categorical"), reason=why)
        values = settled.values.filter(pl.Series(training.rows))
    counts = tally(values, training.labels)
    if useless := _find_useless(settled, counts, forced, keep):
        return Column(name, *useless)
    fitted = _fit(settled, values, counts, training)
    if not fitted.terms:
        return Column(name, *_say_empty(settled, len(values)))
    reading = settled.reading
    if isinstance(reading, Moment):
        reading = replace(reading, origin=_first_day(values))
    reason = "; ".join(filter(None, (settled.reason, fitted.said)))
    return Column(name, settled.role, reason, reading, fitted.terms, fitted.seen)


def _find_codes(values: pl.Series, training: Training) -> str | None:
    return find_codes(values.to_numpy(), training.labels, training.weights)


def see_protected(table: Table, name: str, training: Training, na: Sequence[str]) -> Column:
    """Return a column that is not learnt from, with the levels that its training rows held."""
    reason = "never learnt from, kept for audits"
    if is_nested(table.frame[name].dtype):
        return Column(name, "protected", reason)
    names = read_levels(table.frame[name], na).filter(pl.Series(training.rows))
    seen = fit_levels(tally(names, training.labels)).seen
    numbers = see_range(names, training.weights)
    return Column(name, "protected", reason, Level(), seen=replace(seen, numbers=numbers))


FEWEST_NUMBERS = 10
"""Of more different numbers than this an audit makes ranges."""


def see_range(names: pl.Series, weights: Floats) -> Range | None:
    """Return the range of a protected column of many different numbers; None of any other."""
    values = names.cast(pl.Float64, strict=False)
    if values.null_count() > names.null_count() or values.n_unique() <= FEWEST_NUMBERS:
        return None
    return see_numbers(values.fill_null(np.nan).to_numpy(), weights).numbers


def _find_useless(
    settled: Settled, counts: pl.DataFrame, forced: str | None, keep: bool
) -> tuple[Role, str] | None:
    if reason := find_constant(counts):
        return "constant", reason
    if keep:
        return None
    name_only = find_identifier(settled) if forced is None else None
    # An identifier that only one class has is worth more than a shrug.
    if name_only and not settled.values.null_count():
        return "identifier", name_only
    if reason := find_leak(counts):
        return "leak", reason
    return ("identifier", name_only) if name_only else None


def _say_empty(settled: Settled, rows: int) -> tuple[Role, str]:
    if settled.role == "date":
        return "constant", "always the same day and hour"
    what = "word" if settled.role == "text" else "value"
    return "identifier", f"{settled.reason}; no {what} in {rare_below(rows)} training rows"


def _first_day(moments: pl.Series) -> str:
    return str(np.nanmin(moments.to_numpy()))[:10]


def _fit(settled: Settled, values: pl.Series, counts: pl.DataFrame, training: Training) -> Fitted:
    reading = settled.reading
    if isinstance(reading, Level):
        return fit_levels(counts)
    if isinstance(reading, Moment):
        return fit_moments(values.to_numpy(), _first_day(values))
    if isinstance(reading, Flag):
        return fit_flags(values.to_numpy(), training.weights)
    if settled.role == "text":
        return fit_words(values, training.labels)
    return fit_numbers(values.to_numpy(), training.labels, training.weights)
