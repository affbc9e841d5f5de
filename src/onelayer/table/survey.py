"""One pass over a table of any length that settles how its columns are read.

What it keeps is bounded: a random sample of raw rows, drawn by their numbers; for each column its
different values with their counts, as far as they are few, and the texts that are no numbers. The
schema is inferred from the sample, with every odd text of the whole table beside it, so that a
strange value in the last row counts; levels and missing values are those of all training rows. A
table that fits into the sample gets the schema that `infer_schema` gives it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from onelayer.errors import InputError
from onelayer.rows.ahead import make_ahead
from onelayer.rows.lots import hold_out
from onelayer.table.findings import Findings
from onelayer.table.findings import Split as Split
from onelayer.table.fit import fit_levels
from onelayer.table.levels import name_levels, written
from onelayer.table.moments import guess_format
from onelayer.table.schema import Schema, infer_schema, read_weights, require_classes
from onelayer.table.tally import Tally
from onelayer.table.target import Target, choose_target
from onelayer.table.terms import Column, Level, Levels, Missing, Scale, Seen, Term, Words
from onelayer.table.values import is_text

if TYPE_CHECKING:
    from onelayer.table.reading import Table

SAMPLE_ROWS = 100_000
"""Rows of the sample, of a table of not too many columns; a shorter table is taken whole."""

SAMPLE_CELLS = 1 << 22
"""Values of the sample at most, but for LEAST_ROWS rows."""

LEAST_ROWS = 20_000

MOST_WITNESSES = 60
"""Odd texts of a column that are put beside the sample; more than make a column of words."""


@dataclass(frozen=True)
class Survey:
    """What a pass over a table found.

    Attributes
    ----------
    n_rows, n_labelled, n_there, n_held : rows in all; with a target; with a weight too; and held
        out of these
    sample, numbers : raw rows drawn at random, in order, and their numbers
    tallies : of each column over the training rows
    targets : columns `spelled` and `rows`, over all rows
    left_out : lines of text files that are no rows
    """

    n_rows: int
    n_labelled: int
    n_there: int
    n_held: int
    sample: Table
    numbers: NDArray[np.int64]
    tallies: Mapping[str, Tally]
    targets: pl.DataFrame
    left_out: tuple[int, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether the sample is the table."""
        return self.sample.frame.height == self.n_rows


