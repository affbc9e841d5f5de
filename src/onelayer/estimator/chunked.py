"""Dask arrays as rows: chunks stay on their workers, and become blocks there."""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import wraps
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from onelayer.blocks import Block
from onelayer.errors import InputError
from onelayer.features.dense import DenseFeatures
from onelayer.inference import check_weight_kind
from onelayer.loss import Loss, SigmoidLoss, SoftmaxLoss
from onelayer.rows.memory import MemoryRows

Array = NDArray[Any]

MOST_CLASSES = 10_000
FITTED = ("coef_", "intercept_", "classes_", "multilabel_", "n_features_in_")


def is_chunked(X: Any) -> bool:
    """Whether X is an array of Dask; takes no import of it."""
    return type(X).__module__.partition(".")[0] == "dask" and hasattr(X, "chunks")


@dataclass(frozen=True)
class Chunks:
    """Arrays that are cut alike along their rows.

    Attributes
    ----------
    X: (n, p) in chunks of whole rows. y: (n,). weights: (n,) or None.
    """

    X: Any
    y: Any
    weights: Any

    @property
    def names(self) -> list[str]:
        """What messages call the chunks."""
        ends, sizes = 0, self.X.chunks[0]
        named = []
        for k, size in enumerate(sizes):
            rows = "" if np.isnan(size) else f" (rows {ends} to {ends + size - 1})"
            named.append(f"chunk {k} of X{rows}")
            ends += size
        return named


def align_chunks(X: Any, y: Any, weights: Any) -> Chunks:
    """Cut labels and weights as the rows of X are.

    Raises
    ------
    InputError: shapes that do not go together, or that are not known.
    """
    if X.ndim != 2 or np.isnan(X.shape[1]):
        raise InputError(f"X has shape {X.shape}: expected rows of a known number of columns")
    if X.dtype.kind not in "biuf" or not isinstance(X._meta, np.ndarray):
        raise InputError(
            f"X holds {type(X._meta).__name__} of {X.dtype}: expected a Dask array of numbers in "
            f"NumPy arrays"
        )
    X = X.rechunk({1: -1}) if len(X.chunks[1]) > 1 else X
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    return Chunks(X, _align(y, X, "y"), None if weights is None else _align(weights, X, "weights"))


def _align(array: Any, X: Any, name: str) -> Any:
    if not is_chunked(array) or array.ndim != 1:
        raise InputError(
            f"{name}: expected a one-dimensional Dask array beside X, got {type(array).__name__} "
            f"of shape {np.shape(array)}: dask.array.from_array({name}, chunks=X.chunks[0])"
        )
    if len(array.chunks[0]) == len(X.chunks[0]) and np.isnan(array.shape[0] + X.shape[0]):
        return array  # each chunk's rows are counted where it is
    if np.isnan(array.shape[0] + X.shape[0]) or array.shape[0] != X.shape[0]:
        raise InputError(
            f"X has {X.shape[0]} rows in {len(X.chunks[0])} chunks, {name} has {array.shape[0]} in "
            f"{len(array.chunks[0])}: expected the same rows (compute_chunk_sizes() counts them)"
        )
    return array if array.chunks[0] == X.chunks[0] else array.rechunk((X.chunks[0],))


@dataclass(frozen=True)
class Tally:
    """The classes among rows with a weight: their rows, and the sums of their weights."""

    classes: Array
    counts: Array
    weights: Array

    def __add__(self, other: "Tally") -> "Tally":
        classes, place = np.unique(
            np.concatenate([self.classes, other.classes]), return_inverse=True
        )
        _require_few(classes)
        return Tally(
            classes,
            np.bincount(place, np.concatenate([self.counts, other.counts])),
            np.bincount(place, np.concatenate([self.weights, other.weights])),
        )


def count_classes(y: Array, weights: Array | None, name: str) -> Tally:
    """The tally of one chunk, its labels and weights checked."""
    weights = _check_weights(weights, y, name)
    y = y[weights > 0]
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise InputError(f"y holds {y[~np.isfinite(y)][0]} in {name}: expected a class")
    classes, place = np.unique(y, return_inverse=True)
    _require_few(classes)
    held = weights[weights > 0]
    return Tally(classes, np.bincount(place).astype(float), np.bincount(place, held))


def _require_few(classes: Array) -> None:
    if len(classes) > MOST_CLASSES:
        raise InputError(f"y holds more than {MOST_CLASSES:,} different values: expected classes")


def _check_weights(weights: Array | None, y: Array, name: str) -> Array:
    if weights is None:
        return np.broadcast_to(1.0, len(y))
    if len(weights) != len(y):
        raise InputError(f"{name}: {len(y)} labels and {len(weights)} weights")
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        wrong = weights[~(np.isfinite(weights) & (weights >= 0))][0]
        raise InputError(f"a weight is {wrong} in {name}: weights must be 0 or more")
    return weights


