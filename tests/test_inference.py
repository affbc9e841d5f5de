"""Errors of coefficients against brute force, and against what their definitions say."""

import copy
import pickle
import warnings

import numpy as np
import polars as pl
import pytest
from scipy import sparse, stats

from onelayer import InputError, OneLayerClassifier
from onelayer.errors import ConvergenceWarning
from onelayer.summary import BIAS

N, P = 500, 3


def draw(seed=0, n=N, classes=2):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, P)) * [1, 10, 0.1] + [0, 500, 3]
    Z = (X - [0, 500, 3]) @ rng.normal(size=(P, classes)) / [1] + rng.gumbel(size=(n, classes))
    return X, Z.argmax(axis=1), rng


def fit(X, y, s=None, **options):
    return OneLayerClassifier(**{"C": np.inf, "tol": 1e-8, **options}).fit(X, y, s).solution_


def errors_of(summary):
    """By output, the features in their order and then the bias."""
    return np.array([each.error for each in summary.coefficients])


def probabilities(solution, A):
    Z = A @ np.column_stack([solution.W, solution.b]).T
    Z = np.column_stack([np.zeros(len(A)), Z]) if Z.shape[1] == 1 else Z
    e = np.exp(Z - Z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def brute_force(solution, X, y, s=None, C=np.inf, groups=None, squared=False, kind="model"):
    """Covariance of the differences from class 0, by the full sums of all classes' outer products.

    The classes hang together by their sum alone, so a pseudo-inverse leaves differences as they
    are.
    """
    A = np.column_stack([X, np.ones(len(X))])
    scale = np.append(np.std(X, axis=0), 1)
    A = A - np.append(X.mean(axis=0), 0)
    A /= scale
    s = np.ones(len(X)) if s is None else s
    n = np.unique(y).size
    P_ = probabilities(solution, np.column_stack([X, np.ones(len(X))]))
    D = A.shape[1]
    H, scores = np.zeros((n * D, n * D)), np.zeros((len(X), n * D))
    for a, p, label, weight, i in zip(A, P_, y, s, range(len(X)), strict=True):
        H += weight * np.kron(np.diag(p) - np.outer(p, p), np.outer(a, a))
        scores[i] = weight * np.kron(p - (label == np.arange(n)), a)
    T = np.kron(np.column_stack([-np.ones(n - 1), np.eye(n - 1)]), np.eye(D))
    if np.isfinite(C):
        share = 2 if n == 2 else 1  # one sigmoid's weight is a difference: w = 2 (w/2)
        H += share * np.kron(np.eye(n), np.diag(np.append(1 / (C * scale[:-1] ** 2), 0)))
    if groups is not None:
        scores = np.array([scores[groups == g].sum(axis=0) for g in np.unique(groups)])
    elif not squared:  # a weight counts rows
        scores = scores / np.sqrt(s)[:, None]
    V = np.linalg.pinv(H, rcond=1e-12)
    V = T @ (V if kind == "model" else V @ scores.T @ scores @ V) @ T.T
    back = np.diag(1 / scale)  # w = v / scale; b = b' - mean'w
    back[-1, :-1] = -X.mean(axis=0) / scale[:-1]
    back = np.kron(np.eye(n - 1), back)
    return np.sqrt(np.diag(back @ V @ back.T))


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("C", [np.inf, 0.5])
def test_errors_of_the_model_and_the_sandwich(classes, C):
    X, y, rng = draw(1, classes=classes)
    s = rng.integers(1, 4, N).astype(float)
    solution = fit(X, y, s, C=C)
    for errors in ("model", "robust"):
        expected = brute_force(solution, X, y, s, C, kind=errors)
        found = solution.summary(errors)
        np.testing.assert_allclose(errors_of(found), expected, rtol=1e-7)
    k = (classes - 1) * (P + 1)
    if np.isinf(C):
        factor = s.sum() / (s.sum() - k)
        assert found.parameters == pytest.approx(k)
        hc1 = errors_of(solution.summary("HC1"))
        np.testing.assert_allclose(hc1, np.sqrt(factor) * expected, rtol=1e-7)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("G", [5, 60, N])
def test_clustered_errors(classes, G):
    X, y, rng = draw(2, classes=classes)
    groups = np.arange(N) if G == N else rng.integers(0, G, N)
    if G == 5:
        groups[: N // 2] = 3  # one that spans several tiles
    solution = fit(X, y)
    expected = brute_force(solution, X, y, groups=groups, kind="cluster")
    k = (classes - 1) * (P + 1)
    expected *= np.sqrt(G / (G - 1) * (N - 1) / (N - k))
    names = np.array([f"town {g}" for g in groups])
    found = solution.summary(clusters=names)
    assert (found.errors, found.clusters) == ("cluster", G)
    np.testing.assert_allclose(errors_of(found), expected, rtol=1e-7)
    assert any("few" in note for note in found.notes) == (G < 30)


def test_survey_weights():
    X, y, rng = draw(3)
    s = rng.uniform(0.5, 40, N)
    solution = fit(X, y, s, weight_kind="sampling")
    np.testing.assert_allclose(solution.W, fit(X, y, s).W, rtol=1e-6)
    expected = brute_force(solution, X, y, s, squared=True, kind="robust")  # the scale falls out
    found = solution.summary()
    assert (found.errors, found.n, found.weight_kind) == ("HC0", N, "sampling")
    np.testing.assert_allclose(errors_of(found), expected, rtol=1e-7)
    assert found.aic is None
    assert any("AIC" in note for note in found.notes)
    towns = rng.integers(0, 50, N)
    clustered = brute_force(solution, X, y, s, groups=towns, kind="cluster")
    clustered *= np.sqrt(50 / 49 * (N - 1) / (N - P - 1))
    np.testing.assert_allclose(errors_of(solution.summary(clusters=towns)), clustered, rtol=1e-7)
    with pytest.raises(InputError, match="errors='model' takes a weight for repeated rows"):
        solution.summary("model")


def test_the_scale_of_survey_weights_changes_nothing_with_a_penalty_either():
    X, y, rng = draw(4)
    s = rng.uniform(0.5, 40, N)
    one, other = (fit(X, y, s * k, C=0.1, weight_kind="sampling") for k in (1, 1e3))
    np.testing.assert_allclose(one.W, other.W, rtol=1e-9)
    np.testing.assert_allclose(errors_of(one.summary()), errors_of(other.summary()), rtol=1e-9)
    scaled = fit(X, y, s / s.mean(), C=0.1)
    np.testing.assert_allclose(one.W, scaled.W, rtol=1e-9)


@pytest.mark.parametrize("errors", ["model", "robust", "HC1", "cluster"])
def test_a_weight_of_2_is_the_row_twice(errors):
    X, y, rng = draw(5)
    s, towns = rng.integers(0, 4, N), rng.integers(0, 20, N)
    few, many = fit(X, y, s), fit(np.repeat(X, s, axis=0), np.repeat(y, s))
    given = {} if errors == "cluster" else {"errors": errors}
    own = towns if errors == "cluster" else None
    one = few.summary(**given, clusters=own)
    other = many.summary(**given, clusters=None if own is None else np.repeat(towns, s))
    np.testing.assert_allclose(errors_of(one), errors_of(other), rtol=1e-9)
    for name in ("n", "log_likelihood", "null_log_likelihood", "parameters", "aic", "bic"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-12), name


def test_fractional_frequencies_are_remarked():
    X, y, rng = draw(6)
    notes = fit(X, y, rng.uniform(1, 2, N)).summary().notes
    assert any("weight_kind='sampling'" in note for note in notes)
    assert not fit(X, y, np.full(N, 2.0)).summary().notes


@pytest.mark.parametrize("layout", ["csr", "fortran", "float32", "frame"])
def test_layouts_agree(layout):
    X, y, rng = draw(7)
    towns = rng.integers(0, 40, N)
    X = X.astype(np.float32).astype(float)
    X[rng.random(X.shape) < 0.6] = 0
    given = {
        "csr": sparse.csr_array,
        "fortran": np.asfortranarray,
        "float32": np.float32,
        "frame": lambda X: pl.DataFrame(X, schema=["a", "b", "c"]),
    }[layout](X)
    one, other = fit(X, y), fit(given, y)
    for options in ({}, {"errors": "HC0"}, {"clusters": towns}):
        found = other.summary(**options)
        np.testing.assert_allclose(errors_of(found), errors_of(one.summary(**options)), rtol=1e-7)
    names = [each.name for each in found.coefficients]
    assert names == (["a", "b", "c", BIAS] if layout == "frame" else ["x0", "x1", "x2", BIAS])


def test_bits_do_not_depend_on_threads():
    rng = np.random.default_rng(8)
    X = rng.normal(size=(30_000, 10))  # two blocks
    y, towns = rng.integers(0, 2, 30_000), rng.integers(0, 50, 30_000)
    one, many = (fit(X, y, n_jobs=k) for k in (1, 2))
    for options in ({}, {"errors": "HC0"}, {"clusters": towns}):
        assert (errors_of(one.summary(**options)) == errors_of(many.summary(**options))).all()


def test_multi_label_outputs_stand_side_by_side():
    X, y, rng = draw(9)
    Y = np.column_stack([y, X[:, 0] + rng.logistic(size=N) > 0.5]).astype(int)
    both = fit(X, Y)
    for errors in ("model", "HC1"):
        apart = [fit(X, Y[:, k]).summary(errors) for k in (0, 1)]
        found = both.summary(errors)
        expected = np.concatenate([errors_of(each) for each in apart])
        np.testing.assert_allclose(errors_of(found), expected, rtol=1e-7)
        total = sum(each.log_likelihood for each in apart)
        assert found.log_likelihood == pytest.approx(total, rel=1e-9)
    assert found.find("x1", "1").value == pytest.approx(apart[1].find("x1").value)
    assert found.parameters == pytest.approx(2 * (P + 1))


def test_classes_are_held_against_the_first():
    X, y, _ = draw(10, classes=3)
    found = fit(X, np.array(["low", "mid", "top"])[y]).summary()
    assert found.reference == "low"
    assert [each.output for each in found.coefficients] == ["mid"] * (P + 1) + ["top"] * (P + 1)
    # Two of three classes apart: the same differences whichever class stands first.
    turned = fit(X, np.array(["low", "a mid", "top"])[y]).summary()
    one, other = found.find("x0", "mid"), turned.find("x0", "low")
    assert one.value == pytest.approx(-other.value, rel=1e-6)
    assert one.error == pytest.approx(other.error, rel=1e-6)
    counts = np.bincount(y)
    null = (counts * np.log(counts / N)).sum()
    assert found.null_log_likelihood == pytest.approx(null, rel=1e-12)
    assert "mid against low" in str(found)


def test_without_a_bias():
    X, y, _ = draw(11)
    X = X - [0, 500, 3]
    found = fit(X, y, fit_intercept=False).summary("HC0")
    assert [each.name for each in found.coefficients] == ["x0", "x1", "x2"]
    assert found.null_log_likelihood == pytest.approx(-N * np.log(2))
    deviations = [each.deviation for each in found.coefficients]
    np.testing.assert_allclose(deviations, X.std(axis=0), rtol=1e-9)
    w = np.array([each.value for each in found.coefficients])
    p = 1 / (1 + np.exp(-X @ w))
    V = np.linalg.inv((X.T * (p * (1 - p))) @ X)
    V = V @ ((X.T * (p - y) ** 2) @ X) @ V
    np.testing.assert_allclose(errors_of(found), np.sqrt(np.diag(V)), rtol=1e-6)


def test_constant_and_dependent_columns():
    X, y, _ = draw(12)
    plain = fit(X, y).summary()
    wide = np.column_stack([X, np.full(N, 7.0), 2 * X[:, 0] - X[:, 1]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # dependent columns may be said aloud
        found = fit(wide, y).summary()
    remarks = [each.remark for each in found.coefficients]
    assert remarks == ["unsettled", "unsettled", "", "constant", "unsettled", ""]
    assert found.find("x2").error == pytest.approx(plain.find("x2").error, rel=1e-6)
    assert found.find(BIAS).error == pytest.approx(plain.find(BIAS).error, rel=1e-6)
    assert found.parameters == pytest.approx(plain.parameters)
    assert found.aic == pytest.approx(plain.aic)
    assert any("3 coefficients are not settled" in note for note in found.notes)
    assert "constant" in str(found)


def test_a_penalty_makes_posterior_spreads():
    X, y, _ = draw(13)
    found = fit(X, y, C=0.01).summary()
    assert any("posterior" in note for note in found.notes)
    assert "spread" in str(found)
    assert 1 < found.parameters < P + 1
    assert not fit(X, y).summary().notes
    # Where the data say nothing, the prior's own spread is left: sqrt(C).
    nothing = np.column_stack([X, 1e-6 * X[:, 0]])
    assert fit(nothing, y, C=4.0).summary().find("x3").error == pytest.approx(2.0, rel=1e-6)


def test_separated_classes_have_no_errors():
    X = np.arange(10.0)[:, None]
    with pytest.warns(ConvergenceWarning):
        found = fit(X, X[:, 0] > 4).summary()
    assert found.errors == "none"
    assert found.coefficients[0].error is None
    assert found.coefficients[0].z is found.coefficients[0].p is None
    assert found.notes[0].startswith("No errors: the fit is separated")
    assert "std error" not in str(found)


def test_an_unproved_fit_is_said():
    X, _, rng = draw(14)
    X, y = (X - X.mean(axis=0)) / X.std(axis=0), rng.integers(0, 2, N)
    found = fit(X, y, solver="gradient_descent", num_iterations=2).summary()
    assert "from its optimum" in found.notes[0]
    far = fit(X, y, solver="gradient_descent", num_iterations=200).summary()
    assert not far.notes


def test_too_wide_for_a_factor():
    rng = np.random.default_rng(15)
    X = sparse.random_array((300, 4000), density=0.01, rng=rng, format="csr")
    found = fit(X, np.arange(300) % 2, C=1.0, tol=1e-4).summary()
    assert found.errors == "none"
    assert "4,001 parameters are too many" in found.notes[0]
    assert found.aic is None
    assert len(found.coefficients) == 4001


def test_rows_are_not_pickled():
    X, y, _ = draw(16)
    network = OneLayerClassifier().fit(X, y)
    bytes_ = pickle.dumps(network)
    assert len(bytes_) < 5000
    for later in (pickle.loads(bytes_).solution_, copy.deepcopy(network.solution_)):
        assert later.evidence is None
        with pytest.raises(InputError, match=r"no longer holds its rows.*classifier.summary\(X"):
            later.summary()
    assert "evidence" not in repr(network.solution_)


def test_rows_that_were_altered_are_noticed():
    X, y, _ = draw(17)
    solution = fit(X, y)
    X[0] += 5
    with pytest.raises(InputError, match="not the rows of the fit"):
        solution.summary()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"errors": "HC9"}, "errors='HC9' is unknown: use one of model, robust, HC0"),
        ({"errors": "cluster"}, "needs clusters="),
        ({"errors": "HC1", "clusters": np.arange(N)}, "takes no clusters="),
        ({"clusters": np.arange(3)}, "one name for each of the 500 rows"),
        ({"clusters": np.zeros(N)}, "all rows are of one cluster"),
        ({"clusters": [None, *range(N - 1)]}, r"clusters\[0\] is missing"),
        ({"clusters": [*range(N - 1), float("nan")]}, r"clusters\[499\] is missing"),
        ({"clusters": np.array(["a", *range(N - 1)], dtype=object)}, "several types"),
        ({"level": 1.0}, "level is 1.0"),
        ({"names": ["a"]}, "1 names for 3 features"),
    ],
)
def test_mistakes_are_named(options, said):
    X, y, _ = draw(18)
    with pytest.raises(InputError, match=said):
        fit(X, y).summary(**options)


