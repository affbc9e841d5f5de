"""The article's functions: its own numbers, stability where it is not, and refusals that help."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer

from onelayer.errors import InputError
from onelayer.network import (
    backward_propagation,
    compute_cost,
    forward_propagation,
    initialize_parameters,
    layer_sizes,
    log_loss,
    margin_terms,
    nn_model,
    predict,
    sigmoid,
    update_parameters,
)

# What the published listing prints (with its two faults mended) for breast_cancer standardised,
# np.random.seed(3), 10 iterations at 1.2: the first weights, the bias, the predicted ones, costs.
ARTICLE_W = [-0.48248968031540146, -0.4329323760865057, -0.4949237508471095, -0.5179652839634444]
ARTICLE_B = 0.303203002983386
ARTICLE_ONES = 361
ARTICLE_COSTS = [
    "0.685825",
    "0.165696",
    "0.125544",
    "0.108053",
    "0.101276",
    "0.097338",
    "0.094378",
    "0.091950",
    "0.089876",
    "0.088066",
]
# Two outputs (the target; mean radius above its median), seed 7, 25 iterations at 0.5.
TWO_B = [0.3410364786659486, 0.4835173465609768]
TWO_W = [-0.40514274695709496, -0.3840458308648916, -0.41682895327782093]
TWO_ONES = 613


@pytest.fixture(scope="module")
def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return ((X - X.mean(axis=0)) / X.std(axis=0)).T, y[np.newaxis]


def test_the_article_s_numbers(cancer, capsys):
    X, Y = cancer
    np.random.seed(3)
    parameters = nn_model(X, Y, print_cost=True)
    np.testing.assert_allclose(parameters["W"][0, :4], ARTICLE_W, rtol=0, atol=1e-12)
    np.testing.assert_allclose(parameters["b"], [[ARTICLE_B]], rtol=0, atol=1e-12)
    assert predict(X, parameters).sum() == ARTICLE_ONES
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"Cost after iteration {i}: {c}" for i, c in enumerate(ARTICLE_COSTS)]


def test_two_outputs(cancer):
    X, Y = cancer
    Y = np.vstack([Y, X[:1] > np.median(X[0])]).astype(int)
    np.random.seed(7)
    parameters = nn_model(X, Y, num_iterations=25, learning_rate=0.5)
    np.testing.assert_allclose(parameters["b"][:, 0], TWO_B, rtol=0, atol=1e-12)
    np.testing.assert_allclose(parameters["W"][0, :3], TWO_W, rtol=0, atol=1e-12)
    assert predict(X, parameters).sum() == TWO_ONES


def test_the_loop_is_made_of_the_functions(cancer):
    X, Y = cancer
    np.random.seed(3)
    parameters = initialize_parameters(*layer_sizes(X, Y))
    before = parameters["W"].copy()
    for i in range(10):
        A = forward_propagation(X, parameters)
        assert f"{compute_cost(A, Y):.6f}" == ARTICLE_COSTS[i]
        grads = backward_propagation(A, X, Y)
        updated = update_parameters(parameters, grads)
        if i == 0:
            np.testing.assert_array_equal(parameters["W"], before)
        parameters = updated
    np.testing.assert_allclose(parameters["W"][0, :4], ARTICLE_W, rtol=0, atol=1e-12)


def test_the_random_start_is_the_article_s():
    np.random.seed(3)
    start = initialize_parameters(4, 2)
    np.random.seed(3)
    np.testing.assert_array_equal(start["W"], np.random.randn(2, 4) * 0.01)
    np.testing.assert_array_equal(start["b"], np.zeros((2, 1)))
    np.testing.assert_array_equal(initialize_parameters(4, 2, seed=3)["W"], start["W"])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [0.0, 1e-30, 30, 90, 710, 800, 1e30])
def test_no_logit_overflows(dtype, size):
    with np.errstate(all="raise", under="ignore"), warnings.catch_warnings():
        warnings.simplefilter("error")
        z = np.array([size, -size], dtype=dtype)
        a = sigmoid(z)
        assert a.dtype == dtype
        assert np.isfinite(a).all()
        np.testing.assert_allclose(a.sum(), 1, rtol=1e-6)
        loss = log_loss(z, [1, 1])
        assert np.isfinite(loss).all()
        np.testing.assert_allclose(loss[1] - loss[0], size, rtol=1e-6, atol=1e-6)
        for term in margin_terms(z):
            assert np.isfinite(term).all()


@given(st.floats(-800, 800), st.integers(0, 1))
def test_stable_forms_against_fifty_digits(z, y):
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(400):
        a = 1 / (1 + mpmath.exp(-mpmath.mpf(z)))
        loss = -mpmath.log(a if y else 1 - a)
        miss = (1 - a) if y else a
        curvature = a * (1 - a)
    got = margin_terms(np.array([z if y else -z]))
    for mine, exact in zip(got, (loss, miss, curvature), strict=True):
        assert abs(mine[0] - float(exact)) <= 1e-14 * float(exact) + 1e-320
    assert abs(log_loss(z, y) - float(loss)) <= 1e-14 * float(loss) + 1e-320
    assert abs(sigmoid(z) - float(a)) <= 1e-15 * float(a) + 1e-320


def test_cost_of_certain_answers():
    assert compute_cost([[1.0, 0.0]], [[1, 0]]) == 0
    assert compute_cost([[1.0, 0.0]], [[1, 1]]) == np.inf


def test_float32_trains_in_float32_without_a_word(cancer):
    X, Y = cancer
    np.random.seed(3)
    parameters = nn_model(1e4 * X.astype(np.float32), Y, num_iterations=3)
    assert all(np.isfinite(v).all() for v in parameters.values())


def test_shapes_are_refused_with_the_axis_and_the_mend():
    X, Y = np.zeros((3, 5)), np.zeros((1, 5))
    weights = {"W": np.zeros((1, 3)), "b": np.zeros((1, 1))}
    bad = [
        (lambda: layer_sizes(X, np.zeros(5)), "Y.reshape(1, -1)"),
        (lambda: layer_sizes(np.zeros(3), Y), "X.reshape(1, -1)"),
        (lambda: layer_sizes(X.T, Y), "pass X.T"),
        (lambda: layer_sizes(X, Y.T), "pass Y.T"),
        (lambda: layer_sizes(X, np.zeros((1, 7))), "one label for each sample"),
        (lambda: layer_sizes(X, Y + 2), r"Y[0, 0] is 2.0, expected 0 or 1"),
        (lambda: layer_sizes(X + np.nan, Y), "X[0, 0] is nan, expected a finite number"),
        (lambda: layer_sizes(np.zeros((3, 0)), np.zeros((1, 0))), "no samples"),
        (lambda: layer_sizes(np.array([["a"]]), [[1]]), "expected real numbers"),
        (lambda: nn_model(X.T, Y), "pass X.T"),
        (lambda: forward_propagation(X.T, weights), "pass X.T"),
        (lambda: forward_propagation(np.zeros((4, 5)), weights), "axis 1 of W (1, 3)"),
        (lambda: compute_cost(np.zeros((1, 4)), Y), "A has 4 samples"),
        (lambda: backward_propagation(np.zeros((1, 5)), np.zeros((3, 4)), Y), "X has 4 samples"),
    ]
    for call, words in bad:
        with pytest.raises(InputError) as caught:
            call()
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)
