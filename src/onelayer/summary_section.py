"""The summary of a training as the model file holds it: what cannot be worked out from the rest.

Coefficients stand in `parameters`, C and the kind of weights in `training`; z, p, intervals and
odds ratios follow from those and the errors.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from onelayer.stored import find_outside
from onelayer.summary import BIAS, Coefficient, Summary


@dataclass(frozen=True)
class SummarySection:
    """The section `summary`.

    Attributes
    ----------
    errors: the kind, as in `Summary`. level: of the intervals shown.
    n: rows, or the sum of weights that are frequencies. parameters: fitted, or effective.
    log_likelihood, null_log_likelihood: of the rows trained on, in nats.
    standard_errors: of each feature and then the bias; None where there is none.
    deviations: the standard deviation of each feature over the rows; 0 where it is constant.
    notes: what a reader must know first.
    """

    errors: Literal["none", "model", "HC0", "HC1"]
    level: float
    n: float
    parameters: float | None
    log_likelihood: float
    null_log_likelihood: float
    standard_errors: tuple[float | None, ...]
    deviations: tuple[float, ...]
    notes: tuple[str, ...]

    def problem(self) -> str | None:
        """Say what no summary can be, or None; asked of what a model file holds."""
        if not 0 < self.level < 1:
            return f"level is {self.level}, expected a number above 0 and below 1"
        if not (self.n > 0 and self.null_log_likelihood < 0 and self.log_likelihood <= 0):
            return "n must be above 0, log_likelihood 0 or less, null_log_likelihood below 0"
        if len(self.standard_errors) != len(self.deviations) + 1:
            return "standard_errors must hold one number for each deviation and one for the bias"
        if any(each is not None and each < 0 for each in self.standard_errors):
            return "a standard error is below 0"
        if any(each < 0 for each in self.deviations):
            return "a deviation is below 0"
        return find_outside(self, ("parameters",), 0, math.inf)


def to_section(summary: Summary) -> SummarySection:
    """The section of the summary of one output with a bias."""
    held = summary.coefficients
    return SummarySection(
        errors=summary.errors,  # type: ignore[arg-type]
        level=summary.level,
        n=summary.n,
        parameters=summary.parameters,
        log_likelihood=summary.log_likelihood,
        null_log_likelihood=summary.null_log_likelihood,
        standard_errors=tuple(each.error for each in held),
        deviations=tuple(each.deviation or 0.0 for each in held[:-1]),
        notes=summary.notes,
    )


def from_section(
    section: SummarySection, names: Sequence[str], values: Sequence[float], C: float, kind: str
) -> Summary:
    """The summary again.

    Parameters
    ----------
    names: of the features. values: the coefficients of the features and then the bias.
    C, kind: the strength and the kind of weights of the training.
    """
    deviations = [*section.deviations, None]
    rows = zip([*names, BIAS], values, section.standard_errors, deviations, strict=True)
    return Summary(
        coefficients=tuple(
            Coefficient(
                name, "", value, error, width, section.level, _remark(section, error, width)
            )
            for name, value, error, width in rows
        ),
        errors=section.errors,
        clusters=None,
        level=section.level,
        n=section.n,
        weight_kind=kind,
        C=C,
        parameters=section.parameters,
        log_likelihood=section.log_likelihood,
        null_log_likelihood=section.null_log_likelihood,
        notes=section.notes,
    )


def _remark(section: SummarySection, error: float | None, deviation: float | None) -> str:
    if deviation == 0:
        return "constant"
    return "unsettled" if error is None and section.errors != "none" else ""
