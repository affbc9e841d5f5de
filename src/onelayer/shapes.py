"""What may enter the network: arrays of features x samples, labels of 0 and 1, finite numbers.

Each check names the axis that is wrong and how to mend it.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onelayer.errors import InputError


def require_matrix(array: ArrayLike, name: str, axes: str = "features x samples") -> NDArray[Any]:
    """Return `array` as a two-axis array of finite numbers with at least one row and one column.

    Raises
    ------
    InputError
        When it has another number of axes, is empty, holds words, nan or infinity.

    >>> require_matrix([[1, 2, 3]], "X").shape
    (1, 3)
    >>> require_matrix([1, 2, 3], "Y", "outputs x samples")
    Traceback (most recent call last):
    ...
    onelayer.errors.InputError: Y has 1 axis, expected 2 (outputs x samples): use Y.reshape(1, -1)
    """
    matrix = np.asarray(array)
    rows, columns = axes.split(" x ")
    if matrix.ndim != 2:
        mend = f"{name}.reshape(1, -1)" if matrix.ndim == 1 else f"an array of {axes}"
        plural = "axis" if matrix.ndim == 1 else "axes"
        raise InputError(f"{name} has {matrix.ndim} {plural}, expected 2 ({axes}): use {mend}")
    for axis, what in enumerate((rows, columns)):
        if matrix.shape[axis] == 0:
            raise InputError(
                f"{name} has no {what}: axis {axis} of shape {matrix.shape} is empty; "
                f"give at least one"
            )
    if matrix.dtype.kind not in "buif":
        raise InputError(f"{name} holds {matrix.dtype} values, expected real numbers: encode them")
    if matrix.dtype.kind == "f" and not np.isfinite(matrix).all():
        row, column = np.argwhere(~np.isfinite(matrix))[0]
        raise InputError(
            f"{name}[{row}, {column}] is {matrix[row, column]}, expected a finite number: "
            f"fill in or leave out that value"
        )
    return matrix


def require_labels(Y: ArrayLike) -> NDArray[Any]:
    """Return `Y` as outputs x samples holding 0 and 1 alone, else raise `InputError`."""
    labels = require_matrix(Y, "Y", "outputs x samples")
    wrong = (labels != 0) & (labels != 1)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise InputError(
            f"Y[{row}, {column}] is {labels[row, column]}, expected 0 or 1: "
            f"code the positive class as 1 and the other as 0"
        )
    return labels


def require_same_samples(X: NDArray[Any], Y: NDArray[Any], name: str = "X") -> None:
    """Raise `InputError` unless axis 1 (the samples) of both arrays is equally long."""
    if X.shape[1] == Y.shape[1]:
        return
    if X.shape[0] == Y.shape[1]:
        mend = f"{name} seems to hold samples in rows: pass {name}.T"
    elif X.shape[1] == Y.shape[0]:
        mend = "Y seems to hold samples in rows: pass Y.T"
    else:
        mend = "give one label for each sample"
    raise InputError(
        f"{name} has {X.shape[1]} samples (axis 1 of {X.shape}) and Y has {Y.shape[1]} "
        f"(axis 1 of {Y.shape}): {mend}"
    )


def require_features(X: NDArray[Any], W: NDArray[Any]) -> None:
    """Raise `InputError` unless `X` has one row for each column of the weights `W`."""
    if X.shape[0] == W.shape[1]:
        return
    if X.shape[1] == W.shape[1]:
        mend = "X seems to hold samples in rows: pass X.T"
    else:
        mend = "give the features that the weights were made for"
    raise InputError(
        f"X has {X.shape[0]} features (axis 0 of {X.shape}), expected {W.shape[1]} "
        f"(axis 1 of W {W.shape}): {mend}"
    )
