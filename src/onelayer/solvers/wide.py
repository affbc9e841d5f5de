"""Dense tables of more columns than rows: the dual problem solved, the end proved on the table.

The weights are C Xc'alpha, alpha one number a row, which `dual.py` finds from the rows' products.
How it found them proves nothing and need not: one pass computes the logits and the slope at the
weights themselves, and the penalty's curvature alone bounds how far the optimum can be.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block
from onelayer.certificate import (
    SMALLEST_RHO,
    Certificate,
    bound_distance,
    bound_gap,
    combine,
    no_certificate,
)
from onelayer.loss import Loss, SigmoidLoss
from onelayer.network import margin_terms
from onelayer.rows.memory import MemoryRows
from onelayer.solvers import costs, dual, row_newton, row_products
from onelayer.solvers.second_order import EPS, MESSAGES, RELATIVE_GAP, Watch
from onelayer.solvers.solution import Progress, Solution

Array = NDArray[Any]
T = TypeVar("T")
Products = row_products.Held | row_products.Applied

LEAST_INSIDE = 1e-300  # a_i of a row whose miss is rounded to 0
FEW_VALUES = 1 << 20
ROUND = 1e-6  # by how much distances from the centre may be rounded


@dataclass(frozen=True)
class Proof:
    """What one pass shows of weights w (p,) and a bias: the objective, and how far it can fall."""

    value: float
    loss: float
    certificate: Certificate

    def holds(self, tol: float) -> bool:
        """Whether this is the end asked for."""
        found = self.certificate
        return found.rho <= tol and found.gap <= RELATIVE_GAP * max(self.value - found.gap, 0.0)


@dataclass(frozen=True)
class _End:
    """What was found for one output: w (p,), its bias, the proof, and what it took."""

    w: Array
    b: float
    proof: Proof
    steps: int
    passes: int


def suits(rows: MemoryRows, loss: Loss, C: float) -> bool:
    """Whether rows are dense, in memory, fewer than the columns; outputs sigmoids, penalised."""
    return (
        isinstance(rows.block, Block)
        and isinstance(loss, SigmoidLoss)
        and bool(np.isfinite(C))
        and rows.n_rows < rows.n_columns
        and row_products.find_values(rows.block.features) is not None
        and getattr(rows.block.features, "shift", None) is None
        and bool((rows.block.weights > 0).all())
    )


def solve(
    rows: MemoryRows,
    loss: Loss,
    C: float,
    fit_intercept: bool,
    tol: float,
    watch: Watch | None = None,
) -> Solution | None:
    """Minimise to a proved end; None where that needs the general solvers, or says what is wrong.

    A solution that is not "optimal" is a start for them.
    """
    began = time.perf_counter()
    with np.errstate(all="ignore"):  # what goes wrong shows in the numbers, and ends it here
        products = choose_products(rows, C, fit_intercept, loss.n_outputs)
        if products is None:
            return None
        own = tol / math.sqrt(loss.n_outputs)  # distances of outputs add up in squares
        ends: list[_End] = []
        for labels in rows.block.labels:
            outcomes = dual.Outcomes(2.0 * labels - 1.0, _spread(rows.block.weights), fit_intercept)
            found, products, passes = _find(outcomes, products, own)
            w, b, proof = _prove(rows, outcomes, products, found, C)
            ends.append(_End(w, b, proof, found.steps, passes + 2))
    total = float(rows.block.weights.sum())
    if not all(end.proof.value <= math.log(2) * total for end in ends):  # worse than no weights
        return None
    proved = all(end.proof.holds(own) for end in ends)
    found_all = _conclude(ends, total, proved, time.perf_counter() - began)
    if watch is not None and proved:
        watch(found_all.history[-1])
    return found_all


def _conclude(ends: list[_End], total: float, proved: bool, seconds: float) -> Solution:
    value, cost = sum(end.proof.value for end in ends), sum(end.proof.loss for end in ends) / total
    certificate = combine([end.proof.certificate for end in ends])
    steps, status = max(end.steps for end in ends), "optimal" if proved else "stalled"
    return Solution(
        W=np.array([end.w for end in ends]),
        b=np.array([[end.b] for end in ends]),
        objective=value,
        cost=cost,
        certificate=certificate,
        status=status,
        message=MESSAGES[status],
        passes=sum(end.passes for end in ends),
        seconds=seconds,
        iterations=steps,
        solver="gram",
        history=(Progress(steps, cost, value, certificate.rho, 1.0),),
    )


def _spread(weights: Array) -> Array:
    """The weights side by side in memory: one stored for all would keep BLAS out."""
    return np.ascontiguousarray(weights, dtype=np.float64)


def choose_products(rows: MemoryRows, C: float, fit_bias: bool, n_outputs: int) -> Products | None:
    """K, or products with the table, whichever costs less; None where neither is accurate."""
    values = row_products.find_values(rows.block.features)
    assert values is not None
    n, p = values.shape
    if costs.cost_of_held(n, p, n_outputs) <= costs.cost_of_applied(n, p, n_outputs):
        return row_products.hold(values, rows, C, fit_bias)
    return row_products.apply(values, rows, C, fit_bias)


def _find(
    outcomes: dual.Outcomes,
    products: Products,
    tol: float,
) -> tuple[dual.Found, Products, int]:
    """Newton's method on the dual; where that is slow, on the weights, and then the dual's end.

    What is found, the products by which it was found, and the passes over the table.
    """
    found = dual.solve(outcomes, products, tol)
    passes = 1 + (0 if isinstance(products, row_products.Held) else found.products)
    if found.arrived:
        return found, products, passes
    if isinstance(products, row_products.Applied):
        products, passes = row_products.sum_up(products, outcomes.weights), passes + 1
    K = products.K if isinstance(products, row_products.Held) else products.rough
    assert K is not None
    alpha, steps = row_newton.solve(K, outcomes, tol)
    again = dual.solve(outcomes, products, tol, _lay_inside(outcomes, alpha))
    passes += 0 if isinstance(products, row_products.Held) else again.products
    return replace(again, steps=found.steps + steps + again.steps), products, passes


def _lay_inside(outcomes: dual.Outcomes, alpha: Array) -> Array:
    a = outcomes.sign * alpha / outcomes.weights
    return outcomes.sign * outcomes.weights * np.clip(a, LEAST_INSIDE, 1 - EPS)


def _prove(
    rows: MemoryRows,
    outcomes: dual.Outcomes,
    products: Products,
    found: dual.Found,
    C: float,
) -> tuple[Array, float, Proof]:
    """The weights and the bias in the table's own units, and what one pass at them proves."""
    w, centre = found.place.w, products.table.centre
    if not w.size:
        alpha = found.place.alpha
        w = C * (_add_up(rows, alpha, _back) - float(alpha.sum()) * centre)
    b = found.bias - float(centre @ w)
    seen = _add_up(rows, outcomes.sign, lambda block: _look(block, w, b))
    far = (1 + ROUND) * math.sqrt(float(products.diagonal.max()))
    return w, b, _bound(seen, w, b, far, centre, C, outcomes.fit_bias)


