"""`fit` from a start that is given: fewer passes, the same answer."""

import numpy as np
import pytest
import scipy.sparse as sp

from onelayer.blocks import Block
from onelayer.errors import InputError
from onelayer.features.dense import DenseFeatures
from onelayer.features.sparse import SparseFeatures
from onelayer.fitting import SOLVERS, fit
from onelayer.loss import SigmoidLoss, SoftmaxLoss
from onelayer.rows.memory import MemoryRows
from onelayer.solvers.descent import Descent


def rows_of(n, p, classes=2, seed=0):
    generator = np.random.default_rng(seed)
    X = generator.standard_normal((n, p)) * 10.0 ** generator.uniform(-2, 3, p) + 5
    labels = generator.integers(classes, size=(1, n)).astype(float)
    labels[0, X[:, 0] > 20] = 0
    return MemoryRows(Block(DenseFeatures(X), labels, np.ones(n)))


@pytest.mark.parametrize("solver", ["auto", "newton", "newton_cg"])
@pytest.mark.parametrize(("loss", "classes"), [(SigmoidLoss(1), 2), (SoftmaxLoss(3), 3)])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_the_answer_as_a_start_ends_the_fit_at_once(solver, loss, classes, fit_intercept):
    rows = rows_of(400, 4, classes)
    options = {"solver": solver, "fit_intercept": fit_intercept, "tol": 1e-6}
    cold = fit(rows, loss, **options)
    warm = fit(rows, loss, start=(cold.W, cold.b), **options)
    assert warm.passes < cold.passes
    assert warm.status == "optimal"
    assert warm.certificate.rho <= 1e-6
    np.testing.assert_allclose(warm.W, cold.W, rtol=1e-5, atol=1e-9)


def test_a_start_however_wild_leads_to_the_same_answer():
    rows = rows_of(300, 3)
    cold = fit(rows, SigmoidLoss(1), tol=1e-8)
    far = np.full((1, 3), 1e4), np.array([[-1e6]])
    np.testing.assert_allclose(fit(rows, SigmoidLoss(1), start=far, tol=1e-8).W, cold.W, rtol=1e-7)


def test_gradient_descent_goes_on_where_it_was_left():
    rows = rows_of(100, 2)

    def descend(steps, start=None):
        descent = Descent("safe", steps, draw=lambda n_x, n_y: np.zeros((n_y, n_x)))
        options = {"solver": "gradient_descent", "descent": descent, "start": start}
        return fit(rows, SigmoidLoss(1), **options)

    whole, half = descend(7), descend(3)
    rest = descend(4, (half.W, half.b))
    np.testing.assert_array_equal(rest.W, whole.W)
    np.testing.assert_array_equal(rest.b, whole.b)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_what_moves_no_logit_is_no_part_of_a_start(fit_intercept):
    generator = np.random.default_rng(1)
    X = np.column_stack([generator.standard_normal(50), np.full(50, 3.0)])
    rows = MemoryRows(
        Block(DenseFeatures(X), generator.integers(2, size=(1, 50)).astype(float), np.ones(50))
    )
    options = {"C": np.inf, "fit_intercept": fit_intercept, "tol": 1e-8}
    cold = fit(rows, SigmoidLoss(1), **options)
    warm = fit(rows, SigmoidLoss(1), start=(np.ones((1, 2)), np.ones((1, 1))), **options)
    np.testing.assert_allclose(warm.W, cold.W, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(warm.b, cold.b, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    ("W", "b", "word"),
    [
        (np.zeros((1, 3)), np.zeros((1, 1)), "expected W and b of"),
        (np.zeros((1, 2)), np.zeros(1), "expected W and b of"),
        (np.array([[0.0, np.nan]]), np.zeros((1, 1)), "not finite"),
    ],
)
def test_a_start_that_is_none_is_refused(solver, W, b, word):
    with pytest.raises(InputError, match=word):
        fit(rows_of(20, 2), SigmoidLoss(1), solver=solver, start=(W, b))


MIDDLING = {
    # rows, columns, values a row (None: dense), outputs: the solver that costs least there
    (400, 200, None, 1): "newton",
    (120, 400, None, 1): "gram",
    (120, 400, None, 2): "gram",
    (700, 600, None, 1): "newton_cg",
    (3000, 900, 20, 1): "newton_cg",
    (2500, 300, None, 3): "newton_cg",
}


@pytest.mark.parametrize(("shape", "solver"), MIDDLING.items())
@pytest.mark.parametrize("C", [1.0, 1e3])
def test_tables_of_middling_width_go_to_what_costs_least(shape, solver, C):
    n, p, held, outputs = shape
    rng = np.random.default_rng(7)
    X = rng.normal(size=(n, p)) * 10 ** rng.uniform(-1, 1, size=p)
    if held is not None:
        X *= rng.random((n, p)) < held / p
    Z = (X / X.std(axis=0)) @ rng.normal(size=(p, outputs)) * 2 / np.sqrt(p)
    y = (Z + rng.logistic(size=Z.shape) > 0).T * 1.0
    loss = SigmoidLoss(outputs)
    if outputs == 3:
        y, loss = Z.argmax(axis=1)[None] * 1.0, SoftmaxLoss(3)
    features = DenseFeatures(X) if held is None else SparseFeatures(sp.csr_matrix(X))
    rows = MemoryRows(Block(features, y, np.ones(n)))
    found = fit(rows, loss, C=C)
    assert (found.status, found.solver) == ("optimal", solver)
    exact = fit(rows, loss, C=C, solver="newton", tol=1e-8)
    assert found.objective == pytest.approx(exact.objective, rel=1e-9)
    assert found.objective - exact.objective <= found.certificate.gap + 1e-12 * exact.objective


def test_dependent_columns_are_remarked_where_no_hessian_was_factored():
    rng = np.random.default_rng(8)
    X = rng.normal(size=(700, 600))
    X[:, 2] = X[:, 0] + X[:, 1]
    y = (X[:, :5].sum(axis=1) + rng.logistic(size=700) > 0) * 1.0
    rows = MemoryRows(Block(DenseFeatures(X), y[None], np.ones(700)))
    found = fit(rows, SigmoidLoss(1), remarks=True)
    assert found.solver == "newton_cg"
    assert any("column 2 = column 0 + column 1" in remark for remark in found.remarks)
