"""`partial_fit`: plain loops, the optimum of `fit`, calls of any kind, and what is refused."""

import itertools
import math
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone

from onelayer import InputError, OneLayerClassifier
from onelayer.blocks import Block
from onelayer.coordinates import measure_columns
from onelayer.features.dense import DenseFeatures
from onelayer.features.sparse import SparseFeatures
from onelayer.rows.memory import MemoryRows
from onelayer.solvers import recognition, seen

quick = settings(deadline=None, max_examples=25)


def random_table(seed=0, n=300, p=4, classes=2):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * 10.0 ** rng.uniform(-3, 3, p) + 10 * rng.normal(size=p)
    Z = (X - X.mean(axis=0)) / X.std(axis=0) @ rng.normal(size=(p, classes))
    y = (Z + rng.gumbel(size=Z.shape)).argmax(axis=1)
    y[:classes] = range(classes)
    return X, y


def rows_of(X, s=None):
    features = SparseFeatures(X) if sparse.issparse(X) else DenseFeatures(X)
    n = X.shape[0]
    return MemoryRows(Block(features, np.zeros((1, n)), np.ones(n) if s is None else s))


def objective_of(network, X, y, C=1.0, s=None):
    """F by its definition."""
    logs = network.predict_log_proba(X)
    if np.ndim(y) == 2:
        losses = -(y * logs + (1 - y) * np.log1p(-np.exp(logs))).sum(axis=1)
    else:
        losses = -logs[np.arange(len(y)), np.searchsorted(network.classes_, y)]
    s = np.ones(len(losses)) if s is None else s
    return s @ losses + np.square(network.coef_).sum() / (2 * C)


def excess_of(network, X, y, C=1.0, s=None):
    best = OneLayerClassifier(C=C, tol=1e-8).fit(X, y, sample_weight=s)
    least = objective_of(best, X, y, C, s)
    return (objective_of(network, X, y, C, s) - least) / least


def pass_over(network, X, y, passes=20, chunk=None, s=None, seed=0):
    """Calls with all rows, or with chunks of them, pass after pass."""
    chunk, classes = chunk or len(y), np.unique(y)
    for _ in range(passes):
        for start in range(0, len(y), chunk):
            rows = slice(start, start + chunk)
            weights = None if s is None else s[rows]
            named = classes if np.ndim(y) == 1 else None
            network.partial_fit(X[rows], y[rows], classes=named, sample_weight=weights)
    return network


# Plain loops


def loop(X, y, s, orders, b, C):
    """The formulas of docs/mathematics.md for calls of the same rows, two classes, by hand."""
    n, p = X.shape
    centre = np.average(X, axis=0, weights=s)
    spread = np.sqrt(np.average((X - centre) ** 2, axis=0, weights=s))
    unit = np.maximum(spread, 0.1 * np.abs(X - centre).max(axis=0))
    A = np.column_stack([(X - centre) / unit, np.ones(n)])
    mean_weight = s.sum() / n
    common = np.linalg.eigvalsh(sum(s[i] * np.outer(A[i], A[i]) for i in range(n)) / n)[-1]
    longest = max(s[i] * A[i] @ A[i] for i in range(n))
    penalty = np.append(1 / (C * s.sum() * unit**2), 0)
    theta, mean, t = np.zeros(p + 1), np.zeros(p + 1), 0
    for order in orders:
        for start in range(0, n, b):
            batch = order[start : start + b]
            k = len(batch)
            L = ((1 - 1 / k) * common + longest / k) / 4 / mean_weight
            eta = 1 / (L * math.sqrt(1 + t / 300))
            slope = np.zeros(p + 1)
            for i in batch:
                slope += s[i] * (1 / (1 + math.exp(-A[i] @ theta)) - y[i]) * A[i]
            theta = (theta - eta * slope / (k * mean_weight)) / (1 + eta * penalty)
            t += 1
            share = min(1, 4 / (t + 3))
            mean = (1 - share) * mean + share * theta
    return mean[:-1] / unit, mean[-1] - mean[:-1] / unit @ centre


