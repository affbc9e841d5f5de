"""Rows that pull too hard for one Newton step, on a small table: bent steps, then exact fits.

A step d_i of the fit without row i is bent by what the third derivative T of the other rows adds to
it, d_i + H_i^-1 T[d_i, d_i] / 2 (Chebyshev's method): two products with the table for all such rows
together. What that still leaves is felt by few rows, which are fitted.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from onelayer.network import margin_slopes, margin_terms
from onelayer.solvers.direct import BENT, Point, Problem
from onelayer.strength.leave_one_out import LEAST_LEFT
from onelayer.strength.refit import AT_ONCE, ENOUGH, STEPS

Array = NDArray[Any]

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Bent:
    """The fits without each of some rows, nearly.

    Attributes
    ----------
    theta: (k, D). loss: (k,), the row's log loss there, nats.
    doubt: (k,), roughly what the next term would change of the loss.
    """

    theta: Array
    loss: Array
    doubt: Array


def bend(problem: Problem, point: Point, rows: Rows, held: Array) -> Bent:
    """Bent steps from a point near the optimum to the fits without `held` (k,) of each row."""
    A, x, s = problem.A, problem.A[:, rows], problem.s[rows]
    w, _ = lapack.dpotrs(point.factor, x, lower=1)
    q, r = point.curvature[rows] / s, -(problem.sign * point.miss)[rows] / s
    a = (x * w).sum(axis=0)
    left = np.maximum(1 - held * q * a, LEAST_LEFT)
    moved = (point.direction @ x - held * r * a) / left
    steps = point.direction - (w * (held * (r - q * moved))).T
    squares = np.square(steps @ A)
    # The slope of a row's curvature by its logit is q (1 - 2 p).
    third = problem.sign * (2 * point.miss / problem.s - 1) * point.curvature
    own = squares[np.arange(len(rows)), rows] * third[rows] * held / s
    slopes = 0.5 * ((squares * third) @ A.T - own[:, None] * x.T)
    pull = (w.T * slopes).sum(axis=1)
    small = np.abs(pull) <= BENT * np.abs(moved) * left
    bends, _ = lapack.dpotrs(point.factor, slopes.T, lower=1)
    bends = (bends + w * (held * q * pull / left)).T
    change = np.where(small, pull / left, 0.0)
    sign = problem.sign[rows]
    loss, miss = margin_slopes(sign * (point.theta @ x - moved - change))
    doubt = np.where(small, miss * change**2 / np.maximum(np.abs(moved), 1e-300), np.inf)
    theta = point.theta - np.where(small[:, None], steps + bends, 0.0)
    return Bent(theta, loss, doubt)


def fit_without(problem: Problem, theta: Array, rows: Rows, held: Array) -> Array:
    """The log loss (k,) of each row under the exact fit without `held` (k,) of its weight.

    The fits set out from `theta`, (k, D), side by side.
    """
    size = max(1, AT_ONCE // problem.A.size)
    pieces = [slice(k, k + size) for k in range(0, len(rows), size)]
    return np.concatenate([_fit(problem, theta[own], rows[own], held[own]) for own in pieces])


def _fit(problem: Problem, theta: Array, rows: Rows, held: Array) -> Array:
    """Newton steps of length log(1 + R) / R, R the largest move of a logit: each descends."""
    A, sign = problem.A, problem.sign
    s = np.tile(problem.s, (len(rows), 1))
    s[np.arange(len(rows)), rows] -= held
    for _ in range(STEPS):
        _, miss, curvature = margin_terms(sign * (theta @ A))
        slopes = problem.ridge * theta - (s * miss * sign) @ A.T
        H = (A * (s * curvature)[:, None]) @ A.T
        np.einsum("kii->ki", H)[...] += problem.ridge
        step = np.linalg.solve(H, slopes[:, :, None])[:, :, 0]
        R = np.maximum(np.abs(step @ A).max(axis=1), 1e-12)
        theta = theta - (np.log1p(R) / R)[:, None] * step
        if (step * slopes).sum(axis=1).max() <= ENOUGH**2:
            break
    logits = (theta * A[:, rows].T).sum(axis=1)
    return np.asarray(margin_slopes(sign[rows] * logits)[0])
