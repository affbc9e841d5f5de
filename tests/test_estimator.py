"""`OneLayerClassifier`: scikit-learn's own checks, the minimiser of `LogisticRegression`, laws."""

import threading
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from onelayer import InputError, OneLayerClassifier
from onelayer.errors import ConvergenceWarning, DataWarning, LearningRateWarning
from onelayer.rows import blas

quick = settings(deadline=None, max_examples=25)


@parametrize_with_checks([OneLayerClassifier()])
def test_scikit_learn_checks_pass(estimator, check):
    check(estimator)


def random_table(seed=0, n=80, p=4, classes=2):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * 10.0 ** rng.uniform(-1, 1, p) + rng.normal(size=p)
    Z = X @ rng.normal(size=(p, classes)) / 2
    y = (Z + rng.gumbel(size=Z.shape)).argmax(axis=1)
    y[:classes] = range(classes)
    return X, y


def fit(X, y, sample_weight=None, **options):
    return OneLayerClassifier(**{"tol": 1e-8, **options}).fit(X, y, sample_weight=sample_weight)


# The same minimiser as scikit-learn's


def hessian(X, coef, intercept, C):
    """Of the objective that both state, by its definition; class sums held for several classes."""
    A = np.column_stack([X, np.ones(len(X))])
    Z, k, width = A @ np.column_stack([coef, intercept]).T, len(coef), A.shape[1]
    ridge = np.diag(np.append(np.full(width - 1, 1 / C), 0))
    if k == 1:
        p = 1 / (1 + np.exp(-Z[:, 0]))
        return (A.T * (p * (1 - p))) @ A + ridge
    P = np.exp(Z - Z.max(axis=1, keepdims=True))
    P /= P.sum(axis=1, keepdims=True)
    H = np.zeros((k, width, k, width))
    for a in range(k):
        for c in range(a + 1):
            H[a, :, c] = (A.T * (P[:, a] * ((a == c) - P[:, c]))) @ A
            H[c, :, a] = H[a, :, c].T
        H[a, :, a] += ridge
    H[:, -1, :, -1] += 1
    return H.reshape(k * width, k * width)


def standard_errors(H):
    scale = 1 / np.sqrt(np.diag(H))
    return np.sqrt(np.diag(np.linalg.inv(H * scale * scale[:, None]))) * scale


def scaled(load):
    X, y = load(return_X_y=True)
    return StandardScaler().fit_transform(X), y


TABLES = {
    "breast cancer": lambda: load_breast_cancer(return_X_y=True),
    "breast cancer, scaled": lambda: scaled(load_breast_cancer),
    "iris": lambda: load_iris(return_X_y=True),
    "wine": lambda: load_wine(return_X_y=True),
    "digits 0 to 2": lambda: load_digits(n_class=3, return_X_y=True),
}


@pytest.mark.parametrize(
    ("table", "C"),
    [(name, C) for name in TABLES for C in (0.1, 1.0, 100.0) if name != "digits 0 to 2"]
    + [("digits 0 to 2", 0.1)],
)
def test_the_minimiser_is_scikit_learn_s(table, C):
    X, y = TABLES[table]()
    tightest = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-12, max_iter=500).fit(X, y)
    ours = OneLayerClassifier(C=C).fit(X, y)
    assert ours.solution_.status == "optimal"
    assert ours.solution_.certificate.rho <= 1e-4
    theirs = np.column_stack([tightest.coef_, tightest.intercept_])
    if len(theirs) > 1:  # biases may shift together
        theirs[:, -1] -= theirs[:, -1].mean()
    away = np.column_stack([ours.coef_, ours.intercept_]) - theirs
    errors = standard_errors(hessian(X, ours.coef_, ours.intercept_, C))
    assert (np.abs(away.ravel()) / errors).max() <= 1e-6


def test_all_digits():
    """650 coefficients: the gradient, measured by the inverse Hessian, bounds every distance."""
    X, y = load_digits(return_X_y=True)
    ours = OneLayerClassifier(tol=1e-6).fit(X, y)
    A, P = np.column_stack([X, np.ones(len(X))]), ours.predict_proba(X)
    slope = (P - np.eye(10)[y]).T @ A
    slope[:, :-1] += ours.coef_
    H = hessian(X, ours.coef_, ours.intercept_, 1.0)
    scale = 1 / np.sqrt(np.diag(H))
    g = slope.ravel() * scale
    distance = np.sqrt(g @ np.linalg.solve(H * scale * scale[:, None], g))
    assert distance <= ours.solution_.certificate.rho <= 1e-6


