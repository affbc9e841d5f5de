"""Hard problems through the front door at its default settings, against optima in 60 digits."""

import numpy as np
import pytest
from exact import Exact, sqrt
from hard import PROBLEMS, make_hard, merge_equal_rows
from long import Long, LongTable
from scipy import sparse

from onelayer import OneLayerClassifier
from onelayer.blocks import Block
from onelayer.features.mixed import MixedFeatures
from onelayer.fitting import fit
from onelayer.loss import SigmoidLoss
from onelayer.rows.memory import MemoryRows

EXCESS = 1e-8  # of the objective, relative


@pytest.mark.parametrize("seed", range(PROBLEMS))
def test_the_optimum_without_a_setting(seed):
    """The excess, each coefficient and the certificate; a warning would be an error here."""
    hard = make_hard(seed)
    network = OneLayerClassifier(C=hard.C).fit(hard.X, hard.y, sample_weight=hard.s)
    got, few = network.solution_, merge_equal_rows(hard)
    exact = Exact(few.X, few.y, few.s, few.C)
    point = exact.pack(got.W, got.b)
    optimum, inverse = exact.optimum(point)
    least = exact.value(optimum)
    excess = exact.value(point) - least
    assert got.status == "optimal"
    assert excess <= EXCESS * least
    assert excess <= got.certificate.gap
    assert got.certificate.rho <= 1e-4
    away = (point - optimum).ravel()
    _, H = exact.slopes(point)
    assert sqrt(away @ H @ away) <= got.certificate.rho
    errors = [abs(d) / sqrt(v) for d, v in zip(away, np.diag(inverse), strict=True)]
    assert max(errors) <= 1.001 * got.certificate.rho


def one_hot_columns(n=30_000, seed=0):
    """20,000 levels, of which most have one row or two, beside two numbers; 8 in 100 are a 1."""
    rng, levels = np.random.default_rng(seed), 20_000
    codes = np.concatenate([np.arange(levels), rng.zipf(1.3, n - levels) % levels])
    numbers = rng.standard_normal((n, 2)) * [1e3, 1e-3]
    push = rng.normal(size=levels)[codes] + numbers @ [1e-3, 1e3]
    y = (push + rng.logistic(size=n) > 3.5) * 1
    return numbers, codes.astype(np.int32)[:, None], levels, y


@pytest.mark.parametrize("C", [1e-2, 1.0, 1e3])
@pytest.mark.parametrize("layout", ["csr", "codes"])
def test_twenty_thousand_one_hot_columns(layout, C):
    numbers, codes, levels, y = one_hot_columns()
    n = len(y)
    dummies = sparse.csr_array((np.ones(n), (np.arange(n), codes[:, 0])), shape=(n, levels))
    X = sparse.hstack([sparse.csr_array(numbers), dummies], format="csr")
    if layout == "csr":
        got = OneLayerClassifier(C=C).fit(X, y).solution_
    else:
        block = Block(MixedFeatures(numbers, codes, (levels,)), y[None] * 1.0, np.ones(n))
        got = fit(MemoryRows(block), SigmoidLoss(1), C=C)
    exact = LongTable(X, y, np.ones(n), C)
    W, b = got.W[0].astype(Long), Long(got.b[0, 0])
    value = exact.value(W, b)
    excess = value - exact.least(W, b)
    assert got.status == "optimal"
    assert excess <= EXCESS * value
    # The proof may be as sharp as 80 bits can tell.
    assert excess <= got.certificate.gap + 8 * np.finfo(Long).eps * value


@pytest.mark.parametrize(("n", "p"), [(100, 5000), (40, 300)])
@pytest.mark.parametrize("C", [1e-3, 1.0, 1e6])
def test_many_more_columns_than_rows(n, p, C):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((n, p)) * 10.0 ** rng.uniform(-3, 3, p)
    y = (X @ (rng.standard_normal(p) / X.std(axis=0)) > 0) * 1
    got = OneLayerClassifier(C=C).fit(X, y).solution_
    W = got.W[0].astype(Long)
    exact = LongTable(X, y, np.ones(n), C)
    value = exact.value(W, got.b[0, 0])
    excess = value - exact.least(W, got.b[0, 0])
    assert got.status == "optimal"
    assert excess <= EXCESS * value
    assert excess <= got.certificate.gap
