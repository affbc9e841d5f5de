"""The objective with an L1 part, F + sum_j kappa_j |v_j|, and the same over a choice of columns.

In standardised coordinates v_j = w_j spread_j, the L1 penalty of the table's own weights,
(l1_ratio / C) |W|_1, has kappa_j = l1_ratio / (C spread_j). The smooth part F, log loss and L2
penalty, is an `Objective` with C / (1 - l1_ratio).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block
from onelayer.coordinates import Coordinates
from onelayer.loss import Loss, SigmoidLoss, SoftmaxLoss
from onelayer.objective import LARGEST_PENALTY, Evaluation, Objective
from onelayer.rows.memory import MemoryRows
from onelayer.solvers.standardised import copy_standardised

Array = NDArray[Any]


@dataclass(frozen=True)
class Penalised:
    """One problem: a sigmoid output, or the classes of a softmax.

    Attributes
    ----------
    objective: the smooth part. C, l1_ratio: of the whole penalty.
    counts: the weight of each class, (2,) for a sigmoid.
    """

    objective: Objective
    C: float
    l1_ratio: float
    counts: Array

    @cached_property
    def kappa(self) -> Array:
        """The L1 penalty of each parameter of one output, (p + 1,); 0 for the bias."""
        with np.errstate(over="ignore", divide="ignore"):
            kappa = self.l1_ratio / (self.C * self.objective.where.spread)
        return np.append(np.minimum(kappa, LARGEST_PENALTY), 0.0)

    def value(self, evaluation: Evaluation, theta: Array) -> float:
        """F plus the L1 part."""
        return float(evaluation.value[0]) + float((self.kappa * np.abs(theta)).sum())

    def log_loss_slopes(self, evaluation: Evaluation, theta: Array) -> Array:
        """The gradient of the log loss alone, (n_outputs, p + 1)."""
        slopes = self.objective.by_output(evaluation.gradient)
        return np.asarray(slopes - self.objective.penalty * theta)

    def with_strength(self, C: float) -> "Penalised":
        """The same rows under another strength."""
        smooth = self.objective.under(smooth_strength(C, self.l1_ratio))
        return replace(self, objective=smooth, C=C)

    def with_rows(self, rows: MemoryRows) -> "Penalised":
        """The same penalty over other rows in the same coordinates."""
        old = self.objective
        return replace(self, objective=Objective(rows, old.loss, old.C, old.where))

    def over(self, columns: Array) -> "Penalised":
        """The problem in which all weights but those of some columns, which ascend, are 0."""
        old = self.objective
        block = old.rows.block
        rows = MemoryRows(replace(block, features=block.features.columns(columns)), old.rows.n_jobs)
        where = take_columns(old.where, columns)
        return replace(self, objective=Objective(rows, old.loss, old.C, where))


def shift_classes(problem: Penalised, theta: Array) -> Array:
    """The same logits' differences under the least penalty: each column's best common shift.

    A softmax does not see the same number t added to a column's weight in every class; the penalty
    sum_k kappa |v_k + t| + Lambda (v_k + t)^2 / 2 does. Its slope in t only rises, by 2 kappa where
    a weight passes 0; where it passes 0 itself is the minimum, mostly at a weight that becomes 0.
    """
    if not isinstance(problem.objective.loss, SoftmaxLoss):
        return theta
    kappa, ridge = problem.kappa[:-1], problem.objective.penalty[:-1]
    v = theta[:, :-1]
    n, columns = len(v), np.arange(v.shape[1])
    corners = np.sort(-v, axis=0)  # the shifts at which a weight is 0
    smooth = ridge * (n * corners + v.sum(axis=0))
    signs = 2.0 * np.arange(n + 1)[:, None] - n  # the sum of signs before and behind each corner
    k = np.argmax(kappa * signs[1:] + smooth >= -1e-12 * kappa, axis=0)
    at = corners[k, columns]
    before = kappa * signs[k, 0] + smooth[k, columns]
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = np.where(before > 1e-12 * kappa, at - before / (ridge * n), at)
    shifted = theta.copy()
    shifted[:, :-1] = v + np.where(np.isfinite(shift), shift, at)
    return shifted


def smooth_strength(C: float, l1_ratio: float) -> float:
    """The C of the L2 part."""
    return C / (1 - l1_ratio) if l1_ratio < 1 else np.inf


def split_outputs(
    rows: MemoryRows, loss: Loss, where: Coordinates, C: float, l1_ratio: float
) -> Iterator[Penalised]:
    """One problem an output for sigmoids, whose parameters are apart; one for a softmax."""
    if isinstance(loss, SigmoidLoss) and loss.n_outputs > 1:
        for k in range(loss.n_outputs):
            own = replace(rows.block, labels=rows.block.labels[k : k + 1])
            yield from split_outputs(
                MemoryRows(own, rows.n_jobs), SigmoidLoss(1), where, C, l1_ratio
            )
        return
    objective = copy_standardised(Objective(rows, loss, smooth_strength(C, l1_ratio), where))
    yield Penalised(objective, C, l1_ratio, count_classes(rows, loss))


def count_classes(rows: MemoryRows, loss: Loss) -> Array:
    """The weight of each class."""
    classes = np.arange(2 if isinstance(loss, SigmoidLoss) else loss.n_outputs)[:, None]

    def count(block: Block) -> Array:
        return np.asarray((block.labels == classes) @ block.weights)

    return rows.reduce(count)


def take_columns(where: Coordinates, columns: Array) -> Coordinates:
    """The coordinates of some columns."""
    return replace(
        where,
        centre=where.centre[columns],
        spread=where.spread[columns],
        low=where.low[columns],
        high=where.high[columns],
        frozen=np.append(where.frozen[:-1][columns], where.frozen[-1]),
        shift=where.shift[columns],
    )
