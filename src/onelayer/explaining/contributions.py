"""What each column of the table adds to the log-odds of each row."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.features.mixed import MixedFeatures

Array = NDArray[Any]


def contribute(
    features: MixedFeatures, weights: Array, owners: NDArray[np.intp], n_columns: int
) -> NDArray[np.float64]:
    """Sums of weight * feature over the features of each column, (n_rows, n_columns).

    Each row's numbers are added up one by one in the order of the features, so that their bits do
    not depend on the other rows.

    Args:
        features: Encoded rows.
        weights: (n_features,), the model's.
        owners: (n_features,), the column that each feature belongs to, from 0.
        n_columns: How many columns there are.

    >>> rows = MixedFeatures(np.array([[2.0, 1.0]]), np.array([[1]], np.int32), (2,))
    >>> contribute(rows, np.array([1.0, 3.0, 0.5, 0.25]), np.array([0, 0, 1, 1]), 2).tolist()
    [[5.0, 0.25]]
    """
    sums = np.zeros((n_columns, features.n_rows))
    with np.errstate(over="ignore"):  # a value beyond all others may push without end
        for values, weight, owner in zip(features.numeric.T, weights, owners):
            sums[owner] += weight * values
    first = features.numeric.shape[1]
    for codes, levels in zip(features.codes.T, features.level_counts):
        sums[owners[first]] += weights[first : first + levels][codes]
        first += levels
    if features.words is not None:
        for column in np.unique(owners[first:]):
            own = np.flatnonzero(owners[first:] == column)
            sums[column] += features.words[:, own] @ weights[first + own]
    return sums.T
