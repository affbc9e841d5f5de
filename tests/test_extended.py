"""Newton's method in long numbers, against 60 digits, where float64 cannot tell the rows apart."""

import warnings

import numpy as np
import pytest
from exact import Exact

from onelayer import OneLayerClassifier
from onelayer.errors import ConvergenceWarning, DataWarning
from onelayer.solvers.reflections import EPS, find_independent, triangle

LONG = pytest.mark.skipif(EPS > 1e-18, reason="no numbers longer than float64 here")
EXCESS = 1e-8


def noise(n, p, classes=2, seed=0):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((n, p)), rng.integers(0, classes, n)
    y[:classes] = range(classes)
    return rng, X, y


def nearly_equal():
    """Columns 1e-9 of their size apart, without a penalty."""
    rng, X, y = noise(40, 2)
    X[:, 1] = X[:, 0] * (1 + 1e-9 * rng.standard_normal(40))
    return X, y, np.ones(40), np.inf


def lone_value():
    """One row alone has a value in the column; it is far on its right side."""
    _, X, y = noise(60, 1)
    X[:], X[7] = 0, 3e3
    return X, y, np.full(60, 1e4), 1e12


def far_apart_classes():
    """Four classes and weights twelve powers of ten apart."""
    rng, X, y = noise(40, 3, classes=4)
    return X, y, 10.0 ** rng.uniform(-6, 6, 40), 1e4


def far_row():
    """A row 1e9 spreads away, nearly equal columns, four classes."""
    rng, X, y = noise(60, 4, classes=4)
    X[:, 1] = X[:, 0] * (1 + 1e-9 * rng.standard_normal(60))
    X[5, 2] = 1e9
    return X, y, np.ones(60), 4e-3


def far_from_zero():
    """Columns 1e7 spreads from 0, of which one is a sum of the others but for 1e-6 of its size."""
    rng, X, y = noise(50, 3)
    X[:, 2] = X[:, 0] + X[:, 1] + 1e-6 * rng.standard_normal(50)
    return X + 1e7, y, np.ones(50), 1e6


@LONG
@pytest.mark.parametrize(
    "make", [nearly_equal, lone_value, far_apart_classes, far_row, far_from_zero]
)
def test_the_optimum_is_found_and_proved(make):
    """A warning would be an error here."""
    X, y, s, C = make()
    found = OneLayerClassifier(C=C).fit(X, y, sample_weight=s).solution_
    exact = Exact(X, y, s, C)
    point = exact.pack(found.W, found.b)
    least = exact.value(exact.optimum(point)[0])
    excess = exact.value(point) - least
    assert excess <= EXCESS * least
    assert excess <= found.certificate.gap <= EXCESS * least


def test_sums_of_other_columns_are_left_out():
    rng, X, y = noise(60, 5)
    X[:, 0] *= 10.0 ** rng.uniform(-6, 6, 60)
    X[:, 4] = 2 * X[:, 1] - X[:, 2]
    with pytest.warns(DataWarning, match="columns depend on each other"):
        found = OneLayerClassifier(C=np.inf).fit(X, y).solution_
    assert found.status in ("optimal", "rounding")
    few = Exact(X[:, :4], y, np.ones(60), np.inf)
    W = found.W[:, :4] + found.W[:, 4:] * [0, 2, -1, 0]
    point = few.pack(W, found.b)
    least = few.value(few.optimum(point)[0])
    assert few.value(point) - least <= EXCESS * least


@LONG
@pytest.mark.parametrize(("apart", "seed"), [(2e-10, 0), (7e-12, 1)])
def test_a_dependent_column_beside_nearly_equal_ones_undoes_nothing(apart, seed):
    """The least norm is sought among answers with the same logits, not nearly the same."""
    rng, X, y = noise(40, 3, seed=seed)
    X[:, 1] = X[:, 0] * (1 + apart * rng.standard_normal(40))
    with pytest.warns(DataWarning):
        found = OneLayerClassifier(C=np.inf).fit(np.hstack([X, np.zeros((40, 1))]), y).solution_
    few = Exact(X, y, np.ones(40), np.inf)
    point = few.pack(found.W[:, :3], found.b)
    least = few.value(few.optimum(point)[0])
    assert few.value(point) - least <= found.certificate.gap <= EXCESS * least


def test_columns_that_nearly_depend_are_not_taken_for_one():
    """A sum of squares shows nothing of 1e-9, and no proof may rest on that."""
    X, y, _, _ = nearly_equal()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = OneLayerClassifier(C=np.inf, solver="newton").fit(X, y).solution_
    assert ConvergenceWarning in {warning.category for warning in said}
    assert not found.certificate.proved


def test_triangle_has_the_same_squares():
    B = np.random.default_rng(1).standard_normal((9, 4))
    R = triangle(B.astype(np.longdouble))
    assert np.allclose((R.T @ R).astype(float), B.T @ B, rtol=1e-14)
    B[:, 3] = B[:, 1]
    assert triangle(B.astype(np.longdouble)) is None
    assert find_independent(B.T.astype(np.longdouble)).tolist() == [True, True, True, False]


@pytest.mark.parametrize("y", [[0, 1, 1, 0], [0, 1, 2, 1]])
@pytest.mark.parametrize("C", [1.0, np.inf])
def test_columns_of_zeros_alone(y, C):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        found = OneLayerClassifier(C=C, fit_intercept=False).fit(np.zeros((4, 1)), y)
    assert not found.coef_.any()
    assert np.allclose(found.solution_.cost, np.log(len(set(y))))


def test_a_small_table_takes_no_ten_thousand_products():
    """Columns far from 0 in five classes: a factor stands what products chase in vain."""
    rng = np.random.default_rng(1)
    X = rng.standard_t(1.5, (5, 15))
    X = np.hstack([X + X.std(axis=0) * 10.0 ** rng.uniform(0, 12, 15), np.eye(5)])
    found = OneLayerClassifier(C=1e6, fit_intercept=False).fit(X, range(5)).solution_
    assert found.status == "optimal"
    assert found.passes < 500