@pytest.mark.parametrize("batch_size", [7, None])
@pytest.mark.parametrize("C", [0.1, np.inf])
def test_the_steps_are_those_of_plain_loops(batch_size, C):
    X, y = random_table(n=75)
    s = np.random.default_rng(1).exponential(size=75)
    network = OneLayerClassifier(C=C, batch_size=batch_size, random_state=5)
    for _ in range(3):
        network.partial_fit(X, y, sample_weight=s)
    seed = np.random.RandomState(5).randint(2**31)
    orders = [np.random.default_rng([seed, call]).permutation(75) for call in range(3)]
    W, b = loop(X, y, s, orders, batch_size or 32, C)
    np.testing.assert_allclose(network.coef_[0], W, rtol=1e-9)
    np.testing.assert_allclose(network.intercept_, b, rtol=1e-9)


def test_no_minibatch_is_rougher_than_the_rate_allows_for():
    """Over all minibatches, the mean of |g - g*|^2 is at most 2 L times the tangent's excess."""
    rng = np.random.default_rng(3)
    for _ in range(20):
        A = np.column_stack([rng.normal(size=(7, 2)) * 3, np.ones(7)])
        y = rng.integers(0, 2, 7)
        one, other = rng.normal(size=(2, 3))

        def value(theta, A=A, y=y):
            return np.logaddexp(0, -(2 * y - 1) * (A @ theta)).mean()

        def slopes(theta, A=A, y=y):
            return (1 / (1 + np.exp(-A @ theta)) - y)[:, None] * A

        excess = value(one) - value(other) - slopes(other).mean(axis=0) @ (one - other)
        common, longest = np.linalg.norm(A, 2) ** 2 / 7, np.square(A).sum(axis=1).max()
        for b in (1, 2, 3, 6):
            L = ((1 - 1 / b) * common + longest / b) / 4
            apart = [
                np.square((slopes(one) - slopes(other))[list(batch)].mean(axis=0)).sum()
                for batch in itertools.combinations(range(7), b)
            ]
            assert np.mean(apart) <= 2 * L * excess * (1 + 1e-12)


# The optimum of fit


@pytest.mark.parametrize("classes", [2, 3, "outputs"])
@pytest.mark.parametrize("form", ["whole calls", "chunks", "shuffled calls"])
def test_pass_after_pass_it_comes_to_the_optimum_of_fit(classes, form):
    X, y = random_table(n=600, classes=3 if classes == 3 else 2)
    if classes == "outputs":
        y = np.column_stack([y, X[:, 0] + X[:, 0].std() * random_table(1, 600)[1] > 10]) * 1
    network = OneLayerClassifier(random_state=0)
    if form == "shuffled calls":
        rng = np.random.default_rng(0)
        for _ in range(20):
            order = rng.permutation(600)
            network.partial_fit(X[order], y[order])
    else:
        pass_over(network, X, y, chunk=100 if form == "chunks" else None)
    assert network.solution_.message.endswith("600 different rows")
    assert -1e-12 <= excess_of(network, X, y) <= 1e-3


@pytest.mark.parametrize("C", [0.01, np.inf])
def test_the_penalty_counts_once_however_often_rows_are_shown(C):
    X, y = random_table(n=500)
    network = pass_over(OneLayerClassifier(C=C, random_state=0), X, y, 25)
    assert excess_of(network, X, y, C) <= 1e-3


def test_weights_and_class_weights_mean_what_they_mean_in_fit():
    X, y = random_table(n=500)
    s = np.random.default_rng(0).exponential(size=500)
    network = pass_over(OneLayerClassifier(random_state=0), X, y, 25, s=s)
    assert excess_of(network, X, y, s=s) <= 1e-3
    tilted = pass_over(OneLayerClassifier(class_weight={0: 3.0, 1: 0.2}), X, y, 25)
    assert excess_of(tilted, X, y, s=np.where(y == 0, 3.0, 0.2)) <= 1e-3