def test_an_unknown_kind_of_weight():
    X, y, _ = draw(19)
    with pytest.raises(InputError, match="weight_kind='analytic'"):
        fit(X, y, weight_kind="analytic")


def test_more_parameters_than_rows_have_no_hc1():
    X = np.array([[0.0], [0.0], [1.0], [1.0]])
    with pytest.raises(InputError, match="2 parameters were fitted on 2 rows: use errors='HC0'"):
        fit(X, [0, 1, 0, 1], np.full(4, 0.5)).summary("HC1")


def test_intervals_hold_what_they_say():
    X, y, _ = draw(21)
    for level in (0.5, 0.99):
        slope = fit(X, y).summary(level=level, names=list("abc")).find("b")
        low, high = slope.interval
        assert stats.norm.cdf((high - slope.value) / slope.error) == pytest.approx(0.5 + level / 2)
        assert slope.p == pytest.approx(2 * stats.norm.sf(abs(slope.z)))
        assert slope.odds_ratio.low == pytest.approx(np.exp(low))
        per = slope.odds_ratio_per_deviation
        assert per.high == pytest.approx(np.exp(high * X[:, 1].std()))


def test_an_l1_penalty_has_no_errors():
    X, y, _ = draw(22)
    found = fit(X, y, C=0.05, l1_ratio=1.0, tol=1e-4).summary()
    assert found.errors == "none"
    assert "an L1 penalty chooses features" in found.notes[0]
    assert found.aic is None
    p = probabilities(fit(X, y, C=0.05, l1_ratio=1.0, tol=1e-4), np.column_stack([X, np.ones(N)]))
    assert found.log_likelihood == pytest.approx(np.log(p[np.arange(N), y]).sum(), rel=1e-9)
    assert fit(X, y, C=np.inf, l1_ratio=1.0).summary().errors == "model"