def _add_up(rows: MemoryRows, numbers: Array, task: Callable[[Block], T]) -> T:
    """The sum of `task(block)`, with numbers (n,) for labels; few values are not worth threads."""
    if rows.n_rows * rows.n_columns > FEW_VALUES:
        return rows.beside(numbers[None]).reduce(task)
    return task(replace(rows.block, labels=numbers[None]))


def _back(block: Block) -> Array:
    tiles = [tile.features.back(tile.labels) for tile in block.tiles()]
    return np.asarray(sum(tiles[1:], tiles[0])[0])


@dataclass(frozen=True)
class _Seen:
    """Sums over rows: the loss, the slope by w and by the bias, the curvature of the bias, squared
    slopes; and the least curvature of a row."""

    loss: float
    slope: Array
    bias_slope: float
    curvature: float
    miss: float
    least: float

    def __add__(self, other: "_Seen") -> "_Seen":
        return _Seen(
            self.loss + other.loss,
            self.slope + other.slope,
            self.bias_slope + other.bias_slope,
            self.curvature + other.curvature,
            self.miss + other.miss,
            min(self.least, other.least),
        )


def _look(block: Block, w: Array, b: float) -> _Seen:
    """What rows, with their signs for labels, add to the sums at w and b."""
    parts = []
    for tile in block.tiles():
        sign, s = tile.labels[0], tile.weights
        logits = tile.features.linear(w[None])[0] + b
        loss, miss, curvature = margin_terms(sign * logits)
        curvature = curvature * s
        residual = -sign * s * miss
        slope = tile.features.back(residual[None])[0]
        squares = float(np.dot(residual, residual))
        bent, least = float(curvature.sum()), float(curvature.min())
        parts.append(
            _Seen(float(np.dot(loss, s)), slope, float(residual.sum()), bent, squares, least)
        )
    return sum(parts[1:], parts[0])


def _bound(
    seen: _Seen, w: Array, b: float, far: float, centre: Array, C: float, fit_bias: bool
) -> Proof:
    """Lambda and m from H >= the penalty, the bias taken out first (docs/mathematics.md, 6 and 7).

    `far`: no row is farther from the centre, in units of the penalty.
    """
    slope = seen.slope + w / C
    reach, length = math.sqrt(C) * float(np.linalg.norm(centre)), float(np.linalg.norm(w))
    squared, beta = C * float(slope @ slope), 0.0
    if fit_bias:
        slope = slope - seen.bias_slope * centre
        beta = 1 / seen.curvature if seen.curvature > 0 else math.inf
        # The rows' mean, weighted by curvature, lies within `far` of the centre, too.
        rest = math.sqrt(C) * float(np.linalg.norm(slope)) + abs(seen.bias_slope) * far
        squared = beta * seen.bias_slope**2 + rest**2
    m = min(
        1 / math.sqrt(seen.least) if seen.least > 0 else math.inf, math.hypot(2 * far, beta**0.5)
    )
    # As `second_order.rounding` has it, a row's parts of a logit bounded by |w| |x|.
    logit = EPS * (abs(b) + length * (far + reach) / math.sqrt(C))
    sums = 8 * (m + reach) * math.sqrt(seen.miss) + length / math.sqrt(C)
    hidden = 6 * math.sqrt(seen.curvature) * logit + EPS * sums
    decrement = math.sqrt(squared) + hidden
    rho, gap = bound_distance(decrement, m), bound_gap(decrement, m)
    value = seen.loss + 0.5 * length**2 / C
    if not math.isfinite(rho):
        return Proof(value, seen.loss, no_certificate("the optimum is still too far for a bound"))
    gap, rho = max(gap, 0.5 * SMALLEST_RHO**2), max(rho, SMALLEST_RHO)
    return Proof(value, seen.loss, Certificate(gap, rho, "applied", hidden))