@dataclass(frozen=True)
class ToBlock:
    """From the chunks of X, y and weights to a block of the rows with a weight.

    Attributes
    ----------
    factor: (n_classes,) that each row's weight is multiplied by, or None.
    """

    classes: Array
    factor: Array | None

    def __call__(self, X: Array, y: Array, weights: Array | None) -> Block:
        if len(X) != len(y):
            raise InputError(f"{len(X)} rows and {len(y)} labels")
        held = None if weights is None else weights > 0
        if held is not None and not held.all():
            X, y, weights = X[held], y[held], weights[held]  # type: ignore[index]
        codes = np.searchsorted(self.classes, y)
        each = np.broadcast_to(1.0, len(X)) if weights is None else np.asarray(weights, float)
        if self.factor is not None:
            each = each * self.factor[codes]
        kind = X.dtype if X.dtype in (np.float32, np.float64) else np.float64
        labels = codes.astype(np.min_scalar_type(-len(self.classes)))[None]
        return Block(DenseFeatures(np.ascontiguousarray(X, dtype=kind)), labels, each)


def read_chunks(estimator: Any, X: Any, y: Any, sample_weight: Any) -> tuple[MemoryRows, Loss]:
    """Rows on the workers and their loss; sets `classes_`, `multilabel_` and `n_features_in_`."""
    from onelayer.rows.cluster import Workers, check_workers, find_client
    from onelayer.rows.partitioned import ClusterRows

    if isinstance(estimator.C, str):
        raise InputError("C='auto' is not for Dask arrays: give a number")
    check_weight_kind(estimator.weight_kind)
    chunks, client = align_chunks(X, y, sample_weight), find_client()
    check_workers(client)
    workers = Workers(client, chunks.names)
    ys = _compute(client, chunks.y)
    none = [None] * len(ys)
    weights = none if chunks.weights is None else _compute(client, chunks.weights)
    parts = workers.begin("classes", count_classes, ys, weights, chunks.names)
    tally = workers.add_up(parts, None, ys)
    loss, factor = _settle_classes(estimator, tally)
    estimator.n_features_in_ = X.shape[1]
    if hasattr(estimator, "feature_names_in_"):
        del estimator.feature_names_in_
    make = ToBlock(tally.classes, factor)
    columns = _compute(client, chunks.X), ys, weights
    return ClusterRows.from_parts(workers, make, *columns, n_jobs=estimator.n_jobs), loss


def _compute(client: Any, array: Any) -> list[Any]:
    return list(client.compute(list(array.to_delayed().ravel())))


def _settle_classes(estimator: Any, tally: Tally) -> tuple[Loss, Array | None]:
    """The loss, and what each class's weights are multiplied by."""
    check_classification_targets(tally.classes)
    if len(tally.classes) < 2:
        raise InputError(
            f"y holds {len(tally.classes)} classes among the rows with a weight: give rows of at "
            f"least two"
        )
    estimator.classes_, estimator.multilabel_ = tally.classes, False
    factor = np.ones(len(tally.classes))
    if estimator.class_weight is not None:
        factor = estimator._weigh_classes(tally.classes, tally.weights)
    if estimator.weight_kind == "sampling":
        factor = factor * (tally.counts.sum() / (tally.weights @ factor))
    several = len(tally.classes) > 2
    loss: Loss = SoftmaxLoss(len(tally.classes)) if several else SigmoidLoss(1)
    return loss, None if (factor == 1).all() else factor


@dataclass(frozen=True)
class _Predict:
    """A method of a fitted estimator, without the rows it was fitted on."""

    estimator: Any
    method: str

    def __call__(self, X: Array) -> Array:
        return np.asarray(getattr(self.estimator, self.method)(X))


def lazy_over_chunks(method: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The method of an estimator, which of Dask arrays gives Dask arrays, chunk by chunk."""

    @wraps(method)
    def predict(self: Any, X: Any) -> Any:
        return _predict_chunks(self, method.__name__, X) if is_chunked(X) else method(self, X)

    return predict


def _predict_chunks(estimator: Any, method: str, X: Any) -> Any:
    """What `method` says of each chunk, computed where and when it is asked for."""
    check_is_fitted(estimator)
    if X.ndim != 2 or X.shape[1] != estimator.n_features_in_:
        raise InputError(f"X has shape {X.shape}: expected {estimator.n_features_in_} columns")
    bare = copy(estimator)
    for name in [each for each in vars(bare) if each.endswith("_") and each not in FITTED]:
        delattr(bare, name)
    bare.n_jobs = 1
    predict = _Predict(bare, method)
    like = predict(np.zeros((1, X.shape[1])))
    X = X.rechunk({1: -1}) if len(X.chunks[1]) > 1 else X
    if like.ndim == 1:
        return X.map_blocks(predict, drop_axis=1, meta=like[:0])
    chunks = (X.chunks[0], (like.shape[1],))
    return X.map_blocks(predict, chunks=chunks, meta=like[:0])
