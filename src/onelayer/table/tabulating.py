"""The columns of a file of predictions, and of one of reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from onelayer.table.levels import read_levels

if TYPE_CHECKING:
    from onelayer.table.reading import Table


def tabulate_predictions(
    table: Table,
    identifiers: Sequence[str],
    probabilities: ArrayLike,
    values: ArrayLike,
    *,
    first: int = 0,
    more: Mapping[str, pl.Series] | None = None,
) -> dict[str, pl.Series]:
    """Return the columns of a file of predictions, one row for each of the table, in its order.

    Arguments
    ---------
    identifiers
        Columns that name the rows; those that the table has are copied, so that people can join
        the predictions to it. One that is called as one of ours gets an underscore behind it.
    probabilities, values : (n,)
        The probability of the positive value, and the value predicted.
    first
        The number of the table's first row, from 0, where it is a part of a longer one.
    more
        Further columns of ours, which follow.

    Returns
    -------
    `row` (from 1), the identifiers, `probability`, `prediction`.
    """
    ours = {
        "probability": pl.Series("probability", np.asarray(probabilities)),
        "prediction": pl.Series("prediction", np.asarray(values)),
        **(more or {}),
    }
    columns = {"row": pl.Series("row", np.arange(first + 1, first + table.frame.height + 1))}
    for name in identifiers:
        if name in table.frame.columns:
            shown = name
            while shown in ("row", *ours) or (shown != name and shown in identifiers):
                shown += "_"
            columns[shown] = table.frame[name].alias(shown)
    return columns | ours


def tabulate_reasons(
    table: Table, columns: Sequence[str], pushes: NDArray[np.float64], most: int, na: Sequence[str]
) -> dict[str, pl.Series]:
    """Return the largest pushes of each row with the columns they come from, largest first.

    Arguments
    ---------
    columns
        The n_columns columns that push.
    pushes : (n, n_columns)
        What each adds to the log-odds of each row, beyond that of the average row.
    most
        How many to name; the others are added up.
    na
        Words that mean missing.

    Returns
    -------
    `column_1`, `value_1`, `push_1`, `column_2` and so on, and `others`, where there are any.
    """
    n, named = len(pushes), min(most, len(columns))
    order = np.argsort(-np.abs(pushes), axis=1, kind="stable")[:, :named]
    texts = pl.concat([read_levels(table.frame[name], na).rename("value") for name in columns])
    names, rows = pl.Series(list(columns)), np.arange(n)
    found: dict[str, pl.Series] = {}
    for rank in range(named):
        chosen, number = order[:, rank], rank + 1
        values = texts.gather(chosen * n + rows).fill_null("missing")
        found[f"column_{number}"] = names.gather(chosen)
        found[f"value_{number}"] = values
        found[f"push_{number}"] = pl.Series(pushes[rows, chosen])
    if named < len(columns):
        shown = np.zeros(pushes.shape, dtype=bool)
        np.put_along_axis(shown, order, True, axis=1)
        found["others"] = pl.Series(np.where(shown, 0.0, pushes).sum(axis=1))
    return {name: column.alias(name) for name, column in found.items()}