def test_more_passes_come_nearer():
    X, y = random_table(n=500)
    network = OneLayerClassifier(random_state=0)
    found = [excess_of(pass_over(network, X, y, passes), X, y) for passes in (1, 4, 35)]
    assert found[2] < found[1] < found[0]
    assert found[2] <= 1e-4


def test_one_pass_over_a_long_stream_is_near():
    X, y = random_table(n=20_000)
    network = pass_over(OneLayerClassifier(random_state=0), X, y, passes=1, chunk=1000)
    assert excess_of(network, X, y) <= 5e-3


def test_one_row_a_call():
    X, y = random_table(n=120)
    network = pass_over(OneLayerClassifier(random_state=0), X, y, passes=1, chunk=1)
    assert network.solution_.message.endswith("120 different rows")
    best = OneLayerClassifier().fit(X, y)
    assert network.score(X, y) >= best.score(X, y) - 0.05


def test_short_calls_of_a_table_of_few_values_are_all_counted():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 2, (200, 1)) * 1.0
    y = (rng.random(200) < 0.3 + 0.4 * X[:, 0]) * 1
    network = pass_over(OneLayerClassifier(), X, y, passes=1, chunk=4)
    assert network.solution_.message.endswith("200 different rows")


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_units_do_not_matter_where_nothing_is_penalised(scale):
    X, y = random_table(n=200)
    options = {"C": np.inf, "random_state": 0}
    plain = pass_over(OneLayerClassifier(**options), X, y, 3, chunk=50)
    moved = X * scale + 3
    other = pass_over(OneLayerClassifier(**options), moved, y, 3, chunk=50)
    np.testing.assert_allclose(other.predict_proba(moved), plain.predict_proba(X), atol=1e-8)


def test_a_column_of_any_scale_is_penalised_without_overshooting():
    X, y = random_table(n=200)
    for scale in (1e-9, 1e9):
        network = pass_over(OneLayerClassifier(random_state=0), X * [scale, 1, 1, 1], y, 5)
        assert excess_of(network, X * [scale, 1, 1, 1], y) <= 0.02


# Going on


def test_after_a_fit_it_goes_on_from_there():
    X, y = random_table(n=2000)
    network = OneLayerClassifier(random_state=0).fit(X[:1000], y[:1000])
    before = excess_of(network, X, y)
    network.partial_fit(X[1000:], y[1000:])
    assert excess_of(network, X, y) < 0.7 * before
    assert network.solution_.message.endswith("2,000 different rows")
    assert excess_of(network.fit(X, y), X, y) <= 1e-9  # and fit begins anew
    assert network.partial_fit(X[:50], y[:50]).solution_.message.endswith("2,050 different rows")


def test_fit_may_go_on_from_it():
    X, y = random_table(n=600)
    network = pass_over(OneLayerClassifier(random_state=0, warm_start=True), X, y, 10)
    assert network.fit(X, y).solution_.status == "optimal"


@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_array])
def test_a_column_that_stood_still_is_learnt_when_it_moves(layout):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2))
    X[:100, 1] = 0
    y = (X[:, 1] + 0.3 * rng.logistic(size=400) > 0) * 1
    network = OneLayerClassifier(random_state=0)
    network.partial_fit(layout(X[:100]), y[:100])
    assert network.coef_[0, 1] == 0
    for _ in range(5):
        for rows in (slice(100, 160), slice(160, 400)):  # before and after it has doubled
            network.partial_fit(layout(X[rows]), y[rows])
    assert network.coef_[0, 1] > 1


