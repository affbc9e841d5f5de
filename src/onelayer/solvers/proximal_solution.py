"""What an L1 problem's rounds have found, as a `Solution` in the table's units."""

import math
from dataclasses import replace

import numpy as np

from onelayer.certificate import SMALLEST_RHO, Certificate, combine, no_certificate
from onelayer.solvers.penalised import Penalised
from onelayer.solvers.proximal_round import Round
from onelayer.solvers.solution import Solution


def finish(problem: Penalised, found: Round, seconds: float) -> Solution:
    """The solution in the table's units."""
    W, b = problem.objective.where.to_parameters(found.theta)
    value = problem.value(found.evaluation, found.theta)
    return Solution(
        W=W,
        b=b,
        objective=value,
        cost=float(found.evaluation.loss[0]) / problem.objective.where.weight,
        certificate=certify(found),
        status=found.status,
        message=_MESSAGES[found.status],
        passes=found.passes + found.state.passes,
        seconds=seconds,
        iterations=found.history[-1].iteration,
        solver="proximal_newton",
        history=found.history,
    )


def certify(found: Round) -> Certificate:
    """Both bounds where there are both; the gap alone where the Hessian is singular."""
    gap = max(found.gap, 0.5 * SMALLEST_RHO**2)
    if not math.isfinite(gap):
        return no_certificate("the optimum is still too far for a bound")
    if found.point is None or not math.isfinite(found.rho):
        return Certificate(gap, math.inf, "duality", found.dual.rounding, _NO_RHO)
    rho = max(found.rho, SMALLEST_RHO)
    return Certificate(gap, rho, found.kind, found.point.rounding)


def join(parts: list[Solution]) -> Solution:
    """One solution for outputs solved one after the other."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    worst = max(parts, key=lambda part: ("optimal", "rounding", "stalled").index(part.status))
    return replace(
        first,
        W=np.vstack([part.W for part in parts]),
        b=np.vstack([part.b for part in parts]),
        objective=sum(part.objective for part in parts),
        cost=sum(part.cost for part in parts),
        certificate=combine([part.certificate for part in parts]),
        status=worst.status,
        message=worst.message,
        passes=sum(part.passes for part in parts),
        seconds=sum(part.seconds for part in parts),
        iterations=sum(part.iterations for part in parts),
        history=tuple(
            replace(p, iteration=k) for k, p in enumerate(p for part in parts for p in part.history)
        ),
    )


_NO_RHO = (
    "columns that may take part depend on each other, or one at the edge of its penalty may take "
    "part or not, so that no distance in standard errors exists"
)
_MESSAGES = {
    "optimal": "the optimum is reached, proved to the tolerance asked for",
    "rounding": "as near the optimum as float64 allows; the certificate says how near",
    "stalled": "no step lowers the objective any more, though the optimum is not proved",
}
