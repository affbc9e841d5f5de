"""Why a fit has no proved optimum, or more than one, in words that name columns and rows.

Without a penalty there may be no optimum (the classes are separated) or many (columns depend on
each other). Neither is looked for on the way: only where the steps gave reason to.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from onelayer.certificate import move_by, no_certificate
from onelayer.coordinates import Coordinates, measure_columns
from onelayer.dependence import (
    EXACT,
    MOST_COLUMNS,
    NEAR,
    Dependence,
    find_dependences,
    remove_null_part,
)
from onelayer.far_rows import hold_dependent, separate_far
from onelayer.loss import Loss
from onelayer.naming import Naming
from onelayer.rows.memory import MemoryRows
from onelayer.separation import Separation, find_separation
from onelayer.solvers.solution import Solution

Array = NDArray[Any]
Resume = Callable[[Coordinates, tuple[Array, Array]], Solution]

UNFACTORED = ("newton_cg", "gram")  # solvers that no Hessian shows dependent columns to
SETTLED = ("optimal", "stopped", "diverged")
MOST_RESUMED = 10  # times HOPELESS steps, where an optimum is proved to exist
MOST_SAID = 5
REMEDY = "use a finite C, such as C=1"
NO_OPTIMUM = "without a penalty the separated classes have no finite optimum"


class Case(NamedTuple):
    """The rows of a fit and how it was made.

    Attributes
    ----------
    resume: solve on from given parameters, in given coordinates; None where no solver can.
    remarks: whether to look for what a penalty makes harmless, too.
    """

    rows: MemoryRows
    loss: Loss
    C: float
    fit_intercept: bool
    naming: Naming
    remarks: bool = False
    resume: Resume | None = None


def diagnose(case: Case, solution: Solution) -> Solution:
    """The solution with what is to be said of it; solved on where an optimum is proved to exist."""
    if math.isfinite(case.C):
        return _remark(case, solution) if case.remarks else solution
    where: Coordinates | None = None
    proved = solution.certificate.proved and solution.status == "rounding"
    known = solution.status == "separated" and solution.separations
    if solution.status not in SETTLED and not proved and not known:
        where = measure_columns(case.rows, case.fit_intercept)
        solution = _look_for_separation(case, solution, where)
    if not solution.may_depend:
        return solution
    where = where or measure_columns(case.rows, case.fit_intercept)
    return _settle_dependence(case, solution, where)


def _remark(case: Case, solution: Solution) -> Solution:
    """With a penalty: complete separation, if the fit shows it, and dependent columns."""
    remarks = []
    start = np.hstack([solution.W, solution.b])
    found = _separate(case, start, None, programs=False)
    if found and all(each.kind == "complete" for each in found):
        remarks = [
            f"{each.sentence(case.naming)}; the penalty alone bounds the weights" for each in found
        ]
    else:
        found = ()
    dependences: tuple[Dependence, ...] = ()
    unseen = solution.solver in UNFACTORED and case.rows.n_columns <= MOST_COLUMNS
    if solution.may_depend or unseen:
        dependences = find_dependences(
            _hold(case), fit_intercept=case.fit_intercept, naming=case.naming
        )
    if dependences:
        remarks.append(
            f"{_list(dependences, case.naming)}: the penalty shares the weight among such columns"
        )
    return replace(solution, separations=found, dependencies=dependences, remarks=tuple(remarks))


def _separate(
    case: Case, start: Array | None, where: Coordinates | None, programs: bool = True
) -> tuple[Separation, ...]:
    return tuple(
        _separate_output(
            case,
            k,
            None if start is None else start[k : k + 1] if case.loss.groups > 1 else start,
            where,
            programs,
        )
        for k in range(case.loss.groups)
    )


def _separate_output(
    case: Case, k: int, start: Array | None, where: Coordinates | None, programs: bool
) -> Separation:
    options: dict[str, Any] = {"fit_intercept": case.fit_intercept, "output": k, "start": start}
    separate = find_separation if case.rows.in_memory else separate_far
    return separate(case.rows, case.loss, where=where, programs=programs, **options)


def find_separated(case: Case, solution: Solution, where: Coordinates | None = None) -> Solution:
    """The solution with what a search for separation has found; "separated" if there is any."""
    start = np.hstack([solution.W, solution.b])
    found = _separate(case, start, where or measure_columns(case.rows, case.fit_intercept))
    if not any(each.found for each in found):
        return replace(solution, separations=found)
    return replace(
        solution,
        status="separated",
        message=_explain([each for each in found if each.found], case.naming),
        certificate=no_certificate(NO_OPTIMUM),
        separations=found,
    )


def _look_for_separation(case: Case, solution: Solution, where: Coordinates) -> Solution:
    """Say that there is no optimum, and why; or go on to it where there is one."""
    solution = find_separated(case, solution, where)
    found = solution.separations
    if solution.status == "separated":
        return solution
    if all(each.kind == "none" for each in found):
        solution = _go_on(case, solution, where)
        if solution.status in SETTLED:
            return replace(solution, separations=found)
    said = "; ".join(each.sentence(case.naming) for each in found)
    return replace(solution, message=f"{solution.message}; {said}", separations=found)


def _explain(found: list[Separation], naming: Naming) -> str:
    said = "; ".join(each.sentence(naming) for each in found)
    columns = [each.columns for one in found for each in one.directions]
    drop = ""
    if all(len(each) == 1 for each in columns):
        names = sorted({each[0] for each in columns})
        drop = f", or leave out {naming.list_columns(names)}"
    return f"{said}, so without a penalty the weights grow without end: {REMEDY}{drop}"


def _go_on(case: Case, solution: Solution, where: Coordinates) -> Solution:
    """More steps: the optimum exists, and damped Newton steps arrive."""
    for _ in range(MOST_RESUMED):
        if solution.status != "endless" or case.resume is None:
            break
        solution = solution.then(case.resume(where, (solution.W, solution.b)))
    return solution


def _settle_dependence(case: Case, solution: Solution, where: Coordinates) -> Solution:
    """Of the many answers the one of least norm; proved over independent columns if need be."""
    options: dict[str, Any] = {"fit_intercept": case.fit_intercept, "naming": case.naming}
    rows = _hold(case)
    found = find_dependences(rows, **options, tolerance=EXACT, where=where)
    sums = [each for each in found if each.terms]
    if sums and solution.status in ("unproved", "stalled") and case.resume is not None:
        solution = _solve_without(case, solution, where, sums)
    if solution.status == "unproved":
        found = find_dependences(rows, **options, tolerance=NEAR, where=where)
    if solution.status != "separated":
        W, b, moved = remove_null_part(rows, where, solution.W, solution.b)
        far = moved * math.sqrt(where.weight) / 2  # in the norm of H: curvatures are at most 1/4
        solution = replace(solution, W=W, b=b, certificate=move_by(solution.certificate, far))
    if not found:
        return solution
    remark = _list(found, case.naming)
    if solution.status == "separated":
        remark += ": leave such columns out"
    else:
        remark += (
            ": without a penalty many weights give the same answer, and these are the ones of "
            "least norm: leave such columns out, or use a finite C"
        )
    return replace(solution, dependencies=found, remarks=(*solution.remarks, remark), unique=False)


def _hold(case: Case) -> MemoryRows:
    """The rows, or a part of those that are not in memory, with the same dependences."""
    if case.rows.in_memory:
        return case.rows
    return hold_dependent(case.rows, case.loss, case.fit_intercept)


def _solve_without(
    case: Case, solution: Solution, where: Coordinates, sums: list[Dependence]
) -> Solution:
    """The fit over the columns that are left, which span the same logits."""
    assert case.resume is not None
    dropped = np.zeros_like(where.frozen)
    dropped[[each.column for each in sums]] = True
    start = np.zeros_like(solution.W), solution.b
    later = case.resume(replace(where, frozen=where.frozen | dropped), start)
    return solution.then(later) if later.certificate.proved else solution


def _list(found: tuple[Dependence, ...], naming: Naming) -> str:
    said = [each.sentence(naming) for each in found[:MOST_SAID]]
    if len(found) > MOST_SAID:
        said.append(f"{len(found) - MOST_SAID:,} more")
    return f"columns depend on each other: {'; '.join(said)}"