def test_what_is_kept_does_not_grow(monkeypatch):
    monkeypatch.setattr(recognition, "REMEMBERED", 3)
    X, y = random_table(n=1200)
    network = OneLayerClassifier(random_state=0)
    sizes = []
    for start in range(0, 1200, 40):
        network.partial_fit(X[start : start + 40], y[start : start + 40], classes=[0, 1])
        sizes.append(len(pickle.dumps(network)))
    assert max(sizes[5:]) <= sizes[4] + 32  # digits of counts


def test_the_stream_may_be_stored_and_goes_on_to_the_bit():
    X, y = random_table()
    network = OneLayerClassifier(random_state=0).partial_fit(X[:100], y[:100])
    copy = pickle.loads(pickle.dumps(network))
    for each in (network, copy):
        each.partial_fit(X[100:], y[100:])
    assert network.coef_.tobytes() == copy.coef_.tobytes()
    assert not hasattr(clone(network), "coef_")


# Weights of 0


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_a_row_without_weight_makes_no_step(form):
    X, y = random_table()
    s = np.random.default_rng(0).exponential(size=300) * (np.arange(300) % 3 > 0)
    kept = np.flatnonzero(s)
    strange = np.where(s > 0, y, 7)  # nor is its class looked at
    one = OneLayerClassifier(random_state=0).partial_fit(form(X), strange, [0, 1], s)
    other = OneLayerClassifier(random_state=0).partial_fit(form(X[kept]), y[kept], [0, 1], s[kept])
    assert one.coef_.tobytes() == other.coef_.tobytes()
    before, steps = one.coef_.tobytes(), one.n_iter_[0]
    one.partial_fit(form(X + 5), y, sample_weight=np.zeros(300))
    assert (one.coef_.tobytes(), one.n_iter_[0]) == (before, steps)
    first = OneLayerClassifier().partial_fit(form(X), y, [0, 1], np.zeros(300))
    assert first.coef_.tolist() == [[0.0] * 4]
    assert first.predict_proba(X[:1]).tolist() == [[0.5, 0.5]]
    assert first.partial_fit(form(X), y).coef_.any()


# Layouts, threads


def test_every_form_of_a_table_gives_the_same():
    X, y = random_table(n=150)
    X = X.astype(np.float32).astype(np.float64) * (np.random.default_rng(0).random(X.shape) < 0.5)
    plain = pass_over(OneLayerClassifier(random_state=0), X, y, 3, chunk=50)
    forms = {
        "fortran": np.asfortranarray,
        "float32": lambda X: X.astype(np.float32),
        "CSR": sparse.csr_array,
        "CSC": sparse.csc_array,
        "frame": lambda X: pd.DataFrame(X, columns=list("abcd")),
    }
    for name, form in forms.items():
        network = OneLayerClassifier(random_state=0)
        for _ in range(3):
            for start in range(0, 150, 50):
                network.partial_fit(form(X[start : start + 50]), y[start : start + 50])
        other = network.predict_proba(form(X))
        np.testing.assert_allclose(other, plain.predict_proba(X), atol=1e-9, err_msg=name)


def test_a_wide_sparse_table_is_measured_like_a_dense_one():
    rng = np.random.default_rng(0)
    X = sparse.random_array((300, 2100), density=0.02, rng=rng, format="csr")
    y = (X @ rng.normal(size=2100) > 0) * 1
    one = pass_over(OneLayerClassifier(random_state=0), X, y, 2, chunk=100)
    other = pass_over(OneLayerClassifier(random_state=0), X.toarray(), y, 2, chunk=100)
    np.testing.assert_allclose(one.decision_function(X), other.decision_function(X), atol=1e-9)


def test_no_bit_depends_on_the_threads():
    X, y = random_table(n=40_000, p=12)
    found = [
        OneLayerClassifier(n_jobs=k, batch_size=25_000, random_state=0)
        .partial_fit(X, y)
        .partial_fit(X, y)
        for k in (1, 2, 3)
    ]
    assert len({network.coef_.tobytes() for network in found}) == 1


