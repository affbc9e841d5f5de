"""Labels, logits and weights of tables whose target is known: what an evaluation takes."""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from onelayer.encoding import Surprises, to_features, warn_of_rows_without_target
from onelayer.errors import DataWarning, InputError
from onelayer.features import Features
from onelayer.table.reading import Table
from onelayer.table.schema import Schema

Array = NDArray[Any]


class Labelled(NamedTuple):
    """The rows of a table, or of a part of it, whose target is known and whose weight is above 0.

    `features`, `labels` and `weights` are of these rows alone; `weights` is None where all rows
    count alike. Where the table is at hand, `there` (n_rows,) says which of its rows they are, and
    `unseen` counts, by column, values of it that no training row held.
    """

    features: Features
    labels: Array
    weights: Array | None
    table: Table | None = None
    there: NDArray[np.bool_] | None = None
    unseen: Mapping[str, int] = {}


def label_batches(schema: Schema, tables: Iterable[Table]) -> Iterator[Labelled]:
    """The rows to be judged, for each of the parts of a table.

    Rows without a target, and those of weight 0, are left out. What there is to say of all rows
    is said at the end, once.

    Args:
        tables: The whole table as one, or parts of it, in memory one at a time.

    Raises:
        InputError: At the end, where no row could be judged.

    Warns:
        DataWarning: rows without a target are left out; the column of weights is not there;
            values that no training row held.
    """
    surprises, name, unlabelled, judged = Surprises(), "the table", 0, 0
    weighed, all_zero = True, schema.weight is not None
    for raw in tables:
        name, labels = raw.name, schema.labels(raw)
        weights = find_weights(schema, raw, warn=weighed)
        weighed = weights is not None
        all_zero &= weights is not None and not weights.any()
        known = ~np.isnan(labels)
        there = known if weights is None else known & (weights > 0)
        unlabelled, judged = unlabelled + int(np.sum(~known)), judged + int(np.sum(there))
        encoded = schema.encode(raw)
        surprises.add(encoded)
        features, chosen = to_features(encoded), None if weights is None else weights[there]
        if not there.all():
            features = features.take(np.flatnonzero(there))
        yield Labelled(features, labels[there], chosen, raw, there, encoded.unseen)
    if all_zero:
        raise InputError(f"{name}, column {schema.weight!r}: all weights are 0")
    if not judged:
        weight = "a weight and " if schema.weight is not None and weighed else ""
        raise InputError(f"{name}: no row has {weight}a value in {schema.target.name!r}")
    warn_of_rows_without_target(name, schema.target.name, unlabelled)
    surprises.warn(name)


def find_weights(schema: Schema, raw: Table, warn: bool = True) -> Array | None:
    """The weights of the rows; None, and a warning, where their column is not there."""
    if schema.weight is None:
        return None
    if schema.weight in raw.frame.columns:
        return schema.weights(raw, some=False)
    if warn:
        warnings.warn(
            f"{raw.name}: no column {schema.weight!r} with the weights: all rows count alike",
            DataWarning,
            stacklevel=3,
        )
    return None
