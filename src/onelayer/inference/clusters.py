"""Clusters as callers name them: one value of any type for each row."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.errors import InputError

Array = NDArray[Any]


def number_clusters(clusters: Any, n_rows: int, held: NDArray[np.bool_] | None) -> Array:
    """The number of each row's cluster, (n_rows,), from 0 in the order of their names.

    Parameters
    ----------
    clusters: one name for each row that was given to the fit.
    held: True for those of them that the fit used; None for all.

    Raises
    ------
    InputError: another length, a missing name, names that cannot be told apart, one cluster only.

    >>> number_clusters(["b", "a", "b"], 3, None).tolist()
    [1, 0, 1]
    """
    names = np.asarray(clusters)
    expected = n_rows if held is None else len(held)
    if names.shape != (expected,):
        raise InputError(
            f"clusters has the shape {names.shape}: expected one name for each of the "
            f"{expected:,} rows"
        )
    names = names if held is None else names[held]
    # Only nan, and what holds the place of a missing value, is not equal to itself.
    missing = np.array([name is None or name != name for name in names.tolist()], dtype=bool)
    if missing.any():
        row = int(np.flatnonzero(missing)[0])
        raise InputError(f"clusters[{row}] is missing: name the cluster of every row")
    try:
        found, codes = np.unique(names, return_inverse=True)
    except TypeError:
        raise InputError("clusters mixes names of several types: give them as text") from None
    if len(found) < 2:
        raise InputError(f"all rows are of one cluster ({found[0]!r}): at least two are needed")
    return np.asarray(codes)