@pytest.mark.parametrize(
    "options",
    [
        {"fit_intercept": False},
        {"class_weight": "balanced"},
        {"class_weight": {0: 3.0, 1: 0.2}},
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_options_mean_what_they_mean_in_scikit_learn(options, weighted):
    X, y = random_table(1)
    w = np.random.default_rng(0).exponential(size=len(y)) if weighted else None
    tightest = LogisticRegression(solver="newton-cholesky", tol=1e-14, max_iter=500, **options)
    tightest.fit(X, y, sample_weight=w)
    ours = fit(X, y, w, **options)
    np.testing.assert_allclose(ours.coef_, tightest.coef_, rtol=1e-7)
    np.testing.assert_allclose(ours.intercept_, tightest.intercept_, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(ours.predict_proba(X), tightest.predict_proba(X), rtol=1e-7)
    np.testing.assert_allclose(ours.decision_function(X), tightest.decision_function(X), rtol=1e-6)
    assert ours.score(X, y) == tightest.score(X, y)


@pytest.mark.parametrize("classes", [2, 4])
def test_predictions_fit_together(classes):
    X, y = random_table(2, classes=classes)
    names = np.array(["ape", "bee", "cat", "dog"])[:classes]
    network = fit(X, names[y])
    P, logits = network.predict_proba(X), network.decision_function(X)
    assert P.shape == (80, classes)
    assert logits.shape == ((80,) if classes == 2 else (80, classes))
    np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(np.exp(network.predict_log_proba(X)), P, rtol=1e-12)
    np.testing.assert_array_equal(network.predict(X), network.classes_[P.argmax(axis=1)])
    assert network.classes_.tolist() == names.tolist()
    assert network.n_iter_ == [network.solution_.iterations]


@pytest.mark.parametrize("classes", [2, 3])
def test_log_probabilities_stay_finite_where_probabilities_are_0(classes):
    X, y = random_table(3, p=1, classes=classes)
    network = fit(X, y)
    far = np.array([[1e6], [-1e6]])
    with np.errstate(all="raise", under="ignore"):
        logs = network.predict_log_proba(far)
        P = network.predict_proba(far)
    assert np.isfinite(logs).all()
    assert logs.min() < -1000
    assert P.min() == 0


# Laws


@quick
@given(st.integers(0, 10**6), st.sampled_from([2, 3]), st.sampled_from([0.1, 10.0]))
def test_weight_k_is_the_row_k_times_and_weight_0_is_no_row(seed, classes, C):
    X, y = random_table(seed, n=40, classes=classes)
    times = np.random.default_rng(seed).integers(0, 4, 40)
    times[:classes] = 1
    weighted = fit(X, y, times, C=C).predict_proba(X)
    repeated = fit(np.repeat(X, times, axis=0), np.repeat(y, times), C=C).predict_proba(X)
    np.testing.assert_allclose(weighted, repeated, rtol=0, atol=1e-8)


@quick
@given(st.integers(0, 10**6), st.sampled_from([2, 3]))
def test_the_order_of_rows_columns_and_classes_does_not_matter(seed, classes):
    X, y = random_table(seed, n=40, classes=classes)
    rng = np.random.default_rng(seed)
    rows, columns, names = rng.permutation(40), rng.permutation(4), rng.permutation(classes)
    plain = fit(X, y).predict_proba(X)
    by_rows = fit(X[rows], y[rows]).predict_proba(X)
    by_columns = fit(X[:, columns], y).predict_proba(X[:, columns])
    renamed = fit(X, names[y]).predict_proba(X)[:, names]  # flipped, for two classes
    for other in (by_rows, by_columns, renamed):
        np.testing.assert_allclose(other, plain, rtol=0, atol=1e-8)


@quick
@given(st.integers(0, 10**6), st.sampled_from([2, 3]), st.sampled_from([-3.0, 100.0, 1e6]))
def test_columns_may_be_shifted(seed, classes, shift):
    X, y = random_table(seed, n=40, classes=classes)
    X = np.round(X, 3)  # what is left of the digits at 1e6
    moved = X + shift
    plain, other = fit(X, y), fit(moved, y)
    bound = 1e-8 if shift < 1e6 else 1e-7  # the table itself has lost digits
    np.testing.assert_allclose(other.predict_proba(moved), plain.predict_proba(X), atol=bound)


@quick
@given(st.integers(0, 10**6), st.sampled_from([2, 3]))
def test_columns_may_be_scaled_where_nothing_is_penalised(seed, classes):
    X, y = random_table(seed, n=200, p=3, classes=classes)
    scales = 10.0 ** np.random.default_rng(seed).uniform(-8, 8, 3)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        plain = fit(X, y, C=np.inf)
        if said:  # separable by chance
            return
    other = fit(X * scales, y, C=np.inf)
    np.testing.assert_allclose(other.predict_proba(X * scales), plain.predict_proba(X), atol=1e-8)
    np.testing.assert_allclose(other.coef_ * scales, plain.coef_, rtol=1e-6, atol=1e-9)


@quick
@given(st.integers(0, 10**6), st.sampled_from([2, 3]))
def test_the_mean_probability_is_the_base_rate(seed, classes):
    X, y = random_table(seed, n=50, classes=classes)
    s = np.random.default_rng(seed).exponential(size=50)
    network = fit(X, y, s)
    rates = np.array([s[y == k].sum() for k in range(classes)]) / s.sum()
    np.testing.assert_allclose(s @ network.predict_proba(X) / s.sum(), rates, atol=1e-9)
    if classes > 2:
        np.testing.assert_allclose(network.coef_.sum(axis=0), 0, atol=1e-9)


@pytest.mark.parametrize("C", [1.0, np.inf])
def test_multi_label_is_one_fit_an_output(C):
    X, _ = random_table(5, n=300)
    rng = np.random.default_rng(5)
    Y = (X[:, :3] - X[:, :3].mean(axis=0) + rng.logistic(size=(300, 3)) > 0).astype(int)
    together = fit(X, Y, C=C)
    alone = MultiOutputClassifier(OneLayerClassifier(C=C, tol=1e-8)).fit(X, Y)
    np.testing.assert_allclose(
        together.coef_, np.vstack([one.coef_ for one in alone.estimators_]), rtol=1e-6, atol=1e-9
    )
    P = np.column_stack([p[:, 1] for p in alone.predict_proba(X)])
    np.testing.assert_allclose(together.predict_proba(X), P, rtol=0, atol=1e-8)
    np.testing.assert_array_equal(together.predict(X), alone.predict(X))
    np.testing.assert_allclose(np.exp(together.predict_log_proba(X)), P, rtol=1e-7)
    assert together.decision_function(X).shape == (300, 3)
    assert together.classes_.tolist() == [0, 1, 2]


# Layouts


def forms_of(X):
    """The same table as nine objects; the first is the reference."""
    names = [f"c{j}" for j in range(X.shape[1])]
    return {
        "C": X,
        "Fortran": np.asfortranarray(X),
        "CSR": sparse.csr_array(X),
        "CSC": sparse.csc_matrix(X),
        "COO": sparse.coo_array(X),
        "pandas": pd.DataFrame(X, columns=names),
        "polars": pl.DataFrame(X, schema=names),
        "pyarrow": pa.table({name: X[:, j] for j, name in enumerate(names)}),
        "list": X.tolist(),
    }


@pytest.mark.parametrize("density", [0.3, 1.0])
@pytest.mark.parametrize("form", [name for name in forms_of(np.zeros((1, 1))) if name != "C"])
def test_every_form_of_a_table_gives_the_same(form, density):
    X, y = random_table(6, n=60, p=5)
    X *= np.random.default_rng(0).random(X.shape) < density
    plain = fit(X, y)
    table = forms_of(X)[form]
    other = fit(table, y)
    np.testing.assert_allclose(other.predict_proba(table), plain.predict_proba(X), atol=1e-8)
    if form in ("pandas", "polars", "pyarrow"):
        assert other.feature_names_in_.tolist() == [f"c{j}" for j in range(5)]


def test_float32_is_near_float64():
    X, y = random_table(7, n=200)
    narrow = X.astype(np.float32)
    exact = fit(narrow.astype(np.float64), y).predict_proba(narrow.astype(np.float64))
    np.testing.assert_allclose(fit(narrow, y).predict_proba(narrow), exact, rtol=0, atol=1e-8)
    near = fit(X, y).predict_proba(X)
    np.testing.assert_allclose(fit(narrow, y).predict_proba(narrow), near, rtol=0, atol=1e-5)


@pytest.mark.parametrize("form", ["C", "Fortran", "CSR", "CSC", "COO"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_inputs_are_left_alone(form, dtype):
    X, y = random_table(8)
    X = (10 * X).astype(dtype)
    table, y, w = forms_of(X)[form], y.copy(), np.ones(80)
    parts = [table] if isinstance(table, np.ndarray) else [table.data]
    before = [part.copy() for part in (*parts, y, w)]
    for part in (*parts, y, w):
        part.flags.writeable = False
    network = fit(table, y, w)
    network.predict_proba(table)
    for part, old in zip((*parts, y, w), before, strict=True):
        np.testing.assert_array_equal(part, old)


def test_a_sparse_entry_stored_in_parts_is_their_sum():
    X, y = random_table(9, n=40, p=2)
    rows, columns = np.divmod(np.arange(80), 2)
    twice = (
        np.concatenate([X.ravel() - 3, np.full(80, 3.0)]),
        (np.tile(rows, 2), np.tile(columns, 2)),
    )
    order = np.argsort(twice[1][0], kind="stable")
    indptr = np.arange(0, 161, 4)
    parts = sparse.csr_array((twice[0][order], twice[1][1][order], indptr), shape=(40, 2))
    assert not parts.has_canonical_format
    found = fit(parts, y).predict_proba(parts)
    np.testing.assert_allclose(found, fit(X, y).predict_proba(X), rtol=0, atol=1e-8)
    assert parts.nnz == 160


# Bits


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("form", ["C", "CSR"])
def test_no_bit_depends_on_the_threads_or_the_batch(form, classes):
    X, y = random_table(10, n=30_000, p=10, classes=classes)
    if form == "CSR":
        X = sparse.csr_array(X * (np.random.default_rng(0).random(X.shape) < 0.6))
    one, *others = [fit(X, y, n_jobs=k) for k in (1, 2, 5)]
    for other in others:
        assert one.coef_.tobytes() == other.coef_.tobytes()
        assert one.intercept_.tobytes() == other.intercept_.tobytes()
    whole = one.predict_proba(X)
    assert whole.tobytes() == others[1].predict_proba(X).tobytes()
    for start, stop in [(0, 1), (11, 12), (29_999, 30_000), (100, 164), (3, 20_000)]:
        assert one.predict_proba(X[start:stop]).tobytes() == whole[start:stop].tobytes()


def test_copies_of_a_table_are_scored_to_the_same_bits():
    X, y = random_table(11, n=500, p=7)
    X = X.astype(np.float32).astype(np.float64)
    network = fit(X, y)
    expected = network.decision_function(X).tobytes()
    for copy in (np.asfortranarray(X), X.astype(np.float32), pd.DataFrame(X).to_numpy()):
        assert network.decision_function(copy).tobytes() == expected


def test_fits_in_parallel_threads_do_not_disturb_each_other():
    X, y = random_table(12, n=20_000, p=8)
    alone, seen = fit(X, y), []
    threads = [
        threading.Thread(target=lambda: seen.append(fit(X, y).coef_.tobytes())) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert seen == [alone.coef_.tobytes()] * 4
    assert blas._holds == 0


# What is said


def test_separation_without_a_penalty_is_said():
    X, _ = random_table(13)
    y = X[:, 0] > np.median(X[:, 0])
    with pytest.warns(ConvergenceWarning, match="use a finite C"):
        network = fit(X, y, C=np.inf)
    assert network.solution_.status == "separated"
    assert not network.solution_.certificate.proved
    assert fit(X, y, C=1e10).solution_.certificate.proved


def test_a_warning_of_separation_names_columns_and_rows_as_they_were_given():
    X, y = random_table(13, n=200)
    X[:, 1] = np.isin(np.arange(200), [3, 50, 51])
    y = np.where(X[:, 1] > 0, 1, y)
    table = pd.DataFrame(X, columns=list("abcd")).rename(columns={"b": "rare"})
    weights = (np.arange(200) != 50) * 1.0
    with pytest.warns(ConvergenceWarning, match=r"by `rare`: 2 of 199 rows \(rows 3 and 51\) are"):
        fit(table, y, sample_weight=weights, C=np.inf)
    with pytest.warns(ConvergenceWarning, match=r"by column 1: .* or leave out column 1"):
        fit(X, y, C=np.inf)


@pytest.mark.parametrize("C", [1.0, np.inf])
def test_dependent_columns_need_no_word_but_without_a_penalty(C):
    X, y = random_table(16, n=200)
    onehot = np.eye(3)[np.arange(200) % 3]
    table = np.hstack([X, 2 * X[:, :1], np.ones((200, 1)), onehot])
    if C == 1:
        assert fit(table, y, C=C).solution_.unique
    else:
        with pytest.warns(DataWarning, match="column 5 is constant, 1; column 4 = 2 column 0: "):
            network = fit(table, y, C=C)
        assert network.solution_.converged
        plain = fit(np.hstack([X, onehot[:, 1:]]), y, C=C)
        np.testing.assert_allclose(
            network.predict_proba(table),
            plain.predict_proba(table[:, [0, 1, 2, 3, 7, 8]]),
            atol=1e-8,
        )


def test_the_article_s_loop_and_its_learning_rate():
    X, y = random_table(14)
    quiet = fit(X, y, solver="gradient_descent", learning_rate="safe", random_state=0)
    assert quiet.solution_.status == "stopped"
    assert quiet.n_iter_ == [10]
    with pytest.warns(LearningRateWarning, match="learning_rate='safe'"):
        fit(X, y, solver="gradient_descent", learning_rate=1e3, num_iterations=1)
    with pytest.warns((LearningRateWarning, ConvergenceWarning)) as told:
        fit(X, y, solver="gradient_descent", learning_rate=1e3, num_iterations=50)
    assert "too large" in str(told[-1].message)
    again = fit(X, y, solver="gradient_descent", learning_rate="safe", random_state=0)
    np.testing.assert_array_equal(again.coef_, quiet.coef_)
    other = fit(X, y, solver="gradient_descent", learning_rate="safe", random_state=1)
    assert not np.array_equal(other.coef_, quiet.coef_)


def test_verbose_tells_the_cost_and_the_distance(capsys):
    fit(*random_table(), verbose=1)
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith("step 0: cost 0.")
    assert "standard errors" in last


BAD_OPTIONS = {
    "C": [0, -1, np.nan, "a", None, True],
    "l1_ratio": [-0.1, 1.1, np.nan, "a", True],
    "fit_intercept": ["no", None, 2],
    "class_weight": ["even", 3, {0: -1, 1: 1}, {0: np.nan, 1: 1}, {0: 0, 1: 1}],
    "solver": ["lbfgs", None, 3],
    "learning_rate": [0, -1, np.nan, np.inf, "fast", None],
    "num_iterations": [-1, 1.5, "3", None, True],
    "tol": [0, -1, np.nan, np.inf, "x", None],
    "n_jobs": [0, -2, 1.5, "two", True],
    "random_state": ["a", -1],
    "verbose": [-1, "a"],
    "warm_start": ["yes", None, 2],
    "batch_size": [0, -1, 1.5, "all", True],
    "optimizer": ["sgd", None, 3, ["adam"]],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD_OPTIONS.items() for value in values]
)
def test_an_option_out_of_range_is_refused_by_name(name, value):
    with pytest.raises(InputError, match=f"^{name}="):
        OneLayerClassifier(**{name: value}).fit(*random_table())


def bad_weights(value):
    w = np.ones(80)
    w[3] = value
    return w


BAD_ROWS = {
    "one class": (lambda X, y: (X, 0 * y), {}, "one class only"),
    "one class with a weight": (
        lambda X, y: (X, y),
        {"sample_weight": random_table()[1] * 1.0},
        "one class only",
    ),
    "negative weight": (
        lambda X, y: (X, y),
        {"sample_weight": bad_weights(-1)},
        r"sample_weight\[3\] is -1",
    ),
    "nan weight": (lambda X, y: (X, y), {"sample_weight": bad_weights(np.nan)}, "weight.*NaN"),
    "infinite weight": (lambda X, y: (X, y), {"sample_weight": bad_weights(np.inf)}, "weight"),
    "no weight": (lambda X, y: (X, y), {"sample_weight": np.zeros(80)}, "sample_weight: .*zero"),
    "huge weights": (lambda X, y: (X, y), {"sample_weight": bad_weights(1e200)}, "weights add up"),
    "nan": (lambda X, y: (np.where(X[5, 1] == X, np.nan, X), y), {}, "row 5, column 1 .* NaN"),
    "infinity": (lambda X, y: (np.where(X[5, 1] == X, np.inf, X), y), {}, "row 5, column 1 .* inf"),
    "huge column": (lambda X, y: (X * [1, 1, 1e200, 1], y), {}, "column 2 reaches"),
    "numbers for classes": (lambda X, y: (X, y + 0.5), {}, "(?i)continuous"),
    "three values in an output": (
        lambda X, y: (X, np.column_stack([y, y + np.arange(80) % 2])),
        {},
        "0 and 1|multi",
    ),
    "an output of one class": (
        lambda X, y: (X, np.column_stack([y, 0 * y])),
        {},
        r"y\[:, 1\] holds one class only",
    ),
    "no rows": (lambda X, y: (X[:0], y[:0]), {}, "0 sample"),
    "no columns": (lambda X, y: (X[:, :0], y), {}, "0 feature"),
    "rows that do not match": (lambda X, y: (X[:-1], y), {}, "inconsistent"),
}


# Of these scikit-learn's own checks speak, with its own kind of error.
SAID_BY_SCIKIT_LEARN = {
    "numbers for classes",
    "no rows",
    "no columns",
    "rows that do not match",
    "three values in an output",
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_rows_are_refused(case):
    change, options, message = BAD_ROWS[case]
    kind = ValueError if case in SAID_BY_SCIKIT_LEARN else InputError
    with pytest.raises(kind, match=message):
        OneLayerClassifier().fit(*change(*random_table()), **options)


def test_class_weights_for_several_labels_are_refused():
    X, y = random_table()
    with pytest.raises(InputError, match="use sample_weight"):
        OneLayerClassifier(class_weight="balanced").fit(X, np.column_stack([y, 1 - y]))


def test_extreme_but_possible_tables_need_no_word():
    X, y = random_table(15)
    for options in ({"C": 1e-320}, {"C": 1e300}, {"C": 1e-30}):
        for scale in (1e-145, 1.0, 1e145):
            assert np.isfinite(fit(X * scale, y, **options).coef_).all()
    light = fit(X, y, np.where(y == 1, 1.0, 1e-17))
    assert np.isfinite(light.intercept_).all()
    still = fit(np.zeros((80, 2)), y)
    np.testing.assert_array_equal(still.coef_, 0)
    np.testing.assert_allclose(still.predict_proba(X[:1, :2])[0, 1], y.mean())


def test_sparse_rows_need_not_be_sorted_and_entries_in_parts_are_added_up():
    rng = np.random.default_rng(0)
    X = sparse.random_array((300, 40), density=0.2, rng=rng).tocsr()
    y = (X @ rng.normal(size=40) > rng.logistic(size=300) * 0.1).astype(int)
    expected = OneLayerClassifier(tol=1e-8).fit(X, y)
    mixed = X.copy()
    for start, stop in zip(X.indptr[:-1], X.indptr[1:], strict=True):
        order = rng.permutation(stop - start) + start
        mixed.indices[start:stop], mixed.data[start:stop] = X.indices[order], X.data[order]
    mixed.has_sorted_indices = False
    before = mixed.indices.copy()
    # Every entry in two halves, side by side in its row.
    halves = sparse.csr_array(
        (np.repeat(mixed.data / 2, 2), np.repeat(mixed.indices, 2), 2 * mixed.indptr), X.shape
    )
    halves.has_sorted_indices = False
    for same in (mixed, halves):
        got = OneLayerClassifier(tol=1e-8).fit(same, y)
        np.testing.assert_allclose(got.coef_, expected.coef_, rtol=0, atol=1e-7)
    assert np.array_equal(mixed.indices, before)
    assert halves.nnz == 2 * X.nnz
