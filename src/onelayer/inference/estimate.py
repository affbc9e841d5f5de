"""The errors of a solution's coefficients, of the kind asked for."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.errors import InputError
from onelayer.inference.covariance import drop_reference, factor_groups, measure_errors
from onelayer.inference.sandwich import sum_cluster_products, sum_slope_products
from onelayer.loss import SoftmaxLoss
from onelayer.objective import Objective
from onelayer.solvers.solution import Solution

Array = NDArray[Any]

SAME = 1e-6  # of the loss: no rounding moves it by more, so the rows are others
OTHER_NAMES = {"robust": "HC0"}


@dataclass(frozen=True)
class Estimate:
    """By output (of a softmax the differences from the first) and parameter, the bias last.

    Attributes
    ----------
    values, errors: (outputs, p + 1); nan for no error, `remarks` says why.
    parameters: the effective number; nan where it was not computed.
    loss: the weighted sum of log losses.
    """

    values: Array
    errors: Array
    remarks: list[list[str]]
    parameters: float
    loss: float

    @property
    def unsettled(self) -> int:
        """How many coefficients the data do not settle."""
        return sum(row.count("unsettled") for row in self.remarks)


def settle_kind(errors: str | None, clustered: bool, weight_kind: str) -> str:
    """Which errors are meant: those that suit the weights, unless others are named.

    >>> settle_kind(None, False, "frequency"), settle_kind("robust", False, "sampling")
    ('model', 'HC0')
    """
    default = "cluster" if clustered else "HC0" if weight_kind == "sampling" else "model"
    kind = default if errors is None else OTHER_NAMES.get(errors, errors)
    known = ("model", *OTHER_NAMES, "HC0", "HC1", "cluster")
    if kind not in known:
        raise InputError(f"errors={errors!r} is unknown: use one of {', '.join(known)}")
    if (kind == "cluster") != clustered:
        what = "needs clusters=, one name a row" if kind == "cluster" else "takes no clusters="
        raise InputError(f"errors={errors!r} {what}")
    if kind == "model" and weight_kind == "sampling":
        raise InputError(
            "errors='model' takes a weight for repeated rows, which survey weights are not: use "
            "'robust', 'HC1' or clusters="
        )
    return kind


def estimate(
    objective: Objective, solution: Solution, kind: str, codes: Array | None, sampling: bool
) -> Estimate:
    """Errors of the kind asked for, in one pass for H and one for the middle of a sandwich.

    Parameters
    ----------
    codes: (n,), the number of each row's cluster, for clustered errors; else None.
    sampling: whether weights are survey weights.

    Raises
    ------
    InputError: the rows are not those of the solution, or too few for the factor of the errors.
    """
    where = objective.where
    theta = where.from_parameters(solution.W, solution.b)
    values = np.column_stack([solution.W, solution.b])
    if isinstance(objective.loss, SoftmaxLoss):
        values = values[1:] - values[0]
    evaluation = objective.evaluate(theta, hessian=kind != "none")
    loss = float(evaluation.loss.sum())
    _require_same_rows(loss, solution, where.weight)
    remarks = [["constant" if frozen else "" for frozen in where.frozen] for _ in values]
    errors = np.full(values.shape, np.nan)
    if evaluation.hessian is None:
        return Estimate(values, errors, remarks, np.nan, loss)
    middle = _sum_middle(objective, theta, kind, codes, sampling)
    groups = factor_groups(objective, evaluation.hessian)
    rows = len(values) // len(groups)
    for g, group in enumerate(groups):
        own = None if middle is None else drop_reference(objective, middle[g])
        found, unsettled = measure_errors(group, own, where)
        found *= np.sqrt(inflate(kind, where.weight, group.parameters, codes))
        found[unsettled | where.frozen] = np.nan
        errors[g * rows : (g + 1) * rows] = found
        for k, j in np.argwhere(unsettled & ~where.frozen):
            remarks[g * rows + k][j] = "unsettled"
    return Estimate(values, errors, remarks, sum(group.parameters for group in groups), loss)


def _sum_middle(
    objective: Objective, theta: Array, kind: str, codes: Array | None, sampling: bool
) -> Array | None:
    if kind == "model":
        return None
    if codes is not None:
        return sum_cluster_products(objective, theta, codes)
    return sum_slope_products(objective, theta, sampling)


def inflate(kind: str, n: float, parameters: float, codes: Array | None) -> float:
    """The factor of the variances that allows for a small sample.

    >>> inflate("HC1", 100.0, 4.0, None)
    1.0416666666666667
    """
    if kind not in ("HC1", "cluster"):
        return 1.0
    if not n > parameters:
        raise InputError(
            f"{kind} errors divide by n - parameters, and {parameters:,.6g} parameters were fitted "
            f"on {n:,.6g} rows: use errors='HC0'"
        )
    if codes is None:
        return n / (n - parameters)
    clusters = int(codes.max()) + 1
    return clusters / (clusters - 1) * (n - 1) / (n - parameters)


def _require_same_rows(loss: float, solution: Solution, weight: float) -> None:
    """Refuse rows that give another loss than the fit's: a table altered since, or another."""
    said = solution.cost * weight
    if np.isfinite(said) and abs(loss - said) > SAME * (abs(loss) + abs(solution.objective)):
        raise InputError(
            f"these are not the rows of the fit: they give the cost {loss / weight:.6g}, the fit "
            f"gave {solution.cost:.6g}; give its own rows, labels and weights, unaltered"
        )
