"""Saying aloud what a user must know of a solution that is not simply the optimum."""

import warnings

from onelayer.errors import ConvergenceWarning, DataWarning
from onelayer.solvers.solution import Solution, is_settled
from onelayer.strength.choice import StrengthChoice


def warn_of_outcome(solution: Solution, stacklevel: int = 3) -> None:
    """Warn where the answer is no proved optimum (separation, divergence), or one of many."""
    if not solution.unique:
        for remark in solution.remarks:
            warnings.warn(remark, DataWarning, stacklevel=stacklevel + 1)
    if solution.status == "stopped" or is_settled(solution):
        return
    text = f"{solution.solver}: {solution.message}"
    warnings.warn(text, ConvergenceWarning, stacklevel=stacklevel + 1)


def warn_of_strength(choice: StrengthChoice | None, stacklevel: int = 3) -> None:
    """Warn where the best C tried is the first or the last one and another might be better."""
    if choice is not None and choice.border in ("strong", "weak"):
        warnings.warn(f'C="auto": {choice.message}', DataWarning, stacklevel=stacklevel + 1)
