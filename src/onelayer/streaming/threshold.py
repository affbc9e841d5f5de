"""Fits on parts of the rows trained on, for a threshold that is chosen on the others."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.balance import Balance
from onelayer.blocks import Block
from onelayer.errors import InputError
from onelayer.fitting import fit
from onelayer.loss import SigmoidLoss
from onelayer.rows.memory import MemoryRows
from onelayer.solvers.solution import Solution
from onelayer.streaming.asked import Settings
from onelayer.thresholds.choice import ThresholdChoice, ThresholdRule
from onelayer.thresholds.crossfit import MOST_ROWS, can_cross, score_left_out
from onelayer.thresholds.search import choose_threshold

Array = NDArray[Any]

TOL = 0.03  # standard errors: far below what separates two thresholds


Spent = tuple[Array, Array]
"""What calling each row positive costs, and what not doing so does."""


def settle_threshold(
    rows: MemoryRows,
    spend: Callable[[NDArray[np.intp], Array], Spent],
    solution: Solution,
    settings: Settings,
    n_jobs: int | None,
    balance: Balance | None,
) -> tuple[float, ThresholdChoice | None]:
    """The threshold as it was given, or as it is chosen on the rows trained on.

    Of very many rows some are drawn, the same ones wherever they lie; of rows that are not in
    memory no more than there is room for.

    Args:
        rows: All rows trained on, as they came.
        spend: From the numbers of some of them, and their labels, to what their decisions cost.
        solution, settings, balance: As for `cross_threshold`.
    """
    rule = settings.threshold
    if not isinstance(rule, ThresholdRule):
        return float(rule), None
    most = int(min(MOST_ROWS, rows.n_rows, rows.room // rows.block.features.row_bytes))
    numbers = rows.draw(most)
    block = rows.take(numbers)
    if most < rows.n_rows:
        # Fewer rows against the same penalty would be another model: each stands for several.
        block = replace(block, weights=block.weights * (rows.n_rows / most))
    costs = None if rule.costs is None else spend(numbers, block.labels[0])
    choice = cross_threshold(rule, block, costs, solution, settings, n_jobs, balance)
    return choice.chosen.threshold, choice


def cross_threshold(
    rule: ThresholdRule,
    block: Block,
    costs: Spent | None,
    solution: Solution,
    settings: Settings,
    n_jobs: int | None,
    balance: Balance | None = None,
) -> ThresholdChoice:
    """Choose a threshold on rows scored by fits that had not seen them.

    Each fit sets out from the solution of all rows, under the same penalty.

    Args:
        block: Rows trained on.
        costs: Of their decisions.
        solution: The fit of all rows.
        settings: How that was made; C as a number.
        balance: What is done to the classes, in each fit anew.

    Raises:
        InputError: Too few rows of a class; a wish that cannot be fulfilled.
    """
    if not can_cross(block):
        raise InputError(
            "two rows of each class at least are needed to choose a threshold: give one as a number"
        )

    def refit(part: Block) -> tuple[Array, Array]:
        weighed = part if balance is None else balance.weigh(part)
        found = fit(
            MemoryRows(weighed, n_jobs),
            SigmoidLoss(1),
            C=settings.strength,
            l1_ratio=settings.l1_ratio,
            solver=settings.solver,
            tol=max(TOL, settings.tol),
            descent=settings.descent,
            start=(solution.W, solution.b),
        )
        if balance is not None:
            found = balance.restore(found, part, n_jobs)
        return found.W, found.b

    logits, folds = score_left_out(block, refit)
    labels = np.asarray(block.labels[0], dtype=np.float64)
    if balance is not None:
        block = balance.represent(block)
    return choose_threshold(rule, labels, logits, block.weights, costs, folds=folds)
