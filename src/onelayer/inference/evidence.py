"""A fit's rows, held so that a summary can be drawn from them when it is asked for."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from onelayer.coordinates import Coordinates, measure_columns, shift_rows
from onelayer.errors import InputError
from onelayer.inference.clusters import number_clusters
from onelayer.inference.estimate import Estimate, estimate, settle_kind
from onelayer.inference.notes import explain_errors, refuse_errors
from onelayer.inference.sums import are_whole, measure_deviations, measure_null_loss
from onelayer.loss import Loss, SigmoidLoss, SoftmaxLoss
from onelayer.objective import Objective
from onelayer.rows.blas import single_threaded_blas
from onelayer.rows.memory import MemoryRows
from onelayer.solvers.solution import Solution
from onelayer.summary import BIAS, Coefficient, Summary

Array = NDArray[Any]

LARGEST_KEPT = 500  # features whose errors go into a model file, which is to stay readable


class Evidence(NamedTuple):
    """What a summary needs beside the solution; `Solution.summary` is its front door.

    Attributes
    ----------
    rows, loss, C, l1_ratio, fit_intercept: of the fit.
    weight_kind: what the weights are, "frequency" or "sampling" (see `scale_weights`).
    names: (p,) the features' names, or None. outputs: (n_outputs,) the names of the classes or
        outputs, or None.
    held: (n,) True for the rows given that the fit used, where it left some out; else None.
    remark: a note of the caller's own, or empty.
    where: the columns, where they have been measured already.
    """

    rows: MemoryRows
    loss: Loss
    C: float
    l1_ratio: float = 0.0
    fit_intercept: bool = True
    weight_kind: str = "frequency"
    names: tuple[str, ...] | None = None
    outputs: tuple[str, ...] | None = None
    held: NDArray[np.bool_] | None = None
    remark: str = ""
    where: Coordinates | None = None

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
        if not 0 < level < 1:
            raise InputError(f"level is {level!r}: expected a number above 0 and below 1")
        kind = settle_kind(errors, clusters is not None, self.weight_kind)
        features = self._settle_names(names)
        codes, n_clusters = self._number(clusters)
        refusal = refuse_errors(solution, self._size, self._has_corners)
        kind = "none" if refusal else kind
        with single_threaded_blas():
            objective = self._measure()
            found = estimate(objective, solution, kind, codes, self.weight_kind == "sampling")
            null = measure_null_loss(objective)
            deviations = measure_deviations(objective)
            whole = are_whole(self.rows)
        n = objective.where.weight
        notes = explain_errors(
            solution, kind, self.C, self.weight_kind, n_clusters, found.unsettled, whole
        )
        return Summary(
            coefficients=self._name_coefficients(found, features, deviations, level),
            errors=kind,
            clusters=n_clusters,
            level=float(level),
            n=float(round(n) if self.weight_kind == "sampling" else n),
            weight_kind=self.weight_kind,
            C=float(self.C),
            parameters=found.parameters if math.isfinite(found.parameters) else None,
            log_likelihood=-found.loss,
            null_log_likelihood=-null,
            reference=self._name_outputs()[0] if isinstance(self.loss, SoftmaxLoss) else None,
            notes=tuple(note for note in (refusal, *notes, self.remark) if note),
        )

    def _number(self, clusters: Any) -> tuple[NDArray[np.intp] | None, int | None]:
        """The number of each row's cluster, and how many there are."""
        if clusters is None:
            return None, None
        codes = number_clusters(clusters, self.rows.n_rows, self.held)
        return codes, int(codes.max()) + 1

    @property
    def _size(self) -> int:
        """The parameters that hang together."""
        return self.loss.n_outputs // self.loss.groups * (self.rows.n_columns + 1)

    @property
    def _has_corners(self) -> bool:
        return self.l1_ratio > 0 and math.isfinite(self.C)

    def _measure(self) -> Objective:
        """The smooth objective, in coordinates measured anew.

        Tiles of dense rows have their centre taken off, so that columns that depend on each other
        do so to the last digits in the Hessian too.
        """
        where = self.where or measure_columns(self.rows, self.fit_intercept)
        rows, where = shift_rows(self.rows, where, 0.0)
        return Objective(rows, self.loss, math.inf if self._has_corners else self.C, where)

    def _settle_names(self, names: Sequence[str] | None) -> tuple[str, ...]:
        p = self.rows.n_columns
        given = self.names if names is None else names
        if given is None:
            return tuple(f"x{j}" for j in range(p))
        if len(given) != p:
            raise InputError(f"{len(given)} names for {p} features: give one for each")
        return tuple(map(str, given))

    def _name_outputs(self) -> tuple[str, ...]:
        return self.outputs or tuple(map(str, range(self.loss.n_outputs)))

    def _name_coefficients(
        self, found: Estimate, names: tuple[str, ...], deviations: Array, level: float
    ) -> tuple[Coefficient, ...]:
        outputs = self._name_outputs()
        if isinstance(self.loss, SoftmaxLoss):
            outputs = outputs[1:]
        elif len(outputs) == 1:
            outputs = ("",)
        places: list[tuple[str, float | None]] = list(zip(names, deviations.tolist(), strict=True))
        if self.fit_intercept:
            places.append((BIAS, None))
        return tuple(
            Coefficient(
                name,
                output,
                float(found.values[k, j]),
                float(found.errors[k, j]) if math.isfinite(found.errors[k, j]) else None,
                deviation,
                float(level),
                found.remarks[k][j],
            )
            for k, output in enumerate(outputs)
            for j, (name, deviation) in enumerate(places)
        )


def summarise_training(
    rows: MemoryRows,
    solution: Solution,
    names: Sequence[str],
    C: float,
    weight_kind: str,
    l1_ratio: float = 0.0,
    where: Coordinates | None = None,
) -> Summary | None:
    """The summary that a model keeps of its training; None beyond `LARGEST_KEPT` features.

    Parameters
    ----------
    rows: of one output, with weights as `scale_weights` gives them. names: of the features.
    where: the columns, where they have been measured already.
    """
    if rows.n_columns > LARGEST_KEPT:
        return None
    evidence = Evidence(
        rows,
        SigmoidLoss(1),
        C,
        l1_ratio=l1_ratio,
        weight_kind=weight_kind,
        names=tuple(names),
        where=where,
    )
    return evidence.summarise(solution)
