"""An objective over all rows of a long table, and over a sample of them.

See `sampled_newton.py` for what each is for.
"""

from dataclasses import dataclass, replace

import numpy as np

from onelayer.coordinates import Coordinates, measure_columns, shift_rows, standard_coordinates
from onelayer.objective import Objective
from onelayer.rows.memory import MemoryRows
from onelayer.solvers.rough import RoughObjective, may_be_rough
from onelayer.solvers.sample import Sample, lighten, standardise
from onelayer.solvers.sampled_start import hold_back


@dataclass(frozen=True)
class Problem:
    """The objective over all rows, the sample at its own weights, and the factored Hessian.

    Attributes
    ----------
    sample: the objective over the sample's rows at their own weights; its Hessian is a lower bound.
    scaled: the same with weights that stand for all rows, and held back (see `hold_back`).
    rough: the objective for the passes before the last; None where it will not do.
    scale: how many rows a row of the sample stands for.
    even: whether all of them stand for so many.
    """

    objective: Objective
    sample: Objective
    scaled: Objective
    rough: RoughObjective | None
    scale: float
    even: bool


def measure_sampled(
    rows: MemoryRows, sample: Sample, fit_intercept: bool, softmax: bool
) -> Coordinates:
    """Coordinates from the sample, unless a column that is constant there is to be frozen.

    A column of zeros needs no care: its slope is exactly 0. Another constant may be one for all
    rows, and then its weight must not move.
    """
    if softmax:  # some class is nearly sure not to be a row's: only the columns' box bounds m
        return measure_columns(rows, fit_intercept)
    where = measure_columns(lighten(sample), fit_intercept)
    if (where.frozen[:-1] & (where.low != 0)).any():
        return measure_columns(rows, fit_intercept)
    frozen = np.append(np.zeros(rows.n_columns, dtype=bool), not fit_intercept)
    weight = rows.reduce(lambda block: float(block.weights.sum()))
    return replace(where, frozen=frozen, weight=weight, sampled=True)


def make_problem(objective: Objective, sample: Sample) -> Problem:
    loss, C, where = objective.loss, objective.C, objective.where
    plain, _ = shift_rows(sample.plain, where)
    scaled, _ = shift_rows(sample.scaled, where)
    own, all_rows = Objective(plain, loss, C, where), Objective(scaled, loss, C, where)
    single = standardise(sample.scaled, where)
    if single is not None:
        all_rows = Objective(single, loss, C, standard_coordinates(where))
        all_rows.penalty = objective.penalty
    all_rows = hold_back(all_rows, objective.rows.n_rows)
    if may_be_rough(all_rows):
        all_rows = RoughObjective(all_rows)
    rough = RoughObjective(objective) if may_be_rough(objective) else None
    return Problem(objective, own, all_rows, rough, sample.scale, not sample.kept)
