"""Separation: the oracle is linear programming in fractions, which rounds nothing."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rational import contrasts_of, separable_rows
from scipy import sparse

from onelayer.blocks import Block
from onelayer.features.dense import DenseFeatures
from onelayer.features.mixed import MixedFeatures
from onelayer.features.sparse import SparseFeatures
from onelayer.fitting import fit
from onelayer.loss import SigmoidLoss, SoftmaxLoss
from onelayer.naming import Naming
from onelayer.rows.memory import MemoryRows
from onelayer.separation import find_separation
from onelayer.separation.planes import find_null_vector


def rows_of(X, y, s=None):
    features = X if hasattr(X, "n_rows") else DenseFeatures(np.asarray(X, dtype=float))
    weights = np.ones(features.n_rows) if s is None else np.asarray(s, dtype=float)
    return MemoryRows(Block(features, np.atleast_2d(y).astype(float), weights))


def check_direction(found, A, owner):
    """What is claimed of the direction holds for every margin, to within its rounding."""
    D = found.direction
    margins = A @ D[:, : A.shape[1] // len(D)].ravel()
    hidden = 1e-9 * np.abs(D).max() * np.abs(A).max()
    assert margins.min() >= -hidden
    np.testing.assert_array_equal(np.unique(owner[margins > hidden]), found.rows)


def check_against_fractions(X, y, classes=2, intercept=True):
    A, owner = contrasts_of(X, y, classes, intercept)
    truth = separable_rows(A)
    loss = SigmoidLoss(1) if classes == 2 else SoftmaxLoss(classes)
    found = find_separation(rows_of(X, y), loss, fit_intercept=intercept)
    kind = "complete" if truth.all() else "quasi-complete" if truth.any() else "none"
    assert found.kind == kind
    assert found.exact
    np.testing.assert_array_equal(found.rows, np.unique(owner[truth]))
    if found.found:
        check_direction(found, A, owner)
        used = np.flatnonzero(np.abs(found.direction[:, : X.shape[1]]).any(axis=0))
        assert set(used) <= set(found.columns)
    return kind


# Against linear programs in fractions


@pytest.mark.parametrize("intercept", [True, False])
@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_small_tables_of_whole_numbers(intercept, seed):
    rng = np.random.default_rng(seed)
    n, p = int(rng.integers(3, 13)), int(rng.integers(1, 5))
    X = rng.integers(-2, 3, (n, p)) * rng.choice([1, 1, 100], p)
    y = (X @ rng.integers(-2, 3, p) + rng.integers(-1, 2, n) * rng.integers(0, 2) > 0) * 1
    y[:2] = 0, 1
    check_against_fractions(X, y, intercept=intercept)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_small_tables_of_three_classes(seed):
    rng = np.random.default_rng(seed)
    n, p = int(rng.integers(4, 9)), int(rng.integers(1, 3))
    X = rng.integers(-2, 3, (n, p))
    y = np.clip(X[:, 0] + rng.integers(-1, 2, n) * rng.integers(0, 2), -1, 1) + 1
    y[:3] = 0, 1, 2
    check_against_fractions(X, y, classes=3)


# Known constructions


def overlapping(n=400, p=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    return X, (X @ np.ones(p) + rng.logistic(size=n) > 0) * 1.0


def test_the_textbook_tables():
    """Quasi-complete and complete tables as teaching pages on the subject show them."""
    y = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
    x1 = np.array([1, 2, 3, 3, 3, 4, 5, 6, 10, 11])
    x2 = np.array([3, 0, -1, 4, 1, 0, 2, 7, 3, 4])
    quasi = find_separation(rows_of(np.column_stack([x1, x2]), y))
    assert (quasi.kind, quasi.columns) == ("quasi-complete", (0,))
    np.testing.assert_array_equal(quasi.rows, np.flatnonzero(x1 != 3))
    y, x1 = np.array([0, 0, 0, 0, 1, 1, 1, 1]), np.array([1, 2, 3, 3, 5, 6, 10, 11])
    x2 = np.array([3, 2, -1, -1, 2, 4, 1, 0])
    complete = find_separation(rows_of(np.column_stack([x1, x2]), y))
    assert (complete.kind, complete.columns) == ("complete", (0,))
    assert 3 < -complete.direction[0, -1] / complete.direction[0, 0] < 5


def layouts(codes, X):
    onehot = np.column_stack([X, np.eye(3)[codes]])
    return {
        "dense": DenseFeatures(onehot),
        "fortran": DenseFeatures(np.asfortranarray(onehot)),
        "float32": DenseFeatures(onehot.astype(np.float32)),
        "sparse": SparseFeatures(sparse.csr_array(onehot)),
        "mixed": MixedFeatures(X, codes[:, None].astype(np.int32), (3,)),
        "words": MixedFeatures(
            X, np.zeros((len(X), 0), np.int32), (), sparse.csr_array(np.eye(3)[codes])
        ),
    }


@pytest.mark.parametrize("layout", ["dense", "fortran", "float32", "sparse", "mixed", "words"])
@pytest.mark.parametrize("case", ["none", "rare level", "sum", "complete"])
def test_every_layout(layout, case):
    X, y = overlapping()
    codes = np.where(np.arange(400) < 7, 2, np.arange(400) % 2)
    if case == "rare level":
        y[:7] = 1
    elif case == "sum":  # only the difference of two columns, where it is not 0
        X[:, 0], X[:, 1] = np.arange(400) % 4, np.arange(400) // 4 % 4
        y = np.where(X[:, 0] > X[:, 1], 1, np.where(X[:, 0] < X[:, 1], 0, y))
    elif case == "complete":
        y = (X[:, :2].sum(axis=1) > 0.1) * 1.0
    found = find_separation(rows_of(layouts(codes, X)[layout], y))
    expected = {
        "none": ("none", (), 0),
        "rare level": ("quasi-complete", (6,), 7),
        "sum": ("quasi-complete", (0, 1), 300),
        "complete": ("complete", (0, 1), 400),
    }[case]
    assert (found.kind, found.columns, len(found.rows)) == expected
    if case == "sum":
        assert found.exact
        assert found.direction[0, 0] == -found.direction[0, 1] > 0


def test_rows_of_weight_0_do_not_count():
    X, y = overlapping()
    rare = np.arange(400) < 5
    X[:, 0], y[:5] = rare, [1, 1, 1, 1, 0]
    assert find_separation(rows_of(X, y)).kind == "none"
    found = find_separation(rows_of(X, y, np.arange(400) != 4))
    assert (found.kind, found.rows.tolist(), found.n_rows) == ("quasi-complete", [0, 1, 2, 3], 399)


def test_two_rare_columns_are_two_directions():
    X, y = overlapping()
    X[:, 0], X[:, 1] = np.arange(400) < 5, (np.arange(400) >= 5) & (np.arange(400) < 8)
    y[:8] = [1] * 5 + [0] * 3
    found = find_separation(rows_of(X, y))
    assert [(each.columns, each.rows) for each in found.directions] == [((0,), 5), ((1,), 3)]
    assert found.sentence(Naming(("ann", "bob", "c", "d"))) == (
        "the classes are quasi-completely separated by `ann` and `bob`: 8 of 400 rows (rows 0, 1, "
        "2, 3, 4 and 3 more) are on their own side, the others on the plane between"
    )


def test_a_difference_of_columns_in_units_that_round():
    """The columns are multiples of 0.1 / 3: no direction of floats meets the plane exactly."""
    X, y = overlapping()
    a, b = np.arange(400) % 4, np.arange(400) // 4 % 4
    X[:, 0], X[:, 1] = a * 0.1 / 3 + 1e3, b * 0.7
    y = np.where(a > b, 1, np.where(a < b, 0, y))
    found = find_separation(rows_of(X, y))
    assert (found.kind, found.columns, len(found.rows)) == ("quasi-complete", (0, 1), 300)
    assert not found.exact
    assert "to within rounding" in found.sentence()


def test_what_rounding_leaves_of_dependent_columns_is_no_separation():
    X, y = overlapping()
    X = np.column_stack([X, X[:, 0] * 0.1 + X[:, 1] * 0.7, X[:, 0] * 3.3 + 1e5])
    assert find_separation(rows_of(X, y)).kind == "none"


def test_each_output_of_several_on_its_own():
    X, y = overlapping()
    X[:, 0] = np.arange(400) < 5
    Y = np.stack([y, np.where(X[:, 0] > 0, 1, y)])
    kinds = [find_separation(rows_of(X, Y), SigmoidLoss(2), output=k) for k in (0, 1)]
    assert [found.kind for found in kinds] == ["none", "quasi-complete"]
    assert "of output 1" in kinds[1].sentence()
    got = fit(rows_of(X, Y), SigmoidLoss(2), C=np.inf)
    assert got.status == "separated"
    assert [found.kind for found in got.separations] == ["none", "quasi-complete"]


def test_more_columns_than_a_program_takes(monkeypatch):
    monkeypatch.setattr("onelayer.separation.MOST_PARAMETERS", 4)
    X, y = overlapping()
    found = find_separation(rows_of(X, y))
    assert (found.kind, found.found) == ("undecided", False)
    assert "too many" in found.sentence()
    rng = np.random.default_rng(1)
    wide = rng.standard_normal((20, 60))
    got = fit(rows_of(wide, np.arange(20) % 2), SigmoidLoss(1), C=np.inf)
    assert got.status == "separated"
    assert got.separations[0].kind == "complete"


# What a fit makes of it


def test_a_fit_without_an_optimum_names_columns_rows_and_remedy():
    X, y = overlapping()
    X[:, 2] = np.arange(400) < 3
    y[:3] = 0
    naming = Naming(("a", "b", "rare", "d"), rows=np.arange(400) + 2, row_word="line")
    got = fit(rows_of(X, y), SigmoidLoss(1), C=np.inf, naming=naming)
    assert got.status == "separated"
    assert got.message == (
        "the classes are quasi-completely separated by `rare`: 3 of 400 rows (lines 2, 3 and 4) "
        "are on their own side, the others on the plane between, so without a penalty the weights "
        "grow without end: use a finite C, such as C=1, or leave out `rare`"
    )
    assert got.certificate.rho == math.inf


def test_a_fit_goes_on_where_the_classes_overlap_by_a_hair():
    """One row in the midst of the others' side: the optimum is far out, yet it is reached."""
    x = np.linspace(-1, 1, 400)
    y = (x > 0) * 1.0
    y[198:202] = [1, 0, 1, 0]
    X = np.column_stack([x, np.sin(np.arange(400))])
    got = fit(rows_of(X, y), SigmoidLoss(1), C=np.inf)
    assert got.status == "optimal"
    assert got.certificate.rho <= 1e-4