def sample_size(n_columns: int) -> int:
    """Return how many rows of a table are drawn.

    >>> sample_size(20), sample_size(200)
    (100000, 20971)
    """
    return min(SAMPLE_ROWS, max(LEAST_ROWS, SAMPLE_CELLS // max(1, n_columns)))


def take_survey(
    batches: Iterable[tuple[int, Table]],
    split: Split,
    name: str,
    watch: Callable[[int], None] | None = None,
) -> Survey:
    """Read all batches once.

    Arguments
    ---------
    batches
        (number of the first row, rows), in order; every batch has the same columns.
    name
        What messages call the whole table. `watch` is told the rows read so far.

    Raises
    ------
    InputError
        For a table without rows or without the target, and for weights that are none.
    """
    found: Findings | None = None
    marked = ((first, table, split.find_labelled(table)) for first, table in batches)
    for first, table, labelled in make_ahead(marked):
        found = found or Findings(split, sample_size(table.frame.width))
        found.see(first, table, labelled)
        if watch is not None:
            watch(found.n_rows)
    return close_survey(found, name)


def close_survey(found: Findings | None, name: str) -> Survey:
    """The survey of all rows.

    Raises
    ------
    InputError
        There is none.
    """
    if found is None or found.targets is None:
        raise InputError(f"{name}: no rows; a table of at least one row is expected")
    sample, numbers = found.sample.close(name, found.split.na)
    counts = _spell(found.targets, sample.frame[found.split.target])
    return Survey(
        found.n_rows,
        found.n_labelled,
        found.n_there,
        found.n_held,
        sample,
        numbers,
        found.tallies,
        counts,
        tuple(found.left_out),
    )


def _spell(tally: Tally, sample: pl.Series) -> pl.DataFrame:
    """The target's values as they are written; those of the sample where they are not counted."""
    if tally.is_counted and not tally.many:
        values, rows = tally.counts["value"], tally.counts["rows"]
    else:
        counts = sample.drop_nulls().alias("value").value_counts(name="rows")
        values, rows = counts["value"], counts["rows"]
    texts = values.to_frame().select(written("value", values.dtype))["value"]
    return pl.DataFrame({"spelled": texts, "rows": rows})


def find_trained(survey: Survey, split: Split) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the places of the sample's training rows in it, and their weights."""
    there, _ = split.apply(0, survey.sample)
    held = hold_out(survey.numbers, split.holdout, split.seed)
    rows = np.flatnonzero(there & ~held)
    if split.weight is None:
        return rows, np.ones(len(rows))
    return rows, read_weights(survey.sample, split.weight, split.na, some=False)[rows]


# --- the schema ---------------------------------------------------------------------------------


def infer_from_survey(
    survey: Survey,
    split: Split,
    *,
    positive: object = None,
    drop: Sequence[str] = (),
    keep: Sequence[str] = (),
    protected: Sequence[str] = (),
    roles: Mapping[str, str] | None = None,
) -> Schema:
    """Decide for every column what it is and becomes; see `infer_schema` for the options.

    Means, quantiles and transforms come from the sample's training rows; roles and types from all
    of it and from every odd text of the table; levels and missing values from all training rows.
    """
    sample, target = survey.sample, split.target
    dtype = sample.frame.schema[target]
    learnt = choose_target(sample.name, target, dtype, survey.targets, positive, split.na)
    held = hold_out(survey.numbers, split.holdout, split.seed)
    options: dict[str, Any] = {
        "target": target,
        "positive": positive,
        "weight": split.weight,
        "drop": drop,
        "keep": keep,
        "protected": protected,
        "roles": roles,
        "learnt": learnt,
    }
    if survey.is_whole:
        return infer_schema(sample, training=~held, **{**options, "learnt": None})
    _require_classes(survey, learnt, split.na)
    beside = _witness(survey, learnt, split)
    table = replace(sample, frame=pl.concat([sample.frame, beside]))
    training = np.append(~held, np.zeros(beside.height, dtype=bool))
    schema = infer_schema(table, training=training, **options)
    columns = (_complete(column, survey, split.na) for column in schema.columns)
    return replace(schema, columns=tuple(columns))


def _require_classes(survey: Survey, learnt: Target, na: Sequence[str]) -> None:
    """Refuse a table whose training rows are all of one class; the sample may lack a rare one."""
    tally, table = survey.tallies[learnt.name], survey.sample
    if not tally.many:
        table = replace(table, frame=pl.DataFrame({learnt.name: tally.counts["value"]}))
    require_classes(survey.sample.name, learnt.name, learnt.labels(table, na))


def _witness(survey: Survey, learnt: Target, split: Split) -> pl.DataFrame:
    """Rows that hold every odd text of the table, for types to be settled by; never trained on."""
    sample = survey.sample.frame
    found = {
        name: _find_witnesses(tally, sample[name], split.na)
        for name, tally in survey.tallies.items()
        if name not in (learnt.name, split.weight) and is_text(sample[name].dtype)
    }
    height = max((len(texts) for texts in found.values()), default=0)
    columns = []
    for name in sample.columns:
        own = pl.Series(name, found.get(name, []), dtype=sample[name].dtype)
        # What has no odd text repeats a value of its own; the target is missing: no training row.
        usual = pl.Series(name, [None if name == learnt.name else sample[name][0]])
        columns.append(pl.concat([own, usual.cast(own.dtype).new_from_index(0, height - len(own))]))
    return pl.DataFrame(columns)


def _find_witnesses(tally: Tally, sample: pl.Series, na: Sequence[str]) -> list[str]:
    """Texts that the sample lacks and that may say what kind of column it is: no dates first."""
    aside = pl.Series("value", sorted(tally.aside), dtype=pl.String)
    texts = pl.concat([tally.counts["value"].cast(pl.String), aside]).unique(maintain_order=True)
    new = texts.filter(~texts.is_in(sample.cast(pl.String).drop_nulls().unique().to_list()))
    new = new.filter(name_levels(new, na).is_not_null())
    numbers = new.cast(pl.Float64, strict=False)
    odd = new.filter(numbers.is_null() | ~numbers.is_finite()).to_list()
    if tally.many or tally.counts.height > MOST_WITNESSES:
        odd.sort(key=lambda text: guess_format(text.strip(), "dmy") is not None)
    return odd[:MOST_WITNESSES]


def _complete(column: Column, survey: Survey, na: Sequence[str]) -> Column:
    """The column with the levels and the missing values of all training rows."""
    tally = survey.tallies[column.name]
    if column.seen is None:
        return column
    rows = survey.n_there - survey.n_held
    if isinstance(column.reading, Level) and tally.is_counted and not tally.many:
        fitted = fit_levels(_name_counts(tally, na))
        said = "; ".join(filter(None, (_say_again(column.reason, fitted.seen), fitted.said)))
        terms: tuple[Term, ...] = fitted.terms if column.terms else ()
        seen = replace(fitted.seen, numbers=column.seen.numbers)
        return replace(column, reason=said, terms=terms, seen=seen)
    missing = max(tally.missing + _count_words(tally, column, na), 0)
    seen = replace(column.seen, rows=rows, missing=missing)
    return replace(column, seen=seen, terms=_flag_missing(column.terms, missing))


def _say_again(reason: str, seen: Seen) -> str:
    """Why a column is what it is, with the count of its texts over the whole table."""
    first = reason.split("; ")[0]
    if first.endswith(" different texts"):
        return f"{seen.distinct:,} different texts"
    return first


def _flag_missing(terms: tuple[Term, ...], missing: int) -> tuple[Term, ...]:
    """The terms with a flag for missing values, where the table has some, though not the sample."""
    flagged = any(
        isinstance(term, Missing) or (isinstance(term, Levels) and term.missing) for term in terms
    )
    if not missing or flagged or not terms:
        return terms
    if isinstance(terms[0], Levels) and terms[0].of == "value":
        return (replace(terms[0], missing=True),)
    numbers = sum(isinstance(term, Scale | Words) for term in terms)  # they stand first
    return (*terms[:numbers], Missing(), *terms[numbers:])


def _name_counts(tally: Tally, na: Sequence[str]) -> pl.DataFrame:
    """Rows by name rather than by spelling; null where missing."""
    values = tally.counts["value"]
    texts = values.to_frame().select(written("value", values.dtype))["value"]
    named = pl.DataFrame({"value": name_levels(texts, na), "rows": tally.counts["rows"]})
    if tally.missing:
        none = {"value": pl.Series([None], dtype=pl.String), "rows": [tally.missing]}
        named = pl.concat([named, pl.DataFrame(none, schema=named.schema)])
    return named.group_by("value").agg(pl.col("rows").sum()).sort("value", nulls_last=False)


def _count_words(tally: Tally, column: Column, na: Sequence[str]) -> int:
    """Training rows that hold a word for a missing value."""
    if not is_text(tally.dtype) or not tally.counts.height:
        return 0
    texts = tally.counts["value"]
    own = getattr(column.reading, "words", ())
    missing = name_levels(texts, na).is_null() | texts.str.strip_chars().is_in(list(own))
    return int(tally.counts.filter(missing)["rows"].sum())
