"""Labels, logits and weights of tables whose target is known: what an evaluation takes."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.encoding import Surprises, encode_rows, warn_of_rows_without_target
from onelayer.errors import DataWarning, InputError
from onelayer.features.mixed import MixedFeatures
from onelayer.table.reading import Table
from onelayer.table.schema import Schema

Array = NDArray[Any]


def label_batches(
    schema: Schema, tables: Iterable[Table], score: Callable[[MixedFeatures], Array]
) -> Iterator[tuple[Array, Array, Array | None]]:
    """Labels, logits and weights of the rows to be judged, for each of the parts of a table.

    Rows without a target, and those of weight 0, are left out. What there is to say of all rows
    is said at the end, once.

    Args:
        tables: The whole table as one, or parts of it, in memory one at a time.
        score: Features to logits.

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
        logits = score(encode_rows(schema, raw, surprises))
        yield labels[there], logits[there], None if weights is None else weights[there]
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
