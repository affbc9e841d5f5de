"""Rows and weights as callers hand them in, checked and as blocks hold them."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.utils.validation import _check_sample_weight

from onelayer.errors import InputError
from onelayer.features import Features
from onelayer.features.dense import DenseFeatures
from onelayer.features.sparse import SparseFeatures

Array = NDArray[Any]

FULL_ENOUGH = 2 / 3  # a sparse matrix fuller than this takes more memory than a dense one


def check_weights(sample_weight: ArrayLike | None, X: Any) -> Array:
    if sample_weight is None:
        return np.ones(X.shape[0])
    try:
        weights = np.asarray(_check_sample_weight(sample_weight, X, dtype=np.float64))
    except ValueError as error:  # wrong shape, nan, infinity, all 0
        raise InputError(f"sample_weight: {error}") from None
    if (weights < 0).any():
        row = int(np.argmax(weights < 0))
        raise InputError(f"sample_weight[{row}] is {weights[row]}: weights must be 0 or more")
    if not weights.any():
        raise InputError("all sample weights are 0: give some row a weight")
    return weights


def to_features(X: Any, fullest: float = FULL_ENOUGH) -> Features:
    if not sparse.issparse(X):
        return DenseFeatures(X)
    # Squares of entries that are stored in parts would be wrong; the caller's matrix stays as is.
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    if X.nnz > fullest * X.shape[0] * X.shape[1]:
        return DenseFeatures(X.toarray())
    return SparseFeatures(sparse.csr_array(X))
