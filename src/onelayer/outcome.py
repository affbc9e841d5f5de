"""Saying aloud what a user must know of a solution that is not simply the optimum."""

import warnings

from onelayer.errors import ConvergenceWarning, DataWarning
from onelayer.solvers.solution import Solution, is_low
from onelayer.strength.choice import StrengthChoice

WORTH_SAYING = 1e-2  # standard errors: what float64 leaves open below this changes no decision


def warn_of_outcome(solution: Solution, stacklevel: int = 3) -> None:
    """Warn where the answer is no proved optimum (separation, divergence), or one of many."""
    if not solution.unique:
        for remark in solution.remarks:
            warnings.warn(remark, DataWarning, stacklevel=stacklevel + 1)
    near = solution.certificate.rho <= WORTH_SAYING or solution.certificate.kind == "duality"
    proved = near and is_low(solution)
    if solution.status in ("optimal", "stopped") or (solution.status == "rounding" and proved):
        return
    text = f"{solution.solver}: {solution.message}"
    warnings.warn(text, ConvergenceWarning, stacklevel=stacklevel + 1)


def warn_of_strength(choice: StrengthChoice | None, stacklevel: int = 3) -> None:
    """Warn where the best C tried is the first or the last one and another might be better."""
    if choice is not None and choice.border in ("strong", "weak"):
        warnings.warn(f'C="auto": {choice.message}', DataWarning, stacklevel=stacklevel + 1)
