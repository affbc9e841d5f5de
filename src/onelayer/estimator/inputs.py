"""Rows and weights as callers hand them in, checked and as blocks hold them."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, assert_all_finite, validate_data

from onelayer.errors import InputError
from onelayer.features import Features
from onelayer.features.dense import DenseFeatures
from onelayer.features.sparse import SparseFeatures, count_places
from onelayer.loss import even_weights

Array = NDArray[Any]

MOST_COUNTED = 1000  # classes
LARGEST_CLASS = 2**53
CHUNK = 1 << 16  # labels looked at together
FULL_ENOUGH = 2 / 3  # a sparse matrix fuller than this takes more memory than a dense one


def read_table(estimator: Any, X: Any, y: Any) -> tuple[Any, Any]:
    """X and y checked; sets `n_features_in_` and `feature_names_in_`.

    An array of floats with its labels in another array has little that could be wrong, and on a
    short table scikit-learn's checks would take longer than the training. Whether all values are
    finite is found by the training itself.
    """
    if not _is_plain(X, y):
        return validate_data(  # type: ignore[no-any-return]
            estimator,
            X,
            y,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            multi_output=True,
            accept_large_sparse=True,
        )
    estimator.n_features_in_ = X.shape[1]
    if hasattr(estimator, "feature_names_in_"):
        del estimator.feature_names_in_
    return X, y


def _is_plain(X: Any, y: Any) -> bool:
    return (
        type(X) is type(y) is np.ndarray
        and X.dtype in (np.float64, np.float32)
        and X.ndim == 2
        and y.shape == X.shape[:1]
        and y.dtype.kind in "biuf"
        and X.size > 0
        and len(X) > 1
    )


def number_classes(y: Array) -> tuple[Array, Array]:
    """The classes in order, and for each label the number of its class, (n,) integers or booleans.

    Small whole numbers are counted; sorting them would take longer than a pass over the table.
    """
    two = _tell_two_apart(y)
    if two is not None:
        return two
    counted = _count_whole(y)
    if counted is None:
        if y.dtype.kind == "f":
            assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        classes, codes = np.unique(y, return_inverse=True)
        return classes, codes
    low, codes, held = counted
    classes = (np.flatnonzero(held) + low).astype(y.dtype)
    return classes, codes if held.all() else (np.cumsum(held) - 1).astype(codes.dtype)[codes]


def _tell_two_apart(y: Array) -> tuple[Array, Array] | None:
    """The same for two classes that are whole numbers; None where the labels are anything else."""
    if y.dtype.kind not in "biuf":
        return None
    least, most = y[y.argmin()], y[y.argmax()]  # on short tables in half the time of min and max
    if y.dtype.kind == "f" and not (
        max(-least, most) < LARGEST_CLASS and least.is_integer() and most.is_integer()
    ):
        return None
    upper = y == most
    if least == most or np.count_nonzero(upper) + np.count_nonzero(y == least) < len(y):
        return None
    return np.array([int(least), int(most)], dtype=y.dtype), upper


def _count_whole(y: Array) -> tuple[int, Array, NDArray[np.bool_]] | None:
    """Labels that are integers close together: the least, each one's distance from it, and which
    distances occur; None where they are anything else. A chunk at a time, in two bytes a label.
    """
    if y.dtype.kind not in "biuf":
        return None
    least, most = y.min(), y.max()
    if y.dtype.kind == "f" and not max(-least, most) < LARGEST_CLASS:  # nan is not, either
        return None
    low, span = int(least), int(most) - int(least)
    if span >= MOST_COUNTED:
        return None
    codes, held = np.empty(len(y), dtype=np.int16), np.zeros(span + 1, dtype=bool)
    for start in range(0, len(y), CHUNK):
        part = y[start : start + CHUNK]
        whole = part.astype(np.int64)
        if y.dtype.kind == "f" and not (whole == part).all():
            return None
        whole -= low
        codes[start : start + CHUNK] = whole
        held |= np.bincount(whole, minlength=span + 1) > 0
    return low, codes, held


def check_weights(sample_weight: ArrayLike | None, X: Any, some: bool = True) -> Array:
    """The weights as float64, checked; `some` requires one above 0."""
    if sample_weight is None:
        return even_weights(X.shape[0])
    try:
        weights = np.asarray(
            _check_sample_weight(
                sample_weight, X, dtype=np.float64, allow_all_zero_weights=not some
            )
        )
    except ValueError as error:  # wrong shape, nan, infinity, all 0
        raise InputError(f"sample_weight: {error}") from None
    if (weights < 0).any():
        row = int(np.argmax(weights < 0))
        raise InputError(f"sample_weight[{row}] is {weights[row]}: weights must be 0 or more")
    if some and not weights.any():
        raise InputError("all sample weights are 0: give some row a weight")
    return weights


def to_features(X: Any, fullest: float = FULL_ENOUGH) -> Features:
    if not sparse.issparse(X):
        return DenseFeatures(X)
    # Squares of entries that are stored in parts would be wrong; the caller's matrix stays as is.
    if _has_parts(X):
        X = X.copy()
        X.sum_duplicates()
    if X.nnz > fullest * X.shape[0] * X.shape[1]:
        return DenseFeatures(X.toarray())
    return SparseFeatures(sparse.csr_array(X))


def _has_parts(X: Any) -> bool:
    """Whether some entry is stored in several parts, to be added up.

    Rows need not be sorted for that: sorting a table takes longer than fitting it may.
    """
    if X.has_sorted_indices:
        return not X.has_canonical_format
    return bool(count_places(X) < X.nnz)
