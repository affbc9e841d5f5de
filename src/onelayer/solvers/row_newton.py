"""Newton's method on one number a row, given the rows' products with each other.

With w = C Xc' alpha the logits are f = K alpha + b, K = C Xc Xc' (n, n), and the objective is
sum_i s_i loss_i(f_i) + alpha'K alpha / 2. A Newton step solves (I + S K) d = g - beta s with
g = r + alpha, r the residuals and S = diag(s) the curvatures; beta, the step of the bias, is where
the residuals would sum to 0. With B = I + S^1/2 K S^1/2, whose eigenvalues are all 1 or more,
(I + S K)^-1 = I - S^1/2 B^-1 S^1/2 K (Rasmussen and Williams, Gaussian Processes for Machine
Learning, 2006, section 3.4). The steps are those of Newton's method on the weights themselves:
ten or more, but as sure of their end on rows that hang together as on others.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.network import margin_terms
from onelayer.solvers.dual import Outcomes
from onelayer.solvers.line_search import search_lengths
from onelayer.solvers.row_products import factor_with

Array = NDArray[Any]

MOST_STEPS = 100


@dataclass(frozen=True)
class Point:
    """alpha (n,), the bias, and K alpha (n,); or a step of them."""

    alpha: Array
    bias: float
    part: Array

    def back(self, length: float, step: "Point") -> "Point":
        """The point `length` of a step, which is to be subtracted, on."""
        return Point(
            self.alpha - length * step.alpha,
            self.bias - length * step.bias,
            self.part - length * step.part,
        )


def solve(K: Array, outcomes: Outcomes, enough: float) -> tuple[Array, int]:
    """alpha = -r, the residuals where a step of decrement `enough` or less, or none, has led.

    And the steps taken.

    Parameters
    ----------
    K: (n, n), float32 or float64.
    """
    nothing = np.zeros(len(K))
    point = Point(nothing, 0.0, nothing)
    steps = 0
    while steps < MOST_STEPS:
        value, r, s = _measure(outcomes, point)
        step = _find_step(K, outcomes.fit_bias, point.alpha, r, s)
        squared = float(s @ np.square(step.part + step.bias) + step.alpha @ step.part)
        length = _search(outcomes, point, step, value, squared)
        if length is None:
            break
        point, steps = point.back(length, step), steps + 1
        if squared <= enough**2:
            break
    return -_measure(outcomes, point)[1], steps


def _measure(outcomes: Outcomes, point: Point) -> tuple[float, Array, Array]:
    """The objective, and each row's residual and curvature."""
    s, sign = outcomes.weights, outcomes.sign
    loss, miss, curvature = margin_terms(sign * (point.part + point.bias))
    value = float(loss @ s) + 0.5 * float(point.alpha @ point.part)
    return value, -sign * s * miss, s * curvature


def _find_step(K: Array, fit_bias: bool, alpha: Array, r: Array, s: Array) -> Point:
    """The Newton step, to be subtracted, where the residuals are r and the curvatures s."""
    right = np.column_stack([r + alpha, s]) if fit_bias else (r + alpha)[:, None]
    root = np.sqrt(s)[:, None]
    scale = root.astype(K.dtype)
    solve_with = factor_with(K * scale * scale.T, np.ones(len(K)))
    solved = right - root * solve_with(root * (K @ right.astype(K.dtype)))
    d, bias = solved[:, 0], 0.0
    if fit_bias:
        # The residuals after the step, r - S (K d + beta) = d - alpha, sum to 0.
        total = float(solved[:, 1].sum())
        bias = float(d.sum() - alpha.sum()) / total if total > 0 else 0.0
        d = d - bias * solved[:, 1]
    return Point(d, bias, np.asarray(K @ d.astype(K.dtype), dtype=np.float64))


def _search(
    outcomes: Outcomes, point: Point, step: Point, value: float, squared: float
) -> float | None:
    moved = step.part + step.bias
    fall, bend = step.alpha @ point.part, step.alpha @ step.part

    def measure(length: Array) -> tuple[Array, Array]:
        t = float(length[0])
        after, r, _ = _measure(outcomes, point.back(t, step))
        return np.array([after]), np.array([-(r @ moved) - fall + t * bend])

    start, slope = np.array([value]), np.array([-squared])
    length, _ = search_lengths(measure, start, slope, np.array([True]))
    return None if length is None else float(length[0])
