"""The strongest reasons of each row, in words, and what the other columns add up to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from onelayer.table.effects import Effect
from onelayer.table.numerals import Floats
from onelayer.table.values import map_in_threads
from onelayer.table.wording import round_push, word_reasons, word_values

if TYPE_CHECKING:
    from onelayer.table.reading import Table


@dataclass(frozen=True)
class Ranked:
    """The strongest reasons of n rows, the strongest first.

    Attributes
    ----------
    reasons : a column of n texts for each rank; null where the push rounds to 0.00
    columns : for each rank the names of the columns that push
    pushes : for each rank what they add to the log-odds
    others : (n,), the sum of all other pushes; None where there are none
    """

    reasons: tuple[pl.Series, ...]
    columns: tuple[pl.Series, ...]
    pushes: tuple[pl.Series, ...]
    others: pl.Series | None

    def to_columns(self, numbers: bool) -> dict[str, pl.Series]:
        """`reason_1`, ...; with `numbers` also `column_1`, `push_1`, ... and `others`."""
        found: dict[str, pl.Series] = {}
        for k, (reason, column, push) in enumerate(zip(self.reasons, self.columns, self.pushes), 1):
            found[f"reason_{k}"] = reason
            if numbers:
                found[f"column_{k}"], found[f"push_{k}"] = column, push
        if numbers and self.others is not None:
            found["others"] = self.others
        return {name: column.alias(name) for name, column in found.items()}


def word_columns(
    effects: Sequence[Effect], table: Table, pushes: Floats, na: Sequence[str]
) -> list[str]:
    """Say what each column holds in the one row of a table; `pushes` is (1, n_columns)."""
    columns = table.frame.to_dict(as_series=True)
    return [
        str(word_values(effect, columns[effect.column.name], pushes[:, j], na)[0])
        for j, effect in enumerate(effects)
    ]


def rank_reasons(
    effects: Sequence[Effect],
    table: Table,
    pushes: Floats,
    most: int,
    sign: int,
    na: Sequence[str],
) -> Ranked:
    """Find the reasons that speak most against what is wanted, and word them.

    Arguments
    ---------
    effects
        Of the n_columns columns that push.
    pushes : (n, n_columns)
        What each adds to the log-odds of each row, beyond that of the average row.
    most
        How many to name; the others are added up.
    sign
        1 where large log-odds are wanted, -1 where small ones are.
    na
        Words that mean missing.
    """
    n, named = len(pushes), min(most, len(effects))
    order = np.argsort(sign * pushes, axis=1, kind="stable")[:, :named]
    names, rows = pl.Series([each.column.name for each in effects], dtype=pl.String), np.arange(n)
    texts, place = _word_chosen(effects, table, pushes, order, na)
    others = None
    if named < len(effects):
        rest = np.ones(pushes.shape, dtype=bool)
        np.put_along_axis(rest, order, False, axis=1)
        others = pl.Series(np.where(rest, pushes, 0.0).sum(axis=1))
    return Ranked(
        tuple(texts.gather(place[:, rank]) for rank in range(named)),
        tuple(names.gather(order[:, rank]) for rank in range(named)),
        tuple(pl.Series(pushes[rows, order[:, rank]]) for rank in range(named)),
        others,
    )


def _word_chosen(
    effects: Sequence[Effect],
    table: Table,
    pushes: Floats,
    order: np.ndarray[tuple[int, int], np.dtype[np.intp]],
    na: Sequence[str],
) -> tuple[pl.Series, np.ndarray[tuple[int, int], np.dtype[np.intp]]]:
    """The reasons that were chosen, column after column, and where each rank's text stands.

    A column is worded only in the rows in which it is among the chosen.
    """
    chosen = [np.nonzero(order == j) for j in range(len(effects))]

    def word(j: int) -> pl.Series:
        rows = chosen[j][0]
        own = pushes[rows, j]
        raw = table.frame[effects[j].column.name].gather(rows)
        reasons = word_reasons(effects[j], raw, own, na)
        return reasons.set(pl.Series(round_push(own) == 0), None)

    used = [j for j in range(len(effects)) if len(chosen[j][0])]
    texts = map_in_threads(word, used) if used else [pl.Series(dtype=pl.String)]
    place, first = np.zeros(order.shape, dtype=np.intp), 0
    for j in used:
        rows, ranks = chosen[j]
        place[rows, ranks] = first + np.arange(len(rows))
        first += len(rows)
    return pl.concat(texts), place
