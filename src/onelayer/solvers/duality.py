"""How far F can still fall, proved by a point of the dual problem; and what must be 0 at the end.

The residuals A - Y of a pass, turned a little so that they add up to 0 for each class (as the free
bias demands) and shrunk until no column's slope exceeds its L1 penalty, are such a point. Between
the objective and the dual's value there lies the optimum of both. Nothing is asked of the columns:
they may depend on each other, and outnumber the rows. Derived in docs/mathematics.md.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.certificate import Certificate, combine
from onelayer.objective import Evaluation
from onelayer.solvers.penalised import Penalised

Array = NDArray[Any]

BIAS_STEPS = 3
EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Dual:
    """What a dual point proves.

    Attributes
    ----------
    gap: F + L1 at theta less its minimum is at most this.
    rounding: the part of `gap` that allows for float64 sums.
    zero: (n_outputs, p), True for weights that are 0 at every optimum.
    """

    gap: float
    rounding: float
    zero: NDArray[np.bool_]


def know_nothing(problem: Penalised) -> Dual:
    """Before it is measured."""
    objective = problem.objective
    shape = objective.n_outputs, objective.width - 1
    return Dual(math.inf, 0.0, np.zeros(shape, dtype=bool))


def measure(problem: Penalised, evaluation: Evaluation, theta: Array) -> Dual:
    """The dual bound at `theta`, (n_outputs, p + 1), from what a pass has summed: no pass."""
    objective, kappa = problem.objective, problem.kappa[:-1]
    slopes = problem.log_loss_slopes(evaluation, theta)
    v, g = theta[:, :-1], slopes[:, :-1]
    turned, error = _turn(problem, slopes[:, -1])
    noise = _rounding_of_slopes(problem, evaluation)
    off = noise + error
    reach = (1 - turned) * np.abs(g) + off
    shrunk = float(np.min(kappa / np.maximum(np.maximum(reach, kappa), 1e-300), initial=1.0))
    ridge = objective.penalty[:-1]
    terms = kappa * np.abs(v) + 0.5 * ridge * np.square(v)
    rounding = float((noise * np.abs(v)).sum() + 8 * EPS * terms.sum())

    def bound(shrink: float) -> float:
        c = shrink * (1 - turned)
        over = np.maximum(shrink * reach - kappa, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            excess = np.where(over > 0, np.square(over) / (2 * ridge), 0.0)
        pull = float((terms + c * g * v + excess).sum() + c * (slopes[:, -1] @ theta[:, -1]))
        return (1 - c) * float(evaluation.loss[0]) + max(pull, 0.0) + rounding

    # Without an L2 part only the shrunk point counts; with one, either may prove more.
    gap, shrink = min((bound(c), c) for c in {shrunk, 1.0 if (ridge > 0).all() else shrunk})
    radius = np.sqrt(objective.where.weight * gap / 2)
    return Dual(gap, rounding, shrink * reach + radius < kappa)


def certify(problems: Iterable[Penalised], W: Array, b: Array) -> tuple[Certificate, Array]:
    """What is proved of W (outputs, p) with the biases that suit it best, and those (outputs, 1).

    It needs no Hessian, so it holds where a weak penalty leaves none to speak of: the gap alone.
    From biases near the best ones it takes a few passes.
    """
    parts, biases, done = [], [], 0
    for problem in problems:
        objective = problem.objective
        own = slice(done, done + objective.n_outputs)
        done = own.stop
        theta = objective.where.from_parameters(W[own], b[own])
        theta[:, objective.where.frozen] = 0
        theta = _settle_biases(problem, theta)
        found = measure(problem, objective.evaluate(theta), theta)
        parts.append(Certificate(found.gap, math.inf, "duality", found.rounding, _NO_RHO))
        biases.append(objective.where.to_parameters(theta)[1])
    return combine(parts), np.vstack(biases)


def _settle_biases(problem: Penalised, theta: Array) -> Array:
    """theta with biases at which the residuals add up to 0 as nearly as float64 has it."""
    objective = problem.objective
    if objective.where.frozen[-1]:
        return theta
    for _ in range(BIAS_STEPS):
        evaluation = objective.evaluate(theta, diagonal=True)
        assert evaluation.bias_curvature is not None
        left = objective.by_output(evaluation.gradient)[:, -1]
        # A softmax's biases may all be moved alike: the shortest step leaves that out.
        step = np.linalg.lstsq(evaluation.bias_curvature, left, rcond=None)[0]
        theta = theta.copy()
        theta[:, -1] -= np.clip(step, -1.0, 1.0)
    return theta


_NO_RHO = "the penalty is so weak that the optimum is too many standard errors away for a bound"


def _turn(problem: Penalised, e: Array) -> tuple[float, Array]:
    """The share tau of a common answer t that makes the residuals add up to 0, and its slopes.

    Each row's probabilities p become (1 - tau) p + tau t. With t = N / sum s - (1 - tau) e / (tau
    sum s), N the classes' weights and e the sums of the residuals, the new sums are 0; tau is the
    least for which t has no negative part. The slopes move by tau sum_{i in k} s_i x_i at most.
    """
    objective, counts = problem.objective, problem.counts
    reach = np.where(objective.where.frozen[:-1], 0.0, objective.where.reach)
    if objective.where.frozen[-1]:
        return 0.0, np.zeros((len(e), len(reach)))
    sums = np.array([-e[0], e[0]]) if len(e) == 1 else e
    over = np.maximum(sums, 0)
    tau = float((over / np.maximum(counts + over, 1e-300)).max())
    total = counts.sum()
    size = np.minimum(np.sqrt(counts * total)[:, None], counts[:, None] * reach)
    return tau, tau * (size.max(axis=0)[None] if len(e) == 1 else size)


def _rounding_of_slopes(problem: Penalised, evaluation: Evaluation) -> Array:
    """What float64 may hide of each column's slope, (p,): a random walk over the rows' terms."""
    where = problem.objective.where
    span = np.abs(where.centre) / where.spread + where.reach
    span = np.where(where.frozen[:-1], 0.0, span)
    return np.asarray(8 * EPS * np.sqrt(evaluation.miss[0]) * span)
