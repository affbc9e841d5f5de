"""The columns of a file of predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

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
