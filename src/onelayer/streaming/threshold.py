"""Fits on parts of the rows trained on, for a threshold that is chosen on the others."""

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
from onelayer.thresholds.crossfit import can_cross, draw_rows, score_left_out
from onelayer.thresholds.search import choose_threshold

Array = NDArray[Any]

TOL = 0.03  # standard errors: far below what separates two thresholds


def cross_threshold(
    rule: ThresholdRule,
    block: Block,
    costs: tuple[Array, Array] | None,
    solution: Solution,
    settings: Settings,
    n_jobs: int | None,
    balance: Balance | None = None,
) -> ThresholdChoice:
    """Choose a threshold on rows scored by fits that had not seen them.

    Each fit sets out from the solution of all rows, under the same penalty.

    Args:
        block: The rows trained on, or as many as are at hand.
        costs: Of calling each of them positive, and of not doing so.
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
    rows = draw_rows(block.n_rows)
    if len(rows) < block.n_rows:
        # Fewer rows against the same penalty would be another model: each stands for several.
        part = block.take(rows)
        block = Block(part.features, part.labels, part.weights * (block.n_rows / len(rows)))
        costs = None if costs is None else (costs[0][rows], costs[1][rows])

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
