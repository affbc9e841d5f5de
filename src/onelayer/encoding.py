"""From a table, however it is handed in, to the features that solvers and scoring take."""

import warnings
from collections import Counter
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


class Surprises:
    """Counts what no training row held, column by column, and says it once for many batches."""

    def __init__(self) -> None:
        self._unseen: Counter[str] = Counter()
        self._newly_missing: Counter[str] = Counter()

    def add(self, encoded: Encoded) -> None:
        """Count those of some more rows."""
        self._unseen.update(encoded.unseen)
        self._newly_missing.update(encoded.newly_missing)

    def warn(self, name: str, stacklevel: int = 2) -> None:
        """Say how many there were in the table of this name, if any."""
        parts = [f"{column!r} ({count:,} rows)" for column, count in self._unseen.items()]
        parts += [
            f"{column!r} (missing in {count:,} rows)"
            for column, count in self._newly_missing.items()
        ]
        if parts:
            warnings.warn(
                f"{name}: values that no training row held, in {', '.join(parts)}: "
                "read as 'other' or as the mean",
                DataWarning,
                stacklevel=stacklevel + 1,
            )


def encode_rows(schema: Schema, raw: Table, surprises: Surprises | None = None) -> MixedFeatures:
    """Encode rows to be scored, and say once what no training row held.

    With `surprises` that is counted there instead, for the caller to say.
    """
    encoded = schema.encode(raw)
    counted = Surprises() if surprises is None else surprises
    counted.add(encoded)
    if surprises is None:
        counted.warn(raw.name, stacklevel=3)
    return to_features(encoded)


def to_features(encoded: Encoded) -> MixedFeatures:
    """Encoded rows as the features that solvers and scoring take."""
    return MixedFeatures(encoded.numeric, encoded.codes, encoded.level_counts, encoded.words)


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


def warn_of_no_holdout(name: str, n_rows: int, share: float) -> None:
    """Say that the rows are too few to hold some of them out."""
    warnings.warn(
        f"{name}: {n_rows:,} rows are too few to hold {share:.0%} of each class out: the model is "
        "not judged",
        DataWarning,
        stacklevel=3,
    )


def warn_of_rows_without_target(name: str, target: str, count: int) -> None:
    """Say how many rows have no value in the target."""
    if count:
        warnings.warn(
            f"{name}: {count:,} rows without a value in {target!r} are left out",
            DataWarning,
            stacklevel=3,
        )
