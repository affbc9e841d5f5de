"""What the dual problem proves where a penalty is so weak that the Hessian bounds nothing."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp

from onelayer import OneLayerClassifier

N, P, CLASSES, C = 60, 500, 4, 1e7


@pytest.mark.parametrize("layout", [np.asarray, sp.csr_matrix])
def test_the_gap_is_proved_and_holds_in_80_bit_numbers(layout):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(N, P)) * 10 ** rng.uniform(-3, 3, size=P)
    y = rng.integers(0, CLASSES, size=N)
    y[:CLASSES] = range(CLASSES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = OneLayerClassifier(C=C).fit(layout(X), y).solution_
    assert found.status == "rounding"
    assert found.certificate.kind == "duality"
    assert found.certificate.gap <= 1e-10 * found.objective
    F, least = bound(X, y, found.W, found.b)
    assert pytest.approx(found.objective, rel=1e-9) == F
    assert F - least <= 2 * found.certificate.gap


def bound(X, y, W, b):
    """F and the least it can be: the dual's value at the residuals, turned so that they sum to 0.

    With Q = P - Y a dual point, F* >= -sum entropy(P) - C |Q'X|^2 / 2.
    """
    long = np.longdouble
    X, W, b = X.astype(long), W.astype(long), b.astype(long)
    Y = np.eye(CLASSES, dtype=long)[y].T
    Z = W @ X.T + b
    Z -= Z.max(axis=0)
    A = np.exp(Z)
    A /= A.sum(axis=0)
    F = -np.log((A * Y).sum(axis=0)).sum() + np.square(W).sum() / (2 * long(C))
    left = (A - Y).sum(axis=1)
    turned = A - left[:, None] / len(y)
    share = max(0, float((-turned).max()))
    assert share == 0 or share < 1e-12  # probabilities that are 0 to rounding
    turned = np.maximum(turned, 1e-300)
    Q = turned - Y
    entropy = (turned * np.log(turned)).sum()
    return F, -entropy - long(C) * np.square(Q @ X).sum() / 2
