"""Dependent columns: constructions whose formulas are known, and the answer of least norm."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onelayer.blocks import Block
from onelayer.dependence import find_dependences, null
from onelayer.features.dense import DenseFeatures
from onelayer.features.mixed import MixedFeatures
from onelayer.fitting import fit
from onelayer.loss import SigmoidLoss, SoftmaxLoss
from onelayer.naming import UNNAMED, Naming
from onelayer.rows.memory import MemoryRows

N = 300


def rows_of(X, y=None, s=None):
    features = X if hasattr(X, "n_rows") else DenseFeatures(np.asarray(X))
    y = np.zeros(features.n_rows) if y is None else y
    weights = np.ones(features.n_rows) if s is None else s
    return MemoryRows(Block(features, np.atleast_2d(y).astype(float), weights))


def say(X, names="", s=None, **options):
    naming = Naming(tuple(names.split())) if names else UNNAMED
    found = find_dependences(rows_of(X, s=s), naming=naming, **options)
    return [each.sentence(naming) for each in found]


@pytest.fixture
def columns():
    rng = np.random.default_rng(0)
    return {
        "a": rng.standard_normal(N),
        "b": 1e6 * rng.standard_normal(N) + 3e7,
        "c": 1e-6 * rng.standard_normal(N),
        "year": rng.integers(1990, 2020, N) * 1.0,
        "k": np.full(N, 3.0),
        "codes": rng.integers(0, 4, N),
        "kinds": rng.integers(0, 3, N),
    }


def test_independent_columns_have_no_formula(columns):
    X = np.column_stack([columns[name] for name in ("a", "b", "c", "year")])
    assert say(X) == []
    assert say(X, fit_intercept=False) == []


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        (lambda a, b, c, year: b + year, "`x` = `b` + `year`"),
        (lambda a, b, c, year: a, "`x` = `a`"),
        (lambda a, b, c, year: 2 * year, "`x` = 2 `year`"),
        (lambda a, b, c, year: 2024 - year, "`x` = 2024 - `year`"),
        (lambda a, b, c, year: year / 3 + 7, "`year` = 3 `x` - 21"),
        (lambda a, b, c, year: year - a, "`year` = `a` + `x`"),
        (lambda a, b, c, year: (a + 1e6 * c) / 3, "`x` = 1/3 `a` + 333333 `c`"),
        (lambda a, b, c, year: 1.8 * a + 32, "`x` = 1.8 `a` + 32"),
        (lambda a, b, c, year: 0.12345678 * a, "`x` = 0.123457 `a`"),
        (lambda a, b, c, year: np.full(N, 5.5), "`x` is constant, 5.5"),
    ],
)
def test_a_column_made_of_others_is_said_by_its_formula(columns, formula, expected):
    parts = [columns[name] for name in ("a", "b", "c", "year")]
    X = np.column_stack([*parts, formula(*parts)])
    assert say(X, "a b c year x") == [expected]


def test_several_formulas_each_of_few_columns(columns):
    a, c, year = columns["a"], columns["c"], columns["year"]
    X = np.column_stack([a, a + year, c, year, 3 * c, columns["k"]])
    assert say(X, "a sum c year thrice k") == [
        "`k` is constant, 3",
        "`thrice` = 3 `c`",
        "`sum` = `a` + `year`",
    ]


def test_without_a_bias_a_constant_is_a_column_like_any_other(columns):
    X = np.column_stack([columns["a"], columns["k"], columns["a"] + 6, np.zeros(N)])
    assert say(X, "a k x none", fit_intercept=False) == [
        "`none` is constant, 0",
        "`x` = `a` + 2 `k`",
    ]


# Categories


def onehot(codes, count):
    return np.eye(count)[codes]


def test_that_levels_add_up_to_1_is_no_news(columns):
    one, two = onehot(columns["codes"], 4), onehot(columns["kinds"], 3)
    for intercept in (True, False):
        assert say(np.column_stack([columns["a"], one, two]), fit_intercept=intercept) == []
        codes = np.column_stack([columns["codes"], columns["kinds"]]).astype(np.int32)
        mixed = MixedFeatures(columns["a"][:, None], codes, (4, 3))
        assert say(mixed, fit_intercept=intercept) == []


def test_a_level_beside_its_own_dummy_is_news(columns):
    codes, kinds = columns["codes"], columns["kinds"]
    numeric = np.column_stack([columns["a"], codes == 3, codes <= 1]).astype(float)
    mixed = MixedFeatures(numeric, np.column_stack([codes, kinds]).astype(np.int32), (5, 3))
    names = "a is_d ab a_ b_ c_ d_ unseen x_ y_ z_"
    assert say(mixed, names) == ["`d_` = `is_d`", "`ab` = `a_` + `b_`"]


def test_two_categories_that_tell_the_same(columns):
    codes = columns["codes"]
    both = np.column_stack([codes, codes // 2]).astype(np.int32)
    mixed = MixedFeatures(np.zeros((N, 0)), both, (4, 2))
    assert len(say(mixed)) == 1


# Which rows count


def test_rows_of_weight_0_do_not_count_and_others_all_do(columns):
    X = np.column_stack([columns["a"], columns["year"], columns["a"] + columns["year"]])
    X[7, 2] += 1
    s = np.ones(N)
    assert say(X) == []
    s[7] = 0
    assert say(X, "a year x", s) == ["`x` = `a` + `year`"]


def test_a_rare_row_is_found_among_many():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((50_000, 3))
    X[:, 2] = X[:, 0] + X[:, 1]
    assert say(X, "a b x") == ["`x` = `a` + `b`"]
    X[31_234, 2] += 1e-3
    assert say(X) == []


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_what_is_said_holds_and_is_enough(seed):
    """Every formula holds in every row, and without its columns the others are independent."""
    rng = np.random.default_rng(seed)
    p, rank = int(rng.integers(2, 9)), int(rng.integers(1, 6))
    X = (rng.standard_normal((60, rank)) @ rng.integers(-2, 3, (rank, p))).astype(float)
    X = np.round(X * 8) / 8
    found = find_dependences(rows_of(X))
    for each in found:
        total = each.constant + sum(c * X[:, j] for j, c in each.terms)
        np.testing.assert_allclose(total, X[:, each.column], atol=1e-8)
    said = np.zeros((len(found), p + 1))
    for row, each in zip(said, found, strict=True):
        row[each.column], row[-1] = -1, each.constant
        for j, c in each.terms:
            row[j] += c
    full = np.linalg.matrix_rank(np.column_stack([X, np.ones(60)]), tol=1e-8)
    assert np.linalg.matrix_rank(said, tol=1e-8) == len(found) == p + 1 - full


# What a fit makes of it


@pytest.mark.parametrize("loss", [SigmoidLoss(1), SoftmaxLoss(3)], ids=["sigmoid", "softmax"])
def test_without_a_penalty_the_answer_of_least_norm(columns, loss):
    X = np.column_stack([columns["a"], columns["year"], columns["a"] + columns["year"]])
    rng = np.random.default_rng(1)
    y = np.digitize(columns["a"] + rng.logistic(size=N), [0, 1][: loss.n_outputs % 2 + 1])
    got = fit(rows_of(X, y), loss, C=np.inf)
    assert got.status == "optimal"
    assert got.certificate.proved
    assert not got.unique
    assert [each.sentence() for each in got.dependencies] == ["column 2 = column 0 + column 1"]
    assert "least norm" in got.remarks[0]
    less = fit(rows_of(X[:, :2], y), loss, C=np.inf)
    assert got.objective == pytest.approx(less.objective, rel=1e-9)
    # The weights per spread are perpendicular to what the columns leave free.
    spread = X.std(axis=0)
    free = np.array([1, 1, -1]) / 1.0
    np.testing.assert_allclose(got.W * spread @ (free * spread), 0, atol=1e-8)
    np.testing.assert_allclose(X @ got.W.T + got.b.T, X[:, :2] @ less.W.T + less.b.T, atol=1e-3)


def test_nearly_dependent_columns_are_named_where_nothing_is_proved(columns):
    a = columns["a"]
    X = np.column_stack([a, columns["year"], a.astype(np.float32)])
    y = (a + np.random.default_rng(1).logistic(size=N) > 0) * 1.0
    got = fit(rows_of(X, y), SigmoidLoss(1), C=np.inf, solver="newton")
    assert "column 2 = column 0 to within" in got.remarks[0]
    assert math.isfinite(got.objective)


def test_with_a_penalty_it_is_a_remark_that_must_be_asked_for(columns):
    X = np.column_stack([columns["a"], columns["c"], 2 * columns["a"]])
    y = (columns["a"] + np.random.default_rng(1).logistic(size=N) > 0) * 1.0
    quiet = fit(rows_of(X, y), SigmoidLoss(1), C=1.0, solver="newton")
    told = fit(rows_of(X, y), SigmoidLoss(1), C=1.0, solver="newton", remarks=True)
    assert (quiet.remarks, quiet.dependencies) == ((), ())
    assert "column 2 = 2 column 0" in told.remarks[0]
    np.testing.assert_array_equal(quiet.W, told.W)


@pytest.mark.parametrize("C", [1.0, np.inf])
def test_well_conditioned_fits_give_no_reason_to_look(columns, C):
    X = np.column_stack([columns[name] for name in ("a", "b", "c", "year")])
    y = (columns["a"] + np.random.default_rng(1).logistic(size=N) > 0) * 1.0
    if C == 1.0:
        X = X / X.std(axis=0)
    for solver in ("auto", "newton"):
        assert not fit(rows_of(X, y), SigmoidLoss(1), C=C, solver=solver).may_depend


def test_where_divide_and_conquer_fails_the_older_way_is_taken(monkeypatch):
    """As on some finite matrices of a thousand levels, which LAPACK's own tests do not have."""
    own, tried = null.linalg.svd, []

    def svd(A, **options):
        tried.append(options.get("lapack_driver"))
        if not tried[-1]:
            raise null.linalg.LinAlgError("SVD did not converge")
        return own(A, **options)

    A = np.random.default_rng(0).normal(size=(9, 3)) @ np.ones((3, 4))
    monkeypatch.setattr(null.linalg, "svd", svd)
    U, sizes, vectors = null.decompose(A)
    assert tried == [None, "gesvd"]
    np.testing.assert_allclose((U[:, :4] * sizes) @ vectors, A, atol=1e-12)
