"""Newton's method on the dual problem: one number a row, for tables of more columns than rows.

With w = C sum_i alpha_i (x_i - centre), alpha_i = sign_i s_i a_i and 0 < a_i < 1, the dual of
sum_i s_i loss_i + |w|^2 / (2 C) is

    minimise  alpha'K alpha / 2 + sum_i s_i (a_i log a_i + (1 - a_i) log(1 - a_i)),

K = C Xc Xc' (n, n), with sum_i alpha_i = 0 where there is a bias. On a wide table a row's own
square K_ii outweighs the others, so that each row alone is a good start and diag(K) a good
preconditioner: where Newton's method on the weights takes a step for every unit that the logits
are away from 0, here it takes four in all (docs/mathematics.md, part 16). Source: H. F. Yu,
F. L. Huang, C. J. Lin, Dual coordinate descent methods for logistic regression and maximum entropy
models, Machine Learning 85 (2011), for the dual problem.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlog1py, xlogy

from onelayer.network import margin_terms, sigmoid
from onelayer.solvers.second_order import RELATIVE_GAP

Array = NDArray[Any]
Solve = Callable[[Array], Array]

MOST_STEPS = 30
ALONE = 6  # Newton steps for each row on its own
HALVINGS = 60
INSIDE = 0.95  # of the way to where some a_i would reach 0 or 1, at most
SHORT, MOST_SHORT = 0.3, 2  # steps: after so many, another method is quicker
FORCING = 0.1, 0.3  # of an equation's right side, and times the last decrement
SHARE = 0.3  # of what the end allows, for what is left of an equation
BIAS_STEPS = 3  # at the end
SAFE = 2.0  # K's other directions may reach so many times farther than its diagonal says
NOISE = 1e-13


class Products(Protocol):
    """K as the dual problem needs it."""

    @property
    def diagonal(self) -> Array:
        """(n,), that of K."""

    def multiply(self, v: Array) -> tuple[Array, Array]:
        """K v (n,), and what columns get from v, C Xc'v: (p,), or (0,) where K alone is held."""

    def factor(self, ridge: Array) -> Solve | None:
        """Solver of (K + diag(ridge)) x = r for r (n,); None where products are to be used."""

    @property
    def most(self) -> int:
        """Products after which another way would have been cheaper."""


@dataclass(frozen=True)
class Outcomes:
    """What is to be fitted: sign (n,), -1 or 1; weights (n,), above 0; whether there is a bias."""

    sign: Array
    weights: Array
    fit_bias: bool


@dataclass(frozen=True)
class Place:
    """A point of the dual problem.

    Attributes
    ----------
    alpha, part: (n,), and K alpha. w: what the columns have got from alpha, as `Products` says.
    """

    alpha: Array
    part: Array
    w: Array

    def move(self, length: float, step: "Place") -> "Place":
        """The point `length` steps on."""
        return Place(
            self.alpha + length * step.alpha,
            self.part + length * step.part,
            self.w + length * step.w,
        )


@dataclass(frozen=True)
class Found:
    """Where it ended, the bias there, the steps and products taken, and whether it arrived."""

    place: Place
    bias: float
    steps: int
    products: int
    arrived: bool


def solve(outcomes: Outcomes, products: Products, tol: float, alpha: Array | None = None) -> Found:
    """From each row on its own, or from alpha, to weights whose slope proves the end.

    `tol` is the distance in standard errors at which a proof ends the fit. It may give up where
    steps become short or products many: then nothing is lost but their time.
    """
    if alpha is None:
        alone = _stand_alone(outcomes, products.diagonal)
        place = _shrink(outcomes, Place(alone, *products.multiply(alone)))
    else:
        alpha = _balance(outcomes, alpha)
        place = Place(alpha, *products.multiply(alpha))
    decrement, short, spent, steps = math.inf, 0, 1, 0
    while True:
        log_odds, ridge = _bend(outcomes, place)
        slope = place.part + log_odds
        bias = _find_bias(outcomes, slope, ridge)
        allowed, excess = _weigh(outcomes, products, place, bias, tol)
        if excess <= allowed or steps == MOST_STEPS or short == MOST_SHORT:
            bias = _settle_bias(outcomes, place, bias)
            return Found(place, bias, steps, spent, excess <= allowed)
        forcing = min(FORCING[0], FORCING[1] * decrement)
        room = products.most - spent
        step, took, done = _find_step(
            outcomes, products, -slope, ridge, forcing, SHARE * allowed, room
        )
        spent, steps = spent + took, steps + 1
        if not done:
            return Found(place, bias, steps, spent, False)
        decrement = math.sqrt(max(-float(slope @ step.alpha), 0.0))
        length = _search(outcomes, place, step, decrement)
        if length == 0:
            return Found(place, bias, steps, spent, False)
        short += length < SHORT
        place = place.move(length, step)


def _stand_alone(outcomes: Outcomes, diagonal: Array) -> Array:
    """alpha of each row on its own: u = K_ii s a, log(a / (1 - a)) = -u."""
    s, sign = outcomes.weights, outcomes.sign
    reach = diagonal * s
    u = np.log1p(reach)
    u -= np.log1p(u)
    for _ in range(ALONE):
        a = sigmoid(-u)
        u -= (u - reach * a) / (1 + reach * a * (1 - a))
    return _balance(outcomes, sign * s * sigmoid(-u))


def _balance(outcomes: Outcomes, alpha: Array) -> Array:
    """alpha with the class of the larger sum made smaller, so that all sum to 0, if they must."""
    if not outcomes.fit_bias:
        return alpha
    up = outcomes.sign > 0
    above, below = float(alpha[up].sum()), -float(alpha[~up].sum())
    return alpha * np.where(up, min(1.0, below / above), min(1.0, above / below))


