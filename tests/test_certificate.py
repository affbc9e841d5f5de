"""The certificate against optima in 60 digits: never less than the truth, and rarely much more."""

import math

import mpmath
import numpy as np
import pytest
from exact import DIGITS, Exact

from onelayer.blocks import Block
from onelayer.certificate import (
    bound_distance,
    bound_distance_after_step,
    bound_gap,
    bound_gap_after_step,
    combine,
    no_certificate,
)
from onelayer.coordinates import measure_columns
from onelayer.features.dense import DenseFeatures
from onelayer.loss import SigmoidLoss, SoftmaxLoss
from onelayer.objective import Objective
from onelayer.rows.memory import MemoryRows
from onelayer.solvers import newton, newton_cg

PROBLEMS = 300
PARTS = 10
DISTANCES = (2e-6, 1e-4, 5e-3, 0.1)


def random_problem(seed):
    """A small problem: wide, duplicated, unbalanced, weighted, of two or three classes."""
    rng = np.random.default_rng(seed)
    n, p = int(rng.integers(4, 24)), int(rng.integers(1, 5))
    classes = 3 if seed % 5 == 0 else 2
    X = rng.standard_normal((n, p)) * 10.0 ** rng.uniform(-3, 3, p)
    if seed % 3 == 0:
        X = X + rng.standard_normal(p) * 10.0 ** rng.uniform(-1, 4)
    if seed % 7 == 0 and p > 1:
        X[:, -1] = X[:, 0]
    y = rng.integers(0, classes, n)
    y[:classes] = np.arange(classes)
    s = rng.integers(0, 4, n).astype(float) if seed % 4 == 0 else rng.uniform(0.1, 3, n)
    s[:classes] = 1
    return Exact(X, y, s, C=float(10.0 ** rng.uniform(-3, 3)), fit_intercept=seed % 6 != 1)


def to_objective(problem):
    loss = SigmoidLoss(1) if problem.classes == 2 else SoftmaxLoss(problem.classes)
    labels = problem.y[None].astype(float)
    rows = MemoryRows(Block(DenseFeatures(problem.X), labels, problem.s))
    return Objective(rows, loss, problem.C, measure_columns(rows, problem.fit_intercept))


def compare(seed):
    problem, rng = random_problem(seed), np.random.default_rng(10_000 + seed)
    objective = to_objective(problem)
    answers = {tol: newton.solve(objective, tol) for tol in (1e-2, 1e-4)}
    answers["cg"] = newton_cg.solve(objective, 1e-2)
    start = problem.pack(answers[1e-4].W, answers[1e-4].b)
    optimum, _ = problem.optimum(start)
    least = problem.value(optimum)

    def excess(W, b):
        return problem.value(problem.pack(W, b)) - least

    for answer in answers.values():
        certificate = answer.certificate
        assert certificate.proved, (seed, answer.status)
        yield seed, certificate, excess(answer.W, answer.b)
    centre = objective.where.from_parameters(answers[1e-4].W, answers[1e-4].b)
    H = objective.evaluate(centre, hessian=True).hessian[0]
    for distance in DISTANCES:
        move = rng.standard_normal(centre.size)
        move *= distance / math.sqrt(move @ H @ move)
        theta = centre + np.where(
            np.tile(objective.where.frozen, objective.n_outputs), 0, move
        ).reshape(centre.shape)
        certificate = newton.certify(objective, theta)
        yield seed, certificate, excess(*objective.where.to_parameters(theta))


@pytest.mark.parametrize("part", range(PARTS))
def test_the_gap_bounds_the_excess_and_not_by_much(part):
    seeds = range(part, PROBLEMS, PARTS)
    results = [result for seed in seeds for result in compare(seed)]
    wrong = [(seed, c, float(true)) for seed, c, true in results if not true <= c.gap]
    assert not wrong
    assert len(results) == len(seeds) * (3 + len(DISTANCES))
    ratios = [float(c.gap / true) for _, c, true in results if 1e-6 <= c.rho <= 1e-2 and true > 0]
    assert len(ratios) > len(seeds)
    assert np.median(ratios) < 2


def test_far_points_get_no_certificate_and_a_reason():
    objective = to_objective(random_problem(2))
    certificate = newton.certify(objective, 50 + objective.start())
    assert not certificate.proved
    assert certificate.reason
    assert certificate.reason in certificate.sentence()


@pytest.mark.parametrize("m", [1e-3, 1.0, 40.0])
@pytest.mark.parametrize("t", [1e-12, 1e-6, 9.9e-3, 1.01e-2, 0.5, 0.999])
def test_closed_forms_against_fifty_digits(t, m):
    with mpmath.workdps(DIGITS):
        decrement = t / m
        T, M = mpmath.mpf(decrement * m), mpmath.mpf(m)
        rho = -mpmath.log1p(-T) / M
        gap = (T + (1 - T) * mpmath.log1p(-T)) / M**2
        a = M * mpmath.mpf(bound_distance(decrement, m))
        after = mpmath.mpf(bound_distance(decrement, m)) * (mpmath.exp(a) - 1 - a) / a
    assert bound_distance(decrement, m) == pytest.approx(float(rho), rel=1e-14)
    assert bound_gap(decrement, m) == pytest.approx(float(gap), rel=1e-11)
    rho_now = bound_distance(decrement, m)
    assert bound_distance_after_step(rho_now, m) == pytest.approx(float(after), rel=1e-10)
    assert bound_gap_after_step(rho_now, rho_now, m) >= 0.5 * rho_now**2


def test_nothing_is_claimed_from_afar():
    assert bound_distance(1.0, 1.0) == bound_gap(1.0, 1.0) == math.inf
    assert bound_distance(math.nan, 1.0) == math.inf


def test_outputs_combine():
    one = newton.certify(to_objective(random_problem(2)), to_objective(random_problem(2)).start())
    both = combine([one, one])
    if one.proved:
        assert both.gap == pytest.approx(2 * one.gap)
    assert not combine([one, no_certificate("why")]).proved
