"""The rows of a fit as a summary needs them: held by its solution, or given once more."""

from copy import copy
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onelayer.blocks import Block
from onelayer.errors import InputError
from onelayer.estimator.chunked import is_chunked, read_chunks
from onelayer.estimator.inputs import check_weights, read_table, to_features
from onelayer.inference import Evidence, scale_weights
from onelayer.loss import Loss, even_weights, is_even
from onelayer.naming import Naming
from onelayer.rows.memory import MemoryRows

Array = NDArray[Any]

CLASS_WEIGHTS = (
    "class_weight makes the classes other than they are: the bias speaks of the weighted classes, "
    "and the errors take a row for as many as it weighs."
)


class Reading(NamedTuple):
    """Rows as solvers take them, those with a weight alone.

    Attributes
    ----------
    rows, loss: for the solvers. copies: (n,), the weights of the rows' classes.
    held: (n,) True for the rows given that have a weight; None where all have one, and of rows on a
        cluster, whose numbers stay there (`copies` is then of one element).
    """

    rows: MemoryRows
    loss: Loss
    copies: Array
    held: NDArray[np.bool_] | None


def read_rows(estimator: Any, X: Any, y: Any, sample_weight: ArrayLike | None) -> Reading:
    """Check rows, labels and weights; sets `classes_`, `multilabel_` and `n_features_in_`."""
    if is_chunked(X):
        far, loss = read_chunks(estimator, X, y, sample_weight)
        return Reading(far, loss, np.ones(1), None)
    table, target = read_table(estimator, X, y)
    weights, held = check_weights(sample_weight, table), None
    if not (is_even(weights) or weights.all()):
        held = weights > 0
        table, target, weights = table[held], target[held], weights[held]
    loss, labels = estimator._read_labels(target)
    copies = even_weights(len(weights))
    if estimator.class_weight is not None:
        copies = estimator._weigh_classes(target, weights)
        weights = weights * copies
    weights = scale_weights(weights, estimator.weight_kind)
    rows = MemoryRows(Block(to_features(table), labels, weights), estimator.n_jobs)
    return Reading(rows, loss, copies, held)


def to_evidence(estimator: Any, reading: Reading) -> Evidence:
    """The rows with what was asked of the fitted estimator."""
    names = getattr(estimator, "feature_names_in_", None)
    several = reading.loss.n_outputs > 1
    return Evidence(
        rows=reading.rows,
        loss=reading.loss,
        C=estimator.C_,
        l1_ratio=estimator.l1_ratio,
        fit_intercept=estimator.fit_intercept,
        weight_kind=estimator.weight_kind,
        names=None if names is None else tuple(map(str, names)),
        outputs=tuple(map(str, estimator.classes_)) if several else None,
        held=reading.held,
        remark="" if estimator.class_weight is None else CLASS_WEIGHTS,
    )


def to_naming(estimator: Any, held: NDArray[np.bool_] | None) -> Naming:
    """What messages call the columns, and the rows: as they were handed in."""
    columns = tuple(map(str, getattr(estimator, "feature_names_in_", ())))
    return Naming(columns, None if held is None else np.flatnonzero(held))


def read_again(estimator: Any, X: Any, y: Any, sample_weight: ArrayLike | None) -> Evidence:
    """The rows of the fit given once more to a fitted estimator, which is left as it is.

    Raises
    ------
    InputError: other columns or classes than those of the fit.
    """
    twin = copy(estimator)  # what reading sets is compared with what the fit has set
    reading = read_rows(twin, X, y, sample_weight)
    if twin.n_features_in_ != estimator.n_features_in_:
        raise InputError(
            f"X has {twin.n_features_in_} columns, the fit had {estimator.n_features_in_}: give "
            f"the rows of the fit"
        )
    if not np.array_equal(twin.classes_, estimator.classes_):
        raise InputError("y has other classes than the fit had: give the rows of the fit")
    return to_evidence(twin, reading)
