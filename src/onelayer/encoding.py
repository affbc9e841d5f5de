"""From a table, however it is handed in, to the features that solvers and scoring take."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.errors import DataWarning
from onelayer.features.mixed import MixedFeatures
from onelayer.naming import Naming
from onelayer.table.encode import Encoded
from onelayer.table.reading import Table, read_table
from onelayer.table.schema import Schema


def read_rows(table: Any) -> Table:
    """Read a table; a dict of plain values is one row."""
    if isinstance(table, Mapping) and not any(
        hasattr(value, "__len__") and not isinstance(value, str) for value in table.values()
    ):
        table = [dict(table)]
    return read_table(table)


def encode_rows(schema: Schema, raw: Table) -> MixedFeatures:
    """Encode rows to be scored, and say once what no training row held."""
    encoded = schema.encode(raw)
    _warn_of_unseen(raw, encoded)
    return to_features(encoded)


def to_features(encoded: Encoded) -> MixedFeatures:
    """Encoded rows as the features that solvers and scoring take."""
    return MixedFeatures(encoded.numeric, encoded.codes, encoded.level_counts, encoded.words)


def _warn_of_unseen(raw: Table, encoded: Encoded) -> None:
    parts = [f"{column!r} ({count:,} rows)" for column, count in encoded.unseen.items()]
    parts += [
        f"{column!r} (missing in {count:,} rows)" for column, count in encoded.newly_missing.items()
    ]
    if parts:
        warnings.warn(
            f"{raw.name}: values that no training row held, in {', '.join(parts)}: "
            "read as 'other' or as the mean",
            DataWarning,
            stacklevel=4,
        )


def name_rows(schema: Schema, raw: Table, chosen: NDArray[np.bool_]) -> Naming:
    """What messages call the features, and the rows of a table that were chosen."""
    numbers = lines = np.flatnonzero(chosen)
    if raw.lines is not None:
        lines = raw.lines[numbers]
    elif raw.first_line is not None:
        lines = raw.first_line + numbers
    in_file = raw.lines is not None or raw.first_line is not None
    scale, origin = np.array(schema.feature_units).reshape(-1, 2).T
    return Naming(schema.feature_names, lines, "line" if in_file else "row", scale, origin)


def warn_of_rows_without_target(raw: Table, target: str, count: int) -> None:
    """Say how many rows have no value in the target."""
    if count:
        warnings.warn(
            f"{raw.name}: {count:,} rows without a value in {target!r} are left out",
            DataWarning,
            stacklevel=3,
        )
