"""One pass over the table of a report: logits of the rows that are judged, and rows to show."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onelayer.encoding import Surprises, encode_rows
from onelayer.labelling import find_weights
from onelayer.model import Model
from onelayer.network import log_loss
from onelayer.rows.lots import draw_lots
from onelayer.scoring import predict_logits
from onelayer.table.reading import Table, stack

Array = NDArray[np.float64]
Judged = Callable[[int, Table], NDArray[np.bool_]]

MOST_LOGITS = 20_000  # on the sigmoid: more change no bar by a hair
_SEED = 0x0BE5  # of the draw of rows to show: a report is the same each time
_MOST_PARTS = 32  # of the sample, before they are made one


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows drawn at random, in the order of the draw.

    Attributes
    ----------
    table: the rows as they are in the table.
    facts: (4, n): their lots, their numbers in the table (from 0), logits, and labels (0, 1, or nan
        where the answer is not known).
    """

    table: Table
    facts: Array

    def __len__(self) -> int:
        return self.table.frame.height

    @property
    def numbers(self) -> NDArray[np.int64]:
        """(n,) which rows of the table they are, from 0."""
        return np.asarray(self.facts[1], dtype=np.int64)

    @property
    def logits(self) -> Array:
        """(n,)"""
        return np.asarray(self.facts[2])

    @property
    def labels(self) -> Array:
        """(n,)"""
        return np.asarray(self.facts[3])

    def first(self, most: int) -> "Sample":
        """Those with the least lots."""
        return self.take(np.argsort(self.facts[0], kind="stable")[:most])

    def take(self, rows: NDArray[np.intp]) -> "Sample":
        """These rows of it, from 0."""
        return Sample(self.table.take(rows), self.facts[:, rows])


@dataclass(frozen=True, eq=False)
class Survey:
    """What a pass over the table found.

    Attributes
    ----------
    rows: how many there are. judged: of these how many are judged, and `log_loss` the weighted
        mean of theirs; nan if none is.
    logits, labels: (k,) of judged rows, at most `MOST_LOGITS` of them, drawn at random.
    sample: of the judged rows, and of others where these are too few.
    """

    rows: int
    judged: int
    log_loss: float
    logits: Array
    labels: Array
    sample: Sample


def survey_table(
    model: Model, batches: Iterable[tuple[int, Table]], judged: Judged | None, most_rows: int
) -> Survey:
    """Score a table batch by batch, and keep some of its rows; the same ones for any batches.

    Args:
        model: What scores.
        batches: Rows with the number of the first of them.
        judged: Which rows of a batch are judged; None: all whose answer is known.
        most_rows: How many rows the sample has at most, 1 or more.
    """
    surprises, rows, n_judged, name = Surprises(), 0, 0, "the table"
    sums = np.zeros(2)  # of weights times losses, and of weights
    points, samples = np.empty((3, 0)), list[Sample]()
    for first, table in batches:
        logits = predict_logits(encode_rows(model.schema, table, surprises), model.W, model.b)[0]
        labels = find_labels(model, table)
        is_judged = ~np.isnan(labels) if judged is None else judged(first, table)
        sums += _add_losses(model, table, logits, labels, is_judged)
        numbers = np.arange(first, first + len(logits))
        lots = draw_lots(numbers, _SEED) / 2.0**64
        known = np.concatenate([points, np.stack([lots, logits, labels])[:, is_judged]], axis=1)
        points = known[:, np.argsort(known[0], kind="stable")[:MOST_LOGITS]]
        # A lot of 1 more puts the rows that are not judged behind all others.
        drawn = Sample(table, np.stack([lots + ~is_judged, numbers, logits, labels]))
        samples = _join([*samples, drawn.first(most_rows)], most_rows, _MOST_PARTS)
        rows, n_judged, name = rows + len(logits), n_judged + int(is_judged.sum()), table.name
    surprises.warn(name)
    sample = _join(samples, most_rows, 1)[0]
    mean = float(sums[0] / sums[1]) if sums[1] else np.nan
    return Survey(rows, n_judged, mean, points[1], points[2], sample)


def _add_losses(
    model: Model, table: Table, logits: Array, labels: Array, is_judged: NDArray[np.bool_]
) -> Array:
    found = find_weights(model.schema, table, warn=False)
    weights = np.ones(len(logits)) if found is None else found
    weights = weights[is_judged]
    losses = log_loss(logits[is_judged], labels[is_judged])
    return np.array([np.sum(weights * losses), weights.sum()])


def _join(samples: list[Sample], most: int, parts: int) -> list[Sample]:
    """The samples, or one of all their rows where they are more than so many."""
    if len(samples) <= parts:
        return samples
    table = stack([each.table for each in samples])
    facts = np.concatenate([each.facts for each in samples], axis=1)
    return [Sample(table, facts).first(most)]


def find_labels(model: Model, table: Table) -> Array:
    """Labels 0 and 1; nan where they are not known or the row has no weight."""
    if model.target not in table.frame.columns:
        return np.full(table.frame.height, np.nan)
    labels, weights = model.schema.labels(table), find_weights(model.schema, table, warn=False)
    return labels if weights is None else np.where(weights > 0, labels, np.nan)
