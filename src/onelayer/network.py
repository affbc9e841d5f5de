"""The one-layer network of the article, and the stable forms that all else is built from.

Shapes are the article's: `X` (n_x, m) features x samples, `W` (n_y, n_x), `b` (n_y, 1), the logit
`Z = W X + b` (n_y, m), the probability `A = sigmoid(Z)` (n_y, m), the labels `Y` (n_y, m): 0 or 1.

Losses and slopes are computed from `Z`, never from `A`: where `A` rounds to 1, `1 - A` and `A - Y`
have lost every digit, while `exp(-|Z|)` still has all of them.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onelayer.shapes import (
    require_features,
    require_labels,
    require_matrix,
    require_same_samples,
)

Array = NDArray[Any]
# Margins by the bytes of a number: below log 2 times its largest exponent no exponential overflows.
_LARGEST = {np.dtype(kind).itemsize: 0.68 * np.finfo(kind).maxexp for kind in "efdg"}
Parameters = dict[str, Array]


def sigmoid(z: ArrayLike) -> Any:
    """1 / (1 + exp(-z)), elementwise, for any z without overflow; float32 stays float32.

    >>> sigmoid(np.array([-800.0, 0.0, 800.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    z = _as_float(z)
    with np.errstate(under="ignore"):
        e = np.exp(-np.abs(z))
        a = np.where(z >= 0, 1, e) / (1 + e)
    return a if a.ndim else a[()]


def log_loss(z: ArrayLike, y: ArrayLike) -> Any:
    """-y log A - (1 - y) log(1 - A) with A = sigmoid(z), in nats: log1p(e^-|z|) + |z| (1-y or y).

    >>> log_loss(np.array([-800.0, 800.0]), np.array([1, 1])).tolist()
    [800.0, 0.0]
    """
    z = _as_float(z)
    y = np.asarray(y, dtype=z.dtype)
    with np.errstate(under="ignore"):
        return np.log1p(np.exp(-np.abs(z))) + np.abs(z) * np.where(z > 0, 1 - y, y)


def margin_terms(margin: Array) -> tuple[Array, Array, Array]:
    """Loss, miss and curvature of one margin u = z (y = 1) or -z (y = 0), without cancellation.

    The loss is log(1 + e^-u); the miss is 1 - sigmoid(u), so that A - Y is the miss times -1 or 1
    without cancellation; the curvature is A (1 - A). The hot loop of training calls this.

    >>> [float(t[0]) for t in margin_terms(np.array([0.0]))]
    [0.6931471805599453, 0.5, 0.25]
    """
    far = _is_far(margin)
    with np.errstate(under="ignore"):
        return _far_terms(margin) if far else turned_terms(-margin)


def margin_slopes(margin: Array) -> tuple[Array, Array]:
    """Loss and miss of `margin_terms` alone, for passes that ask for no second derivative.

    >>> [float(t[0]) for t in margin_slopes(np.array([0.0]))]
    [0.6931471805599453, 0.5]
    """
    far = _is_far(margin)
    with np.errstate(under="ignore"):
        return _far_terms(margin)[:2] if far else _turned_parts(-margin)[:2]


def turned_terms(turned: Array) -> tuple[Array, Array, Array]:
    """`margin_terms` of margins turned round, -u, where exp(-u) is known not to overflow.

    >>> [float(t[0]) for t in turned_terms(np.array([-800.0]))]
    [0.0, 0.0, 0.0]
    """
    loss, miss, own = _turned_parts(turned)
    return loss, miss, np.divide(miss, own, out=own)


def least_curvature(farthest: Array) -> Array:
    """A (1 - A) at a margin, which falls with its size: the least of many is the farthest's.

    >>> least_curvature(np.array([0.0, -800.0])).tolist()
    [0.25, 0.0]
    """
    with np.errstate(under="ignore"):
        e = np.exp(-np.abs(farthest))
        return np.asarray(e / np.square(1 + e))


def _is_far(margin: Array) -> bool:
    least = np.minimum.reduce(margin, axis=None, initial=0)
    return bool(least < -_LARGEST[margin.dtype.itemsize])


def _turned_parts(turned: Array) -> tuple[Array, Array, Array]:
    """Loss, miss and 1 + exp(-u). With e = exp(-u) the miss is e / (1 + e): no difference."""
    e = np.exp(turned)
    loss, own = np.log1p(e), 1 + e
    return loss, np.divide(e, own, out=e), own


def _far_terms(margin: Array) -> tuple[Array, Array, Array]:
    """`margin_terms` where exp(-u) would overflow."""
    e = np.exp(-np.abs(margin))
    own = 1 + e
    loss = np.log1p(e) - np.minimum(margin, 0)
    return loss, np.where(margin > 0, e, 1) / own, e / np.square(own)


def layer_sizes(X: ArrayLike, Y: ArrayLike) -> tuple[int, int]:
    """The number of features n_x and of outputs n_y; refuses shapes that do not fit together.

    >>> layer_sizes(np.zeros((3, 5)), np.zeros((1, 5)))
    (3, 1)
    """
    X, Y = require_matrix(X, "X"), require_labels(Y)
    require_same_samples(X, Y)
    return X.shape[0], Y.shape[0]


def initialize_parameters(n_x: int, n_y: int, seed: int | None = None) -> Parameters:
    """`W` (n_y, n_x) normal times 0.01 and `b` (n_y, 1) zeros.

    Without a seed the numbers come from NumPy's global state, as in the article.

    >>> initialize_parameters(2, 1, seed=3)["W"].round(6).tolist()
    [[0.017886, 0.004365]]
    """
    draw = np.random.randn if seed is None else np.random.RandomState(seed).randn
    return {"W": draw(n_y, n_x) * 0.01, "b": np.zeros((n_y, 1))}


def linear(X: Array, parameters: Parameters) -> Array:
    """The logit Z = W X + b (n_y, m)."""
    return parameters["W"] @ X + parameters["b"]


def forward_propagation(X: ArrayLike, parameters: Parameters) -> Array:
    """The probabilities A = sigmoid(W X + b), (n_y, m).

    >>> forward_propagation([[0.0, 2.0]], {"W": np.ones((1, 1)), "b": np.zeros((1, 1))}).round(3)
    array([[0.5  , 0.881]])
    """
    X = require_matrix(X, "X")
    require_features(X, parameters["W"])
    return np.asarray(sigmoid(linear(X, parameters)))


def compute_cost(A: ArrayLike, Y: ArrayLike) -> float:
    """-(1/m) sum(Y log A + (1 - Y) log(1 - A)), in nats; 0 log 0 is 0, inf where A denies Y.

    >>> round(compute_cost([[0.5, 1.0]], [[1, 1]]), 6)
    0.346574
    """
    A, Y = require_matrix(A, "A", "outputs x samples"), require_labels(Y)
    require_same_samples(A, Y, "A")
    A = _as_float(A)
    with np.errstate(divide="ignore"):
        return float(-np.log(np.where(Y == 1, A, 1 - A)).sum() / Y.shape[1]) + 0.0


def backward_propagation(A: ArrayLike, X: ArrayLike, Y: ArrayLike) -> Parameters:
    """The gradient of the cost: dW = (1/m) (A - Y) X' (n_y, n_x), db = (1/m) sum(A - Y) (n_y, 1).

    >>> backward_propagation([[0.5, 0.5]], [[1.0, 3.0]], [[0, 1]])["dW"].tolist()
    [[-0.5]]
    """
    A, Y = require_matrix(A, "A", "outputs x samples"), require_labels(Y)
    X = require_matrix(X, "X")
    require_same_samples(X, Y)
    require_same_samples(A, Y, "A")
    return _gradient(A - Y, X)


def update_parameters(
    parameters: Parameters, grads: Parameters, learning_rate: float = 1.2
) -> Parameters:
    """One step of gradient descent, in new arrays: W - learning_rate dW, b - learning_rate db."""
    return {
        "W": parameters["W"] - learning_rate * grads["dW"],
        "b": parameters["b"] - learning_rate * grads["db"],
    }


def nn_model(
    X: ArrayLike,
    Y: ArrayLike,
    num_iterations: int = 10,
    learning_rate: float = 1.2,
    print_cost: bool = False,
) -> Parameters:
    """Train by gradient descent from a random start; `print_cost` tells the cost of each iteration.

    >>> np.random.seed(3)
    >>> parameters = nn_model([[0.0, 1.0, 2.0, 3.0]], [[0, 0, 1, 1]], num_iterations=200)
    >>> predict([[0.0, 3.0]], parameters)
    array([[False,  True]])
    """
    n_x, n_y = layer_sizes(X, Y)
    X, Y = _as_float(X), np.asarray(Y)
    sign = np.where(Y == 1, 1, -1).astype(X.dtype)
    parameters = initialize_parameters(n_x, n_y)
    for i in range(num_iterations):
        loss, miss, _ = margin_terms(sign * linear(X, parameters))
        parameters = update_parameters(parameters, _gradient(-sign * miss, X), learning_rate)
        if print_cost:
            print("Cost after iteration %i: %f" % (i, loss.sum() / X.shape[1]))  # noqa: UP031
    return parameters


def predict(X: ArrayLike, parameters: Parameters) -> NDArray[np.bool_]:
    """True where the probability is above 0.5, (n_y, m)."""
    return np.asarray(forward_propagation(X, parameters) > 0.5)


def _gradient(dZ: Array, X: Array) -> Parameters:
    m = X.shape[1]
    return {"dW": dZ @ X.T / m, "db": dZ.sum(axis=1, keepdims=True) / m}


def _as_float(values: ArrayLike) -> Array:
    values = np.asarray(values)
    return values if values.dtype.kind == "f" else values.astype(np.float64)