def test_the_seed_settles_the_order():
    X, y = random_table()
    one, same, other = (
        OneLayerClassifier(random_state=seed).partial_fit(X, y).coef_.tobytes()
        for seed in (0, 0, 1)
    )
    assert one == same != other


# Classes


def test_classes_are_named_once_and_calls_may_hold_one():
    X, y = random_table(classes=3)
    names = np.array(["ape", "bee", "cat"])[y]
    network = OneLayerClassifier(random_state=0)
    for k in ("cat", "ape", "bee"):
        network.partial_fit(X[names == k], names[names == k], classes=["cat", "bee", "ape"])
    assert network.classes_.tolist() == ["ape", "bee", "cat"]
    network.partial_fit(X, names)
    assert network.coef_.shape == (3, 4)
    np.testing.assert_allclose(network.coef_.sum(axis=0), 0, atol=1e-12)
    assert network.score(X, names) > 0.5
    assert set(network.predict(X)) <= set(names)


def test_a_class_that_never_comes_is_known_all_the_same():
    X, y = random_table()
    network = pass_over(OneLayerClassifier(), X, y, 1).partial_fit(X, y)
    assert network.coef_.shape == (1, 4)
    wider = OneLayerClassifier().partial_fit(X, y, classes=[0, 1, 2])
    assert wider.predict_proba(X).shape == (300, 3)
    assert wider.predict_proba(X)[:, 2].max() < 0.4


def call(network, *arguments, **named):
    return lambda: network().partial_fit(*arguments, **named)


def begun():
    X, y = random_table()
    return OneLayerClassifier().partial_fit(X, y)


X, Y = random_table()
BAD_CALLS = {
    "one class": (OneLayerClassifier, (X[:5], Y[:5] * 0), "y holds fewer than two.*classes=\\[0"),
    "one class named": (OneLayerClassifier, (X, Y, [1]), "classes holds fewer than two"),
    "an unnamed class": (OneLayerClassifier, (X, Y + 1, [0, 1]), r"y holds 2, none of.*\[0, 1\]"),
    "a new class": (begun, (X, Y + 1), r"y holds 2, none of.*\[0, 1\]"),
    "other classes": (begun, (X, Y, [0, 1, 2]), r"classes are \[0, 1, 2\], \[0, 1\] in the calls"),
    "outputs for classes": (begun, (X, np.column_stack([Y, Y])), "in the calls before"),
    "outputs misnamed": (
        OneLayerClassifier,
        (X, np.column_stack([Y, Y]), [1, 2]),
        "numbers 0 to 1",
    ),
    "other columns": (begun, (X[:, :3], Y), "3 features.*expecting 4"),
    "negative weight": (OneLayerClassifier, (X, Y, None, -Y), r"sample_weight\[\d+\] is -1"),
    "nan": (OneLayerClassifier, (X + np.where(X[3, 1] == X, np.nan, 0), Y), "NaN"),
    "real numbers": (OneLayerClassifier, (X, Y + 0.5), "(?i)continuous"),
    "balanced": (lambda: OneLayerClassifier(class_weight="balanced"), (X, Y), "^class_weight="),
    "C": (lambda: OneLayerClassifier(C="auto"), (X, Y), "^C='auto' is not for partial_fit"),
    "L1": (lambda: OneLayerClassifier(l1_ratio=0.5), (X, Y), "^l1_ratio=0.5 is not for"),
    "survey": (lambda: OneLayerClassifier(weight_kind="sampling"), (X, Y), "^weight_kind="),
    "bad batch": (lambda: OneLayerClassifier(batch_size=0), (X, Y), "^batch_size="),
    "bias dropped": (lambda: begun().set_params(fit_intercept=False), (X, Y), "^fit_intercept="),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_bad_calls_are_refused(case):
    network, arguments, message = BAD_CALLS[case]
    ours = case not in ("other columns", "nan", "real numbers")
    network = network()
    with pytest.raises(InputError if ours else ValueError, match=message):
        network.partial_fit(*arguments)


# What is said


def test_the_solution_says_what_it_is():
    X, y = random_table()
    network = OneLayerClassifier(random_state=0).partial_fit(X, y)
    told = network.solution_
    assert (told.status, told.solver, told.converged) == ("stopped", "partial_fit", True)
    assert not told.certificate.proved
    assert "keeps no rows" in told.certificate.reason
    assert network.n_iter_.tolist() == [10] == [told.iterations]  # 9 of 32 rows, 1 of 12
    assert told.objective == pytest.approx(objective_of(network, X, y), rel=1e-12)
    losses = told.objective - np.square(network.coef_).sum() / 2
    assert told.cost == pytest.approx(losses / 300, rel=1e-12)
    assert [p.cost for p in told.history] == [told.cost]
    np.testing.assert_array_equal(network.coef_, told.W)


def test_verbose_tells_each_call(capsys):
    X, y = random_table()
    OneLayerClassifier(verbose=1).partial_fit(X, y).partial_fit(X, y)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("call 1: cost 0.")
    assert "2 calls of partial_fit, on 300 different rows" in second


# Its parts


@quick
@given(st.integers(0, 10**6), st.booleans(), st.sampled_from([1, 3, 40]))
def test_merged_columns_are_those_of_all_rows(seed, fit_intercept, split):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(60, 4)) * 10.0 ** rng.uniform(-5, 5, 4) + rng.normal(size=4)
    X[:, 2], X[:split, 3] = 3.0, 0.0
    s = rng.exponential(size=60)
    whole = measure_columns(rows_of(X, s), fit_intercept)
    parts = [
        measure_columns(rows_of(X[r], s[r]), fit_intercept)
        for r in (slice(split), slice(split, 60))
    ]
    merged = seen.merge_columns(*parts)
    for name in ("centre", "spread", "low", "high", "frozen", "weight"):
        ours, exact = getattr(merged, name), getattr(whole, name)
        np.testing.assert_allclose(ours, exact, rtol=1e-9, atol=1e-12, err_msg=name)


