"""Saying aloud what a user must know of a solution that is not simply the optimum."""

import warnings

from onelayer.errors import ConvergenceWarning
from onelayer.solvers.solution import Solution

WORTH_SAYING = 1e-2  # standard errors: what float64 leaves open below this changes no decision


def warn_of_outcome(solution: Solution, stacklevel: int = 3) -> None:
    """Warn where the answer is no proved optimum: separation, divergence, no further progress."""
    proved = solution.certificate.rho <= WORTH_SAYING
    if solution.status in ("optimal", "stopped") or (solution.status == "rounding" and proved):
        return
    text = f"{solution.solver}: {solution.message}"
    warnings.warn(text, ConvergenceWarning, stacklevel=stacklevel + 1)