def _shrink(outcomes: Outcomes, place: Place) -> Place:
    """The place halved until making it smaller no longer lowers the dual."""
    nothing = Place(np.zeros_like(place.alpha), np.zeros_like(place.part), np.zeros_like(place.w))
    for _ in range(HALVINGS):
        if place.alpha @ (place.part + _bend(outcomes, place)[0]) <= 0:
            break
        place = nothing.move(0.5, place)
    return place


def _bend(outcomes: Outcomes, place: Place) -> tuple[Array, Array]:
    """The entropy's slope and curvature by alpha: sign log(a / (1 - a)) and 1 / (s a (1 - a))."""
    a = outcomes.sign * place.alpha / outcomes.weights
    rest = 1 - a
    return outcomes.sign * (np.log(a) - np.log(rest)), 1 / (outcomes.weights * a * rest)


def _find_bias(outcomes: Outcomes, slope: Array, ridge: Array) -> float:
    """The multiplier of sum alpha = 0: what the slopes have in common."""
    return -float((slope / ridge).sum() / (1 / ridge).sum()) if outcomes.fit_bias else 0.0


def _settle_bias(outcomes: Outcomes, place: Place, bias: float) -> float:
    """The bias at which the residuals sum to 0, for the logits as they are."""
    for _ in range(BIAS_STEPS if outcomes.fit_bias else 0):
        _, miss, curvature = margin_terms(outcomes.sign * (place.part + bias))
        curved = float(curvature @ outcomes.weights)
        total = float(miss @ (outcomes.sign * outcomes.weights))
        bias += min(max(total / curved, -1.0), 1.0) if curved > 0 else 0.0
    return bias


def _weigh(
    outcomes: Outcomes, products: Products, place: Place, bias: float, tol: float
) -> tuple[float, float]:
    """What the slope of the weights may be in units of the penalty, and about what it is.

    With w from alpha it is sqrt(e'K e), e = residuals + alpha.
    """
    loss, miss, _ = margin_terms(outcomes.sign * (place.part + bias))
    value = float(loss @ outcomes.weights) + 0.5 * float(place.alpha @ place.part)
    e = place.alpha - outcomes.sign * outcomes.weights * miss
    return 0.5 * min(tol, math.sqrt(RELATIVE_GAP * value)), _reach(products, e)


def _reach(products: Products, e: Array) -> float:
    return SAFE * math.sqrt(float(np.square(e) @ products.diagonal))


def _find_step(
    outcomes: Outcomes,
    products: Products,
    right: Array,
    ridge: Array,
    forcing: float,
    enough: float,
    room: int,
) -> tuple[Place, int, bool]:
    """(K + diag(ridge)) d = right with sum d = 0: by a factor, or by conjugate gradients.

    Conjugate gradients end where `forcing` of the right side is left, or what is left makes a slope
    of at most `enough`. The step, the products, and whether these sufficed.
    """
    exact = products.factor(ridge)
    if exact is not None:
        d = _hold_sum(outcomes, exact, exact(right))
        return Place(d, *products.multiply(d)), 1, True
    inverse = 1 / (products.diagonal + ridge)

    def precondition(r: Array) -> Array:
        return _hold_sum(outcomes, lambda v: inverse * v, inverse * r)

    r, z = right.copy(), precondition(right)
    nothing = np.zeros_like(right)
    step, p = Place(nothing, nothing, np.zeros(0)), z
    energy = float(r @ z)
    target, spent = forcing**2 * energy, 0
    while energy > target and _reach(products, r / ridge) > enough:
        if spent >= room:
            return step, spent, False
        course = Place(p, *products.multiply(p))
        bent = course.part + ridge * p
        length = energy / float(p @ bent)
        step = course.move(length - 1, course) if not spent else step.move(length, course)
        r -= length * bent
        z, spent = precondition(r), spent + 1
        before, energy = energy, float(r @ z)
        p = z + energy / before * p
    return step, spent, spent > 0


def _hold_sum(outcomes: Outcomes, solve: Solve, d: Array) -> Array:
    """d less the multiple of the solution for a right side of ones that makes its sum 0."""
    if not outcomes.fit_bias:
        return d
    ones = solve(np.ones_like(d))
    return np.asarray(d - float(d.sum() / ones.sum()) * ones)


def _search(outcomes: Outcomes, place: Place, step: Place, decrement: float) -> float:
    """The longest of full, half, ... step that stays inside and lowers the dual; 0 if none."""
    a = outcomes.sign * place.alpha / outcomes.weights
    d = outcomes.sign * step.alpha / outcomes.weights
    with np.errstate(divide="ignore", invalid="ignore"):
        bounds = np.where(d < 0, -a / d, np.where(d > 0, (1 - a) / d, np.inf))
    length = min(1.0, INSIDE * float(bounds.min()))

    def measure(at: Place) -> tuple[float, float]:
        b = outcomes.sign * at.alpha / outcomes.weights
        spread = xlogy(b, b) + xlog1py(1 - b, -b)
        entropy, bent = float(outcomes.weights @ spread), 0.5 * float(at.alpha @ at.part)
        return entropy + bent, abs(entropy) + bent

    value, size = measure(place)
    for _ in range(HALVINGS):
        after, _ = measure(place.move(length, step))
        if after <= value - 1e-4 * length * decrement**2 + NOISE * size:
            return length
        length /= 2
    return 0.0
