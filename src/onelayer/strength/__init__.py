"""`C="auto"`: the strength of the penalty that does best on rows left out.

>>> import numpy as np
>>> from onelayer.blocks import Block
>>> from onelayer.features.dense import DenseFeatures
>>> from onelayer.loss import SigmoidLoss
>>> X = np.random.default_rng(0).normal(size=(100, 3))
>>> rows = MemoryRows(Block(DenseFeatures(X), 1.0 * (X[:, :1].T > 0.3), np.ones(100)))
>>> choice, start = choose_strength(rows, SigmoidLoss(1))
>>> choice.method, choice.rows, len(choice.tried) < 15
('leave-one-out', 100, True)
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block
from onelayer.errors import InputError
from onelayer.fitting import LARGEST_FACTORED
from onelayer.loss import Loss, SigmoidLoss
from onelayer.objective import Objective
from onelayer.rows.blas import single_threaded_blas
from onelayer.rows.memory import MemoryRows
from onelayer.solvers import costs
from onelayer.strength.choice import StrengthChoice as StrengthChoice
from onelayer.strength.choice import Trial
from onelayer.strength.folds import Folds
from onelayer.strength.path import Path, lay_out
from onelayer.strength.path import Start as Start
from onelayer.strength.rotation import Rotation, rotate
from onelayer.strength.search import FLAT, search
from onelayer.strength.small import SmallPath, start_small

Array = NDArray[Any]
Judge = Path | SmallPath | Folds

FACTORS = 4  # Hessians for each C: the steps to its optimum, and the rows' logits by its root
SLOWER = 1.5  # times a fit: leaving each row out tells more than halves do
FEWEST_ROWS = 10_000  # a sample of so many rows at least
ROWS_PER_PARAMETER = 50  # of the rarest class, for each parameter


def choose_strength(
    rows: MemoryRows,
    loss: Loss,
    *,
    fit_intercept: bool = True,
    l1_ratio: float = 0.0,
    copies: Array | Literal["weights"] | None = None,
    values: Sequence[float] | None = None,
) -> tuple[StrengthChoice, Start]:
    """Choose the C of the least log loss on rows that the fit has not seen.

    Every row is left out in turn, by one Newton step from the fit with it (docs/mathematics.md);
    where factors for each C would cost more than fits (above `LARGEST_FACTORED` parameters, with
    many classes) and with an L1 penalty, two halves are. Long tables are judged on a random part of
    their rows: the best C does not depend on their number.

    Parameters
    ----------
    rows, loss, fit_intercept, l1_ratio: as for `fitting.fit`.
    copies: (n,) above 0, the weight of one copy of each row, 1 by default: a row of weight 2 is two
        rows, of which one is left out. Where a weight says what a row is worth and not how often it
        is there, as a weight of its class does, that weight is one copy; "weights" says so of each
        row's own.
    values: the values of C to try, above 0, in this order; by default about ten that are found on
        the way between "no weight to speak of" and "no penalty to speak of".

    Returns
    -------
    The choice, and a start for the fit of all rows: W and b at the C chosen.

    Raises
    ------
    InputError: a value of C that is not above 0 and finite.
    """
    if values is not None and not all(0 < C < math.inf for C in values):
        raise InputError(f"values={list(values)}: expected numbers above 0 and below inf")
    with single_threaded_blas():
        rows, copies = _sample(rows, loss, copies)
        judge, rotation = _set_up(rows, loss, fit_intercept, l1_ratio, copies)
        _try(judge, values)
    choice = _choose(judge, rows.n_rows)
    start = judge.starts[choice.C]
    return choice, start if rotation is None else rotation.restore(*start)


def _can_factor(objective: Objective) -> bool:
    """Whether a few factors for each C cost no more than the fits that they stand in for.

    Many classes are fitted by products with their Hessian, of which a whole one is many times that.
    """
    if objective.size > LARGEST_FACTORED:
        return False
    if objective.groups == objective.n_outputs:
        return True
    n, p, k = objective.rows.n_rows, objective.width - 1, objective.n_outputs
    whole = costs.cost_of_newton(n, p, p, k, True) * FACTORS / costs.STEPS
    values = objective.rows.block.features.row_values
    return whole <= SLOWER * costs.cost_of_newton_cg(n, p, values, k)


def _set_up(
    rows: MemoryRows, loss: Loss, fit_intercept: bool, l1_ratio: float, copies: Array
) -> tuple[Judge, Rotation | None]:
    """What judges a value of C, and the way back to the rows' own columns where it turns them."""
    small = start_small(rows, loss, fit_intercept, copies) if l1_ratio == 0 else None
    if small is not None:
        return small, None
    objective = lay_out(rows, loss, fit_intercept)
    rotation = rotate(objective) if l1_ratio == 0 else None
    turned = objective if rotation is None else lay_out(rotation.rows, loss, fit_intercept)
    if l1_ratio > 0 or not _can_factor(turned):
        return Folds(rows, loss, fit_intercept, l1_ratio), None
    return Path(turned, copies), rotation


