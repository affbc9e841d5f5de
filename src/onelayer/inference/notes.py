"""What a reader must know before using the errors, in sentences."""

import math

from onelayer.solvers.solution import Solution

LARGEST = 3000  # parameters: their Hessian takes 72 MB, and seconds to invert
SURE = 1e-2  # standard errors from the optimum: so near it no error changes in a digit that counts
FEW_CLUSTERS = 30

_ENDLESS = ("separated", "endless", "diverged")


def refuse_errors(solution: Solution, size: int, has_corners: bool) -> str:
    """Why no errors can be given, as a sentence; empty where they can.

    Parameters
    ----------
    size: how many parameters hang together. has_corners: whether the penalty has an L1 part.
    """
    if solution.status in _ENDLESS:
        return f"No errors: the fit is {solution.status}, and there is no optimum to speak of."
    if has_corners:
        return (
            "No errors: an L1 penalty chooses features on these very rows, and no normal "
            "distribution holds. Fit those it chose with C=inf, best on other rows."
        )
    if size > LARGEST:
        return (
            f"No errors: {size:,} parameters are too many to factor their Hessian (at most "
            f"{LARGEST:,})."
        )
    return ""


def explain_errors(
    solution: Solution,
    kind: str,
    C: float,
    weight_kind: str,
    clusters: int | None,
    unsettled: int,
    whole: bool,
) -> list[str]:
    """The notes of a summary, those that change most first.

    Parameters
    ----------
    kind: of errors. clusters: how many, or None. unsettled: how many coefficients the data do not
        settle. whole: whether all weights are whole numbers.
    """
    notes = []
    if weight_kind == "sampling":
        notes.append(
            "The weights are survey weights, scaled to a mean of 1: the log-likelihood is a "
            "weighted one, and AIC and BIC have no meaning."
        )
    elif not whole:
        notes.append(
            "The weights are read as frequencies, though not all are whole numbers: for survey "
            "weights use weight_kind='sampling'."
        )
    if kind == "none":
        return notes
    notes += _say_penalised(C, kind) if math.isfinite(C) else []
    if unsettled:
        notes.append(
            f"{unsettled:,} coefficients are not settled by the data, for columns depend on each "
            "other: one of many equally good answers is given for them, without errors."
        )
    if clusters is not None and clusters < FEW_CLUSTERS:
        notes.append(f"{clusters} clusters are few: clustered errors tend to be too small.")
    return [*_say_unproved(solution), *notes]


def _say_unproved(solution: Solution) -> list[str]:
    rho = solution.certificate.rho
    if solution.status == "optimal" or rho <= SURE:
        return []
    far = f"up to {rho:.2g} standard errors" if math.isfinite(rho) else "nobody knows how far"
    return [f"The fit is {far} from its optimum, and errors are those of an optimum."]


def _say_penalised(C: float, kind: str) -> list[str]:
    if kind == "model":
        return [
            f"With a penalty (C={C:g}) the spreads are those of the posterior under its normal "
            "prior, not standard errors: for tests and intervals fit with C=inf.",
            "p is twice the posterior probability of the other sign, and parameters is their "
            "effective number.",
        ]
    return [
        f"With a penalty (C={C:g}) coefficients are drawn towards 0: the spreads say how they "
        "would scatter over other tables, p and intervals need C=inf."
    ]