@pytest.mark.parametrize("remarks", [True, False])
def test_with_a_penalty_it_is_a_remark(remarks):
    X, _ = overlapping()
    y = (X[:, 1] > 0.3) * 1.0
    got = fit(rows_of(X, y), SigmoidLoss(1), C=1e4, remarks=remarks)
    assert got.status == "optimal"
    assert len(got.remarks) == remarks
    if remarks:
        assert "completely separated by column 1" in got.remarks[0]


# The plane in whole numbers


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_null_vectors_of_whole_matrices_are_exact(seed):
    rng = np.random.default_rng(seed)
    k = int(rng.integers(2, 7))
    M = rng.integers(-9, 10, (int(rng.integers(1, k)), k)).astype(float)
    if not M.any():
        return
    near = rng.standard_normal(k)
    v = find_null_vector(M, near)
    assert v is not None
    np.testing.assert_array_equal(v, np.rint(v))
    np.testing.assert_array_equal(M @ v, 0)
    assert v.any()


def test_matrices_of_full_rank_have_no_null_vector():
    assert find_null_vector(np.eye(3), np.ones(3)) is None


def test_a_start_that_separates_leaves_only_the_columns_to_find():
    X, _ = overlapping()
    y = (X[:, :2].sum(axis=1) > 0.1) * 1.0
    start = np.array([[1.0, 1.0, 1e-6, 0.0, -0.1]])
    found = find_separation(rows_of(X, y), start=start)
    assert (found.kind, found.columns) == ("complete", (0, 1))
    alone = find_separation(rows_of(X, y), start=start, programs=False)
    assert (alone.kind, alone.columns) == ("complete", (0, 1, 2))
    assert find_separation(rows_of(X, y), programs=False).kind == "undecided"


def test_one_class_told_from_two_others_that_overlap():
    X, y = overlapping()
    three = np.where(X[:, 3] > 1, 2, y)
    found = find_separation(rows_of(X, three), SoftmaxLoss(3))
    assert (found.kind, found.columns, len(found.rows)) == ("quasi-complete", (3,), 400)
    assert "told from at least one other class without error" in found.sentence()


@pytest.mark.parametrize(("levels", "seed"), [((12, 10, 8), 4), ((40, 30, 20), 8)])
def test_rows_on_the_plane_are_no_end_of_a_complete_separation(levels, seed):
    """Among many equal rows some lie on the plane of a direction that the others are off."""
    generator = np.random.default_rng(seed)
    X = np.hstack([np.eye(k)[generator.integers(k, size=6000)] for k in levels])
    logits = X @ generator.normal(size=X.shape[1])
    assert (logits != 0).all()
    found = find_separation(rows_of(X, logits > 0))
    assert (found.kind, len(found.rows)) == ("complete", 6000)