@quick
@given(st.integers(0, 10**6), st.booleans(), st.booleans())
def test_longest_row_and_largest_eigenvalue(seed, fit_intercept, wide):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(40, 3)) * 10.0 ** rng.uniform(-3, 3, 3) + rng.normal(size=3)
    X *= rng.random(X.shape) < 0.6
    s = rng.exponential(size=40)
    where = seen.to_steps(measure_columns(rows_of(X, s), fit_intercept))
    A = (X - where.centre) / where.spread
    assert np.abs(A).max() <= 10 * (1 + 1e-12)
    A = np.column_stack([A, np.full(40, float(fit_intercept))])
    with pytest.MonkeyPatch.context() as patch:
        if wide:
            patch.setattr(seen, "LARGEST_GRAM", 0)
        for layout in (X, sparse.csr_array(X)):
            longest = seen.find_longest(rows_of(layout, s), where)
            assert longest == pytest.approx((s * np.square(A).sum(axis=1)).max(), rel=1e-9)
            common, _ = seen.find_common(rows_of(layout, s), where)
            exact = np.linalg.norm(np.sqrt(s)[:, None] * A, 2) ** 2
            if wide:
                total = np.square(np.sqrt(s)[:, None] * A).sum()
                assert exact <= common * (1 + 1e-9)
                assert common <= min(total, 2 * exact) * (1 + 1e-9)
            else:
                assert common == pytest.approx(exact, rel=1e-9)


def test_a_summary_takes_the_rows_again():
    X, y = random_table(n=600)
    network = pass_over(OneLayerClassifier(random_state=0), X, y, 25)
    with pytest.raises(InputError, match="rows"):
        network.summary()
    near, exact = network.summary(X, y), OneLayerClassifier().fit(X, y).summary()
    for one, other in zip(near.coefficients, exact.coefficients, strict=True):
        assert one.error == pytest.approx(other.error, rel=0.02)
