"""The column to be learnt: which of its values is 1, and the labels of a table."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from onelayer.errors import InputError
from onelayer.table.levels import name_few, name_levels, written
from onelayer.table.values import (
    is_nested,
    list_some,
    map_texts,
    refuse_value,
    require_columns,
    show,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onelayer.table.reading import Table

PAIRS = (("0", "1"), ("no", "yes"), ("false", "true"), ("n", "y"), ("f", "t"), ("off", "on"))
"""Pairs of values that say themselves which one is 1."""

SHOWN = 6
MANY_CLASSES = 20
_REFUSED = np.inf


@dataclass(frozen=True)
class Target:
    """The target: `positive` is 1, `negative` 0; with `rest` every other value is 0.

    `reason` says in words why this value is 1.
    """

    name: str
    positive: str
    negative: tuple[str, ...]
    rest: bool
    reason: str
    kind: Literal["target"] = "target"

    def labels(self, table: Table, na: Sequence[str] = ()) -> NDArray[np.float64]:
        """Return (n,) labels: 1 for the positive value, 0 for the others, nan where missing.

        Raises
        ------
        InputError
            For a table without the column, and for a value that training did not hold, naming
            its row; with `rest` any value may stand for 0.
        """
        raw = get_target(table, self.name)
        labels = _label(raw, self, na)
        if (bad := np.flatnonzero(np.isinf(labels))).size:
            known = f"{show(self.positive)} (1) and {list_some(self.negative)} (0)"
            expected = f"is no value of the target, which are {known}"
            raise refuse_value(table, int(bad[0]), self.name, expected)
        return labels

    def problem(self) -> str | None:
        return "positive is also negative" if self.positive in self.negative else None


def get_target(table: Table, name: str) -> pl.Series:
    """Return the target column as it is, or say which columns come close."""
    require_columns(table, [name])
    raw = table.frame[name]
    if is_nested(raw.dtype):
        raise InputError(f"{table.name}, column {name!r}: holds {raw.dtype}, no target")
    return raw


def _label(raw: pl.Series, target: Target, na: Sequence[str]) -> NDArray[np.float64]:
    texts = raw.alias("value").to_frame().select(written("value", raw.dtype))["value"]
    other = 0.0 if target.rest else _REFUSED
    meanings = {_key(name): 0.0 for name in target.negative} | {_key(target.positive): 1.0}

    def find(different: pl.Series) -> NDArray[np.float64]:
        names = name_few(different, na)
        return np.array([np.nan if n is None else meanings.get(_key(n), other) for n in names])

    labels: NDArray[np.float64] = map_texts(texts, find, null=np.nan)
    return labels


def _key(name: str) -> str:
    """Return what makes two values the same: true is 1 and false is 0."""
    return {"true": "1", "false": "0"}.get(name, name)


# --- which value is 1 ---------------------------------------------------------------------------


def infer_target(
    table: Table, name: str, positive: object = None, na: Sequence[str] = ()
) -> Target:
    """Decide which value of the column is 1.

    Arguments
    ---------
    positive
        The value that is 1, as text or as it stands in the table ("1", 1, 1.0 and True are the
        same). None: 1 of 0 and 1, yes of yes and no, true of true and false, y of y and n, t of t
        and f, on of on and off; else the rarer of two, and of two equally rare ones the later in
        alphabetical order.

    Raises
    ------
    InputError
        For no such column, no value at all, one value only, values that are spelled in several
        ways, three or more values without `positive`, and a `positive` that is not there.
    """
    raw = get_target(table, name)
    texts = raw.alias("value").to_frame().select(written("value", raw.dtype))["value"]
    counts = texts.drop_nulls().alias("spelled").value_counts(name="rows")
    return choose_target(table.name, name, raw.dtype, counts, positive, na)


def choose_target(
    table: str,
    name: str,
    dtype: pl.DataType,
    counts: pl.DataFrame,
    positive: object = None,
    na: Sequence[str] = (),
) -> Target:
    """Decide by how many rows hold each value, as it is written; see `infer_target`.

    Arguments
    ---------
    counts
        Columns `spelled` and `rows`.
    """
    where = f"{table}, column {name!r}"
    names = name_levels(counts["spelled"], na).alias("name")
    spellings = counts.select("spelled", names, "rows").drop_nulls()
    named = spellings.group_by("name").agg(pl.col("rows").sum())
    named = named.sort(["rows", "name"], descending=[True, False])
    if not named.height:
        raise InputError(f"{where}: the target has no value in any row")
    shown = dict(zip(named["name"], named["rows"]))
    if twins := _find_twins(spellings):
        spelled = _list_counts(dict(zip(spellings["spelled"], spellings["rows"])))
        raise InputError(
            f"{where}: {twins} look like one value spelled in several ways, among {spelled}; make "
            "them alike first, until then no value can be the positive one"
        )
    if len(shown) == 1:
        raise InputError(f"{where}: one class only, {_list_counts(shown)}; two are needed")
    if positive is not None:
        return _choose_given(where, name, positive, shown)
    if len(shown) > 2:
        raise InputError(f"{where}: {_refuse_many(dtype, shown)}")
    return _choose(name, shown)


def _find_twins(spellings: pl.DataFrame) -> str:
    """Return the values that differ only in case, blanks around, or a full stop at the end."""
    groups: dict[str, set[str]] = {}
    for spelled, name, _ in spellings.iter_rows():
        # Numbers and booleans written in several ways (1 and 1.0, True and TRUE) are no mistake.
        alike = name if _is_number(name) or name in ("true", "false") else spelled
        groups.setdefault(_key(name).casefold().rstrip(". "), set()).add(alike)
    twins = [group for group in groups.values() if len(group) > 1]
    return "; ".join(" and ".join(map(show, sorted(group))) for group in twins[:3])


def _is_number(name: str) -> bool:
    return name.lstrip("-").replace(".", "", 1).isdigit()


def _choose(name: str, counts: Mapping[str, int]) -> Target:
    common, rare = sorted(counts, key=lambda value: (-counts[value], value))
    for no, yes in PAIRS:
        said = {value.casefold(): value for value in counts}
        if set(said) == {no, yes}:
            reason = f"{show(said[yes])} is 1, of {said[no]} and {said[yes]}"
            return Target(name, said[yes], (said[no],), False, reason)
    drawn = counts[rare] == counts[common]
    why = "the later of two equally rare values" if drawn else "the rarer value"
    reason = f"{show(rare)} is 1, {why}: {counts[rare]:,} of {sum(counts.values()):,} rows"
    return Target(name, rare, (common,), False, reason)


def _choose_given(where: str, name: str, positive: object, counts: Mapping[str, int]) -> Target:
    found = _find_value(positive, counts)
    if found is None:
        raise InputError(
            f"{where}: the target has no value {show(str(positive))} to count as positive; "
            f"its values are {_list_counts(counts)}"
        )
    others = tuple(value for value in counts if value != found)
    rest = len(others) > 1
    reason = f"{show(found)} is 1, as you said"
    if rest:
        reason += f", against the rest ({len(others):,} other values)"
    return Target(name, found, () if rest else others, rest, reason)


def _find_value(positive: object, counts: Mapping[str, int]) -> str | None:
    """Return the value that is meant: the same one, else the only one but for its case."""
    one = pl.Series("value", [positive])
    asked = name_levels(one.to_frame().select(written("value", one.dtype))["value"], [])[0]
    asked = str(positive).strip() if asked is None else asked
    for value in counts:
        if _key(value) == _key(asked):
            return value
    alike = [value for value in counts if value.casefold() == asked.casefold()]
    return alike[0] if len(alike) == 1 else None


def _refuse_many(dtype: pl.DataType, counts: Mapping[str, int]) -> str:
    said = f"the target has {len(counts):,} values, {_list_counts(counts)}"
    if len(counts) > MANY_CLASSES and (dtype.is_numeric() or all(map(_is_number, counts))):
        return f"{said}: numbers, not classes; make a column of two values of it first"
    offered = _offer(counts)
    return (
        f"{said}; two are needed: say which one is 1, against the rest, "
        f"such as positive={show(offered)} (--positive {shlex.quote(offered)})"
    )


def _offer(counts: Mapping[str, int]) -> str:
    """Return a likely positive value: a yes of any pair, else the rarest of few values."""
    yes = {pair[1] for pair in PAIRS}
    likely = [value for value in counts if value.casefold() in yes]
    few = len(counts) <= MANY_CLASSES
    return likely[0] if likely else min(counts, key=lambda v: (counts[v] if few else 0, v))


def _list_counts(counts: Mapping[str, int]) -> str:
    common = sorted(counts, key=lambda value: (-counts[value], value))
    shown = ", ".join(f"{show(value)} ({counts[value]:,})" for value in common[:SHOWN])
    more = len(common) - SHOWN
    return f"{shown} and {more:,} more" if more > 0 else shown
