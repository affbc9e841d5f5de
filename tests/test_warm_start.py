"""`warm_start`: `fit` goes on from the fit before, or says why it cannot."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone

from onelayer import InputError, OneLayerClassifier


def random_table(seed=0, n=90, p=4, classes=2):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * 10.0 ** rng.uniform(-1, 1, p) + rng.normal(size=p)
    Z = X @ rng.normal(size=(p, classes)) / 2
    y = (Z + rng.gumbel(size=Z.shape)).argmax(axis=1)
    y[:classes] = range(classes)
    return X, y


@pytest.mark.parametrize("solver", ["auto", "newton", "newton_cg"])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("n", [90, 5000])  # with and without a start from a sample
def test_a_second_fit_takes_no_step(solver, classes, n):
    X, y = random_table(n=n, classes=classes)
    network = OneLayerClassifier(solver=solver, warm_start=True, tol=1e-6).fit(X, y)
    first = network.solution_
    second = network.fit(X, y).solution_
    assert second.iterations <= 1  # the last step, which takes no pass
    assert second.passes < first.passes
    if solver != "newton_cg":  # whose proof takes products with the rows
        assert second.passes <= 2
    assert second.status == "optimal"
    assert second.certificate.rho <= 1e-6
    np.testing.assert_allclose(second.W, first.W, rtol=1e-7, atol=1e-9)


def test_another_C_starts_from_the_answer_for_this_one():
    X, y = random_table(n=2000)
    network = OneLayerClassifier(C=1.0, warm_start=True).fit(X, y)
    cold = OneLayerClassifier(C=0.9).fit(X, y)
    warm = network.set_params(C=0.9).fit(X, y)
    assert warm.solution_.passes < cold.solution_.passes
    np.testing.assert_allclose(warm.coef_, cold.coef_, rtol=1e-6)


@pytest.mark.parametrize("classes", [2, 3, "two outputs"])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_two_descents_of_ten_are_one_of_twenty(classes, form):
    X, y = random_table(classes=3 if classes == 3 else 2)
    if classes == "two outputs":
        y = np.column_stack([y, X[:, 0] > 0]).astype(int)
    X = form(X)
    options = {"solver": "gradient_descent", "learning_rate": "safe", "random_state": 7}
    whole = OneLayerClassifier(num_iterations=20, **options).fit(X, y)
    halves = OneLayerClassifier(num_iterations=10, warm_start=True, **options).fit(X, y)
    ten = halves.coef_.copy()
    halves.fit(X, y)
    assert halves.coef_.tobytes() == whole.coef_.tobytes() != ten.tobytes()
    assert halves.intercept_.tobytes() == whole.intercept_.tobytes()
    assert halves.solution_.history[-1].cost == whole.solution_.history[-1].cost


def test_without_it_every_fit_begins_anew():
    X, y = random_table()
    options = {"solver": "gradient_descent", "learning_rate": "safe", "random_state": 7}
    network = OneLayerClassifier(**options).fit(X, y)
    once = network.coef_.tobytes()
    assert network.fit(X, y).coef_.tobytes() == once
    warm = OneLayerClassifier(warm_start=True, **options).fit(X, y)  # nothing to go on from yet
    assert warm.coef_.tobytes() == once
    assert clone(warm.fit(X, y)).fit(X, y).coef_.tobytes() == once


@pytest.mark.parametrize("optimizer", ["gd", "momentum", "adam"])
def test_minibatches_go_on(optimizer):
    X, y = random_table(n=500)
    options = {"solver": "gradient_descent", "learning_rate": 0.002, "random_state": 0}
    network = OneLayerClassifier(batch_size=50, optimizer=optimizer, warm_start=True, **options)
    costs = []
    for _ in range(3):
        history = network.fit(X, y).solution_.history
        costs += [history[0].cost, history[-1].cost]
    assert costs[1] == pytest.approx(costs[2], rel=1e-14)
    assert costs[3] == pytest.approx(costs[4], rel=1e-14)
    assert costs[5] < costs[3] < costs[1] < costs[0]


def test_other_columns_or_classes_are_refused_and_nothing_is_touched():
    X, y = random_table()
    names = list("abcd")
    network = OneLayerClassifier(warm_start=True).fit(pd.DataFrame(X, columns=names), y)
    before = network.predict_proba(pd.DataFrame(X, columns=names))
    cases = [
        (pd.DataFrame(X[:, :3], columns=names[:3]), y, "X has 3 columns, 4 in the fit before"),
        (pd.DataFrame(X, columns=list("abce")), y, "columns of X are .*'e'.*'d'"),
        (pd.DataFrame(X, columns=names), y + 1, r"classes of y are \[1, 2\], \[0, 1\]"),
        (pd.DataFrame(X, columns=names), np.where(X[:, 0] > 1, 2, y), "classes of y"),
        (pd.DataFrame(X, columns=names), np.column_stack([y, 1 - y]), "classes of y"),
    ]
    for table, labels, message in cases:
        with pytest.raises(InputError, match=f"^warm_start: .*{message}.*set warm_start=False"):
            network.fit(table, labels)
        after = network.predict_proba(pd.DataFrame(X, columns=names))
        np.testing.assert_array_equal(after, before)
    network.set_params(warm_start=False).fit(X[:, :3], y + 1)
    assert network.coef_.shape == (1, 3)


def test_a_bias_that_is_no_longer_fitted_is_no_part_of_the_start():
    X, y = random_table()
    network = OneLayerClassifier(warm_start=True, tol=1e-8).fit(X, y)
    network.set_params(fit_intercept=False).fit(X, y)
    cold = OneLayerClassifier(fit_intercept=False, tol=1e-8).fit(X, y)
    assert network.intercept_.tolist() == [0.0]
    np.testing.assert_allclose(network.coef_, cold.coef_, rtol=1e-8)
