"""Rows of several parts below each other, in any one layout."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse

from onelayer.features import Features
from onelayer.features.dense import DenseFeatures
from onelayer.features.mixed import MixedFeatures
from onelayer.features.sparse import SparseFeatures


def stack_features(parts: Sequence[Any]) -> Features:
    """The rows of `parts`, one after the other; all have one layout and the same columns.

    >>> parts = [DenseFeatures(np.eye(2)), DenseFeatures(np.ones((1, 2)))]
    >>> stack_features(parts).values.tolist()
    [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    """
    first = parts[0]
    if len(parts) == 1:
        return first  # type: ignore[no-any-return]
    if isinstance(first, DenseFeatures):
        return DenseFeatures(np.concatenate([part.values for part in parts]), first.shift)
    if isinstance(first, SparseFeatures):
        return SparseFeatures(_stack_sparse([part.values for part in parts]))
    assert isinstance(first, MixedFeatures)
    return replace(
        first,
        numeric=np.concatenate([part.numeric for part in parts]),
        codes=np.concatenate([part.codes for part in parts]),
        words=None if first.words is None else _stack_sparse([part.words for part in parts]),
        cells=None,
    )


def _stack_sparse(parts: list[Any]) -> Any:
    return sparse.csr_array(sparse.vstack(parts, format="csr"))
