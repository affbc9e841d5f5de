"""The certificate against optima in 60 digits: never less than the truth, and rarely much more."""

import math

import mpmath
import numpy as np
import pytest
from exact import DIGITS
from fuzz import DISTANCES, Tally, check, random_problem, to_objective

from onelayer.certificate import (
    Certificate,
    bound_distance,
    bound_distance_after_step,
    bound_gap,
    bound_gap_after_step,
    combine,
    no_certificate,
)
from onelayer.solvers import newton

PROBLEMS = 30  # in each of so many
PARTS = 2
SOLVERS = {"certify", "direct", "gram", "newton", "newton_cg", "proximal", "sampled"}


@pytest.mark.parametrize("part", range(PARTS))
def test_no_certificate_claims_too_much_and_few_claim_much_too_little(part):
    """The short form of `make fuzz`."""
    tally = Tally()
    for seed in range(part * PROBLEMS, (part + 1) * PROBLEMS):
        tally.add(check(seed, distances=DISTANCES[1:3]))
    assert not tally.wrong
    assert set(tally.claims) == SOLVERS
    assert np.median(tally.ratios["certify"]) < 1.01
    assert np.median(tally.ratios["newton"]) < 1.01


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
        exact_rho, R = mpmath.mpf(bound_distance(decrement, m)), mpmath.mpf(0.1)
        after = exact_rho * (mpmath.exp(a) - 1 - a) / a
        far = mpmath.exp(R) * exact_rho * (mpmath.exp(R) * (mpmath.exp(a) - 1) / a - 1)
    assert bound_distance(decrement, m) == pytest.approx(float(rho), rel=1e-14)
    assert bound_gap(decrement, m) == pytest.approx(float(gap), rel=1e-11)
    rho_now = bound_distance(decrement, m)
    assert bound_distance_after_step(rho_now, m) == pytest.approx(float(after), rel=1e-10)
    assert bound_distance_after_step(rho_now, m, 0.1) == pytest.approx(float(far), rel=1e-10)
    assert bound_gap_after_step(rho_now, rho_now, m) >= 0.5 * rho_now**2


@pytest.mark.parametrize("t", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("seed", range(5))
def test_the_distance_after_a_step_by_how_far_it_moves_the_rows(seed, t):
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.normal(size=(60, 2)), np.ones(60)])
    sign = np.where(X @ [1.0, -1.0, 0.5] + rng.logistic(size=60) > 0, 1.0, -1.0)

    def slopes(theta):
        miss = 1 / (1 + np.exp(sign * (X @ theta)))
        return -X.T @ (sign * miss), (X.T * (miss * (1 - miss))) @ X, miss * (1 - miss)

    optimum = np.zeros(3)
    for _ in range(50):
        gradient, H, _ = slopes(optimum)
        optimum = optimum - np.linalg.solve(H, gradient)
    _, H, curvature = slopes(optimum)
    far = t * np.sqrt(curvature.min())
    theta = optimum + far * np.linalg.solve(np.linalg.cholesky(H).T, [0, 0.6, 0.8])
    gradient, H, curvature = slopes(theta)
    step = np.linalg.solve(H, gradient)
    decrement, m = np.sqrt(gradient @ step), 1 / np.sqrt(curvature.min())
    left = theta - step - optimum
    rho = bound_distance(decrement, m)
    moved = np.abs(X @ step).max()
    sharp = bound_distance_after_step(rho, m, moved=moved)
    assert np.sqrt(left @ H @ left) <= sharp <= bound_distance_after_step(rho, m)
    drift = 2 * m * decrement  # as if the Hessian were that of a point so near
    within = bound_distance_after_step(rho, m, drift, moved)
    assert sharp <= within <= bound_distance_after_step(rho, m, drift)


def test_nothing_is_claimed_from_afar():
    assert bound_distance(1.0, 1.0) == bound_gap(1.0, 1.0) == math.inf
    assert bound_distance(math.nan, 1.0) == math.inf


def test_numbers_whose_squares_overflow():
    far = Certificate(1.0, 1e200, "factored", 0.0)
    assert combine([far, far]).rho == pytest.approx(math.sqrt(2) * 1e200)
    assert bound_gap(1e200, 1e-203) == math.inf
    assert bound_gap(1e-161, 5e160) == pytest.approx(0.0, abs=1e-300)
    assert bound_gap_after_step(1e-161, 1e-161, 5e160) == pytest.approx(0.0, abs=1e-300)


def test_outputs_combine():
    one = newton.certify(to_objective(random_problem(2)), to_objective(random_problem(2)).start())
    both = combine([one, one])
    if one.proved:
        assert both.gap == pytest.approx(2 * one.gap)
    assert not combine([one, no_certificate("why")]).proved