def _try(judge: Judge, values: Sequence[float] | None) -> None:
    if values is None:
        search(lambda power: judge.loss_at(_round(10**power)), *judge.find_range())
        return
    for C in values:
        judge.loss_at(float(C))


def _round(C: float) -> float:
    """Three digits: what is printed is what is used."""
    return float(f"{C:.3g}")


def _sample(
    rows: MemoryRows, loss: Loss, copies: Array | Literal["weights"] | None
) -> tuple[MemoryRows, Array]:
    """A random part of a long table, with enough rows of its rarest class, weights as they are.

    The weights are not scaled up: the best C is that of the prior, whatever the number of rows.
    Rows on disk are taken into memory, as many as there is room for.
    """
    rarest = _count_rarest(rows, loss)
    size = loss.n_outputs * (rows.n_columns + 1) // loss.groups
    share = ROWS_PER_PARAMETER * size / max(rarest, 1)
    k = max(FEWEST_ROWS, math.ceil(share * rows.n_rows))
    k = int(min(k, rows.n_rows, rows.room // rows.block.features.row_bytes))
    drawn = None if k == rows.n_rows else rows.draw(k)
    if drawn is not None or not rows.in_memory:
        rows = MemoryRows(rows.take(np.arange(k) if drawn is None else drawn), rows.n_jobs)
    if copies is None:
        return rows, np.ones(k)
    if isinstance(copies, str):
        return rows, rows.block.weights
    return rows, copies if drawn is None else copies[drawn]


def _count_rarest(rows: MemoryRows, loss: Loss) -> int:
    """The rows of the rarest answer of any output."""

    def count(block: Block) -> Array:
        if isinstance(loss, SigmoidLoss):
            ones = (block.labels > 0.5).sum(axis=1)
            return np.append(ones, block.n_rows - ones)
        return np.bincount(block.labels[0].astype(np.intp), minlength=loss.n_outputs)

    return int(rows.reduce(count).min())


def _choose(judge: Judge, n_rows: int) -> StrengthChoice:
    tried = tuple(Trial(C, judge.losses[C]) for C in sorted(judge.losses))
    best = min(tried, key=lambda trial: trial.loss)
    return StrengthChoice(best.C, tried, judge.method, n_rows, _find_border(tried, best))


def _find_border(tried: tuple[Trial, ...], best: Trial) -> Literal["", "strong", "weak", "flat"]:
    if len(tried) == 1 or best not in (tried[0], tried[-1]):
        return ""
    if best is tried[0]:
        return "strong"
    return "flat" if tried[-2].loss - best.loss <= FLAT * best.loss else "weak"


def settle_strength(
    rows: MemoryRows, loss: Loss, C: float | str, **options: Any
) -> tuple[float, StrengthChoice | None, Start | None]:
    """`C` as it is; for "auto" the C chosen, the choice, and a start for the fit at it.

    The options are those of `choose_strength`.
    """
    if not isinstance(C, str):
        return float(C), None, None
    choice, start = choose_strength(rows, loss, **options)
    return choice.C, choice, start
