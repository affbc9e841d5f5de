"""A fit's rows, held so that a summary can be drawn from them when it is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.errors import InputError
from onelayer.inference.clusters import number_clusters
from onelayer.inference.covariance import drop_reference, factor_groups, measure_errors
from onelayer.inference.notes import explain_errors, refuse_errors
from onelayer.inference.sandwich import sum_cluster_products, sum_slope_products
from onelayer.inference.sums import are_whole, measure_deviations, measure_null_loss
from onelayer.loss import SoftmaxLoss
from onelayer.objective import Evaluation, Objective
from onelayer.rows.blas import single_threaded_blas
from onelayer.solvers.solution import Solution
from onelayer.summary import BIAS, Coefficient, Summary

Array = NDArray[Any]

SAME = 1e-6  # of the objective: no rounding moves it by more, so the rows are others
ROBUST = {"robust": "HC0"}  # other names of the kinds


@dataclass(frozen=True)
class Evidence:
    """What a summary needs beside the solution; `Solution.summary` is its front door.

    Attributes
    ----------
    objective: the rows, the loss and the penalty of the fit.
    weight_kind: what the weights are, "frequency" or "sampling".
    names: (p,) the features' names, or None. outputs: (n_outputs,) the names of the classes or
        outputs, or None.
    held: (n,) True for the rows given that the fit used, where it left some out; else None.
    """

    objective: Objective
    weight_kind: str = "frequency"
    names: tuple[str, ...] | None = None
    outputs: tuple[str, ...] | None = None
    held: NDArray[np.bool_] | None = None

    def summarise(
        self,
        solution: Solution,
        *,
        errors: str | None = None,
        clusters: Any = None,
        level: float = 0.95,
        names: Sequence[str] | None = None,
    ) -> Summary:
        """The summary of `solution`; see `Solution.summary`."""
        objective = self.objective
        if not 0 < level < 1:
            raise InputError(f"level is {level!r}: expected a number above 0 and below 1")
        kind = settle_kind(errors, clusters is not None, self.weight_kind)
        features = self._settle_names(names)
        codes = None
        if clusters is not None:
            codes = number_clusters(clusters, objective.rows.n_rows, self.held)
        refusal = refuse_errors(objective, solution)
        with single_threaded_blas():
            found = _estimate(self, solution, "none" if refusal else kind, codes)
            null = measure_null_loss(objective)
            deviations = measure_deviations(objective)
            whole = are_whole(objective.rows)
        n_clusters = None if codes is None else int(codes.max()) + 1
        unsettled = sum(1 for row in found.remarks for remark in row if remark == "unsettled")
        notes = explain_errors(
            objective, solution, kind, self.weight_kind, n_clusters, unsettled, whole
        )
        return Summary(
            coefficients=self._name_coefficients(found, features, deviations, level),
            errors="none" if refusal else kind,
            clusters=n_clusters,
            level=float(level),
            n=objective.where.weight,
            weight_kind=self.weight_kind,
            C=float(objective.C),
            parameters=found.parameters,
            log_likelihood=-found.loss,
            null_log_likelihood=-null,
            reference=self._name_outputs()[0] if isinstance(objective.loss, SoftmaxLoss) else None,
            notes=(refusal,) if refusal else notes,
        )

    def _settle_names(self, names: Sequence[str] | None) -> tuple[str, ...]:
        p = self.objective.width - 1
        given = names if names is not None else self.names
        if given is None:
            return tuple(f"x{j}" for j in range(p))
        if len(given) != p:
            raise InputError(f"{len(given)} names for {p} features: give one for each")
        return tuple(map(str, given))

    def _name_outputs(self) -> tuple[str, ...]:
        return self.outputs or tuple(map(str, range(self.objective.n_outputs)))

    def _name_coefficients(
        self, found: "_Estimate", names: tuple[str, ...], deviations: Array, level: float
    ) -> tuple[Coefficient, ...]:
        outputs = self._name_outputs()
        if isinstance(self.objective.loss, SoftmaxLoss):
            outputs = outputs[1:]
        elif len(outputs) == 1:
            outputs = ("",)
        places = [(name, float(deviations[j])) for j, name in enumerate(names)]
        bias = [] if self.objective.where.frozen[-1] else [(BIAS, None)]
        return tuple(
            Coefficient(
                name,
                output,
                float(found.values[k, j]),
                float(found.errors[k, j]) if np.isfinite(found.errors[k, j]) else None,
                deviation,
                float(level),
                found.remarks[k][j],
            )
            for k, output in enumerate(outputs)
            for j, (name, deviation) in enumerate([*places, *bias])
        )


def settle_kind(errors: str | None, clustered: bool, weight_kind: str) -> str:
    """Which errors are meant: those that suit the weights, unless others are named.

    >>> settle_kind(None, False, "frequency"), settle_kind("robust", False, "sampling")
    ('model', 'HC0')
    """
    default = "cluster" if clustered else "HC0" if weight_kind == "sampling" else "model"
    kind = default if errors is None else ROBUST.get(errors, errors)
    known = ("model", *ROBUST, "HC0", "HC1", "cluster")
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


@dataclass(frozen=True)
class _Estimate:
    """Values, errors (nan for none) and remarks by output and parameter, the bias last."""

    values: Array
    errors: Array
    remarks: list[list[str]]
    parameters: float | None
    loss: float


def _estimate(evidence: Evidence, solution: Solution, kind: str, codes: Array | None) -> _Estimate:
    objective = evidence.objective
    where = objective.where
    theta = where.from_parameters(solution.W, solution.b)
    values = np.column_stack([solution.W, solution.b])
    if isinstance(objective.loss, SoftmaxLoss):
        values = values[1:] - values[0]
    evaluation = objective.evaluate(theta, hessian=kind != "none")
    _require_same_rows(evaluation, solution)
    loss = float(evaluation.loss.sum())
    remarks = [["constant" if frozen else "" for frozen in where.frozen] for _ in values]
    errors = np.full(values.shape, np.nan)
    if evaluation.hessian is None:
        count = float(values.size - len(values) * where.frozen.sum())
        return _Estimate(values, errors, remarks, None if np.isfinite(objective.C) else count, loss)
    groups = factor_groups(objective, evaluation.hessian)
    middle = _sum_middle(evidence, theta, kind, codes)
    rows = len(values) // len(groups)
    for g, group in enumerate(groups):
        own = None if middle is None else drop_reference(objective, middle[g])
        found, unsettled = measure_errors(group, own, where)
        found *= np.sqrt(_inflate(kind, where.weight, group.parameters, codes))
        found[unsettled | where.frozen] = np.nan
        errors[g * rows : (g + 1) * rows] = found
        for k, j in np.argwhere(unsettled & ~where.frozen):
            remarks[g * rows + k][j] = "unsettled"
    return _Estimate(values, errors, remarks, sum(group.parameters for group in groups), loss)


def _sum_middle(evidence: Evidence, theta: Array, kind: str, codes: Array | None) -> Array | None:
    if kind == "model":
        return None
    if codes is not None:
        return sum_cluster_products(evidence.objective, theta, codes)
    return sum_slope_products(evidence.objective, theta, evidence.weight_kind == "sampling")


def _inflate(kind: str, n: float, parameters: float, codes: Array | None) -> float:
    """The factor of the variance that allows for a small sample."""
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


def _require_same_rows(evaluation: Evaluation, solution: Solution) -> None:
    """Refuse rows that give another objective than the fit's: a table altered since, or another."""
    value = float(evaluation.value.sum())
    if np.isfinite(solution.objective) and abs(value - solution.objective) > SAME * abs(value):
        raise InputError(
            f"these are not the rows of the fit: they give the objective {value:.6g}, the fit gave "
            f"{solution.objective:.6g}; give its own rows, labels and weights, unaltered"
        )
