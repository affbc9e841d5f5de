"""`partial_fit`: rows that come in calls, their classes named beforehand."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from onelayer.blocks import Block
from onelayer.errors import InputError
from onelayer.estimator.inputs import check_weights, to_features
from onelayer.estimator.options import check_options
from onelayer.loss import sum_weights
from onelayer.rows.blas import single_threaded_blas
from onelayer.rows.memory import MemoryRows
from onelayer.solvers import stochastic

Array = NDArray[Any]


def learn_more(
    estimator: Any,
    X: ArrayLike,
    y: ArrayLike,
    classes: ArrayLike | None,
    sample_weight: ArrayLike | None,
) -> None:
    """One call of `partial_fit`; see there."""
    _check_options(estimator)
    table, target, weights = _read_rows(estimator, X, y, sample_weight)
    labels = _read_labels(estimator, target, classes)
    if estimator.class_weight is not None:
        weights = weights * estimator._weigh_classes(target, weights)
    stream = getattr(estimator, "_stream", None) or _begin(estimator, table.shape[1], len(labels))
    rows = MemoryRows(Block(to_features(table), labels, weights), estimator.n_jobs)
    with single_threaded_blas():
        stream, solution = stochastic.learn(
            stream,
            rows,
            estimator._loss_of(len(stream.W)),
            float(estimator.C),
            bool(estimator.fit_intercept),
            estimator.batch_size or stochastic.ROWS_A_STEP,
        )
    estimator._stream, estimator.solution_ = stream, solution
    estimator.C_, estimator.strength_ = float(estimator.C), None
    estimator.coef_, estimator.intercept_ = solution.W, solution.b[:, 0]
    estimator.n_iter_ = np.array([solution.iterations], dtype=np.int32)
    if estimator.verbose:
        print(f"call {stream.calls}: cost {solution.cost:.6f} of its rows; {solution.message}")


def begin_after_fit(estimator: Any, rows: MemoryRows) -> None:
    """Have the next `partial_fit` go on from a fit of these rows."""
    if rows.in_memory:  # hundreds of numbers are not worth a thread
        weight = sum_weights(rows.block.weights)
    else:
        weight = rows.reduce(lambda block: float(block.weights.sum()))
    estimator._stream, estimator._fitted = None, (rows.n_rows, weight)


def _read_rows(
    estimator: Any, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[Any, Array, Array]:
    """Table, target and weights of the rows that have a weight."""
    table, target = validate_data(
        estimator,
        X,
        y,
        accept_sparse="csr",
        dtype=[np.float64, np.float32],
        multi_output=True,
        accept_large_sparse=True,
        reset=_is_first(estimator),
    )
    weights = check_weights(sample_weight, table, some=False)
    held = weights > 0
    return (table, target, weights) if held.all() else (table[held], target[held], weights[held])


def _is_first(estimator: Any) -> bool:
    return not hasattr(estimator, "coef_")


def _check_options(estimator: Any) -> None:
    check_options(estimator)
    for name, holds, advice in (
        ("C", not isinstance(estimator.C, str), "give a number"),
        ("l1_ratio", estimator.l1_ratio == 0, "it has the L2 penalty alone, 0"),
        (
            "weight_kind",
            estimator.weight_kind == "frequency",
            "the mean weight of rows still to come is unknown: divide the weights by it yourself",
        ),
        (
            "class_weight",
            not isinstance(estimator.class_weight, str),
            "the balance of rows still to come is unknown: give a weight for each class",
        ),
    ):
        if not holds:
            raise InputError(
                f"{name}={getattr(estimator, name)!r} is not for partial_fit: {advice}"
            )


def _begin(estimator: Any, n_columns: int, n_outputs: int) -> stochastic.Stream:
    """At the coefficients of the fit before, or at 0."""
    seed = int(check_random_state(estimator.random_state).randint(2**31))
    if not _is_first(estimator):
        start = estimator.coef_, estimator.intercept_[:, None]
        return stochastic.init(*start, seed, *estimator._fitted)
    classes = len(estimator.classes_)
    if not estimator.multilabel_:
        n_outputs = 1 if classes == 2 else classes
    return stochastic.init(np.zeros((n_outputs, n_columns)), np.zeros((n_outputs, 1)), seed)


def _read_labels(estimator: Any, y: Array, classes: ArrayLike | None) -> Array:
    """The labels as the loss takes them; sets `classes_` in the first call."""
    if y.ndim == 2 and y.shape[1] > 1:
        return _read_indicators(estimator, y, classes)
    y = column_or_1d(y)
    if len(y):
        check_classification_targets(y)
    if classes is not None:
        named = np.unique(column_or_1d(classes))
    else:
        named = np.unique(y) if _is_first(estimator) else estimator.classes_
    if len(named) < 2:
        raise InputError(
            f"{'y' if classes is None else 'classes'} holds fewer than two classes: name all that "
            f"will come in the first call, as in partial_fit(X, y, classes=[0, 1])"
        )
    _set_classes(estimator, named, multilabel=False)
    unseen = y[~np.isin(y, named)][:1].tolist()
    if unseen:
        raise InputError(
            f"y holds {unseen[0]!r}, none of the classes {_show(named)} of the first call: name "
            f"all that will come there, or begin with a new classifier"
        )
    return np.searchsorted(named, y).astype(np.float64)[None]


def _read_indicators(estimator: Any, y: Array, classes: ArrayLike | None) -> Array:
    if not np.isin(y, (0, 1)).all():
        raise InputError("y has several columns and holds values other than 0 and 1")
    outputs = np.arange(y.shape[1])
    if classes is not None and not np.array_equal(np.unique(np.asarray(classes)), outputs):
        raise InputError(
            f"classes={classes!r}: for {len(outputs)} columns of 0 and 1 leave classes out, or "
            f"give the columns' numbers 0 to {len(outputs) - 1}"
        )
    _set_classes(estimator, outputs, multilabel=True)
    return np.ascontiguousarray(y.T, dtype=np.float64)


def _set_classes(estimator: Any, named: Array, multilabel: bool) -> None:
    if _is_first(estimator):
        estimator.classes_, estimator.multilabel_ = named, multilabel
    elif estimator.multilabel_ != multilabel or not np.array_equal(estimator.classes_, named):
        raise InputError(
            f"the classes are {_show(named)}, {_show(estimator.classes_)} in the calls before: "
            f"leave classes out, or begin with a new classifier"
        )


def _show(values: Array) -> str:
    return np.array2string(values, threshold=10, separator=", ").replace("\n", "")
