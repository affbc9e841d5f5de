"""Which rows are held out: drawn at random, and found again later from the seed."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.errors import InputError
from onelayer.model import Model
from onelayer.rows.lots import hold_out
from onelayer.table.reading import Table
from onelayer.table.survey import sample_size

Array = NDArray[Any]


def holdout_mask(labels: Array, share: float, seed: int) -> NDArray[np.bool_]:
    """True for the rows held out: `share` of each class, drawn at random.

    Of no class the last row is held out, so that there is always something to train on.

    Parameters
    ----------
    labels: (n,) 0, 1, or nan for rows that are not there (no target, no weight).
    share: 0 up to 1. seed: of NumPy's `default_rng`.

    >>> holdout_mask(np.array([0.0, 0.0, 1.0, 1.0]), 0.5, seed=0).sum()
    np.int64(2)
    """
    held = np.zeros(len(labels), dtype=bool)
    # One shuffle for both classes: which of them is called 1 changes nothing.
    shuffled = np.random.default_rng(seed).permutation(np.flatnonzero(~np.isnan(labels)))
    for label in (0, 1):
        rows = shuffled[labels[shuffled] == label]
        held[rows[: min(round(share * len(rows)), max(0, len(rows) - 1))]] = True
    return held


def is_long(rows: int, width: int) -> bool:
    """Whether a table is too long to be looked at whole: then it is surveyed, as on disk."""
    return rows > sample_size(width)


def draw_holdout(
    labels: Array, there: NDArray[np.bool_], width: int, share: float, seed: int
) -> NDArray[np.bool_]:
    """Which rows are held out: of a short table a share of each class, drawn at random; of a long
    one each row by its number, as on disk. `width`: the table's columns.
    """
    if is_long(len(labels), width):
        return there & hold_out(np.arange(len(labels)), share, seed)
    return holdout_mask(np.where(there, labels, np.nan), share, seed)


def find_training_rows(model: Model, raw: Table) -> NDArray[np.bool_]:
    """Find again the rows of a table that a model was trained on: (n,), True for each.

    Raises
    ------
    InputError: it is another table; or the model does not say which rows were held out.
    """
    facts = model.training
    if None not in (facts.sha256, raw.sha256) and facts.sha256 != raw.sha256:
        raise InputError(
            f"{raw.name} is not the table that the model was trained on, {facts.table}: its "
            "SHA-256 is another one"
        )
    labels, weights = model.schema.labels(raw), model.schema.weights(raw)
    there = ~np.isnan(labels) & (True if weights is None else weights > 0)
    share = facts.holdout
    if share is None:  # the usual ones have two digits
        share = round(facts.holdout_rows / (facts.rows + facts.holdout_rows), 2)
    share = share if facts.holdout_rows else 0.0
    rows = np.asarray(there & ~draw_holdout(labels, there, raw.frame.width, share, facts.seed))
    if (int(rows.sum()), int(labels[rows].sum())) != (facts.rows, facts.positives):
        raise InputError(
            f"{raw.name} is not the table that the model was trained on, {facts.table}: "
            f"{facts.rows:,} rows were, {facts.positives:,} of them {model.positive!r}, and it has "
            f"{int(rows.sum()):,} and {int(labels[rows].sum()):,}"
        )
    return rows
