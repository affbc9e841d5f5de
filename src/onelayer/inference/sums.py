"""Sums over the rows that a summary needs beside the errors, and the scale of the weights."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from onelayer.blocks import Block
from onelayer.coordinates import measure_columns
from onelayer.errors import InputError
from onelayer.loss import SigmoidLoss
from onelayer.objective import Objective
from onelayer.rows.memory import MemoryRows
from onelayer.summary import WEIGHT_KINDS

Array = NDArray[Any]


def measure_null_loss(objective: Objective) -> float:
    """The summed log loss of the biases alone: each output says its share of the weights.

    Without a bias nothing is left to fit, and every probability is 1/2 (1 / classes).
    """
    sigmoid, n = isinstance(objective.loss, SigmoidLoss), objective.n_outputs
    classes = np.arange(n)[:, None]

    def count(block: Block) -> Array:
        ones = block.labels if sigmoid else block.labels == classes
        # Both counted: the weight less that of the ones may round to 0.
        return np.stack([ones @ block.weights, (1 - ones) @ block.weights])

    ones, zeros = objective.rows.reduce(count)
    total = objective.where.weight
    if objective.where.frozen[-1]:
        return float(n * total * np.log(2)) if sigmoid else float(total * np.log(n))
    counts = np.concatenate([ones, zeros]) if sigmoid else ones
    return float(-xlogy(counts, counts / total).sum())


def measure_deviations(objective: Objective) -> Array:
    """The standard deviation of each column over the rows, (p,), 0 where it is constant."""
    where = objective.where
    if where.frozen[-1]:  # spreads are then about 0, not about the mean
        where = measure_columns(objective.rows, fit_intercept=True)
    return np.where(where.frozen[:-1], 0.0, where.spread)


def are_whole(rows: MemoryRows) -> bool:
    """Whether every weight is a whole number, as counts are."""
    return rows.reduce(
        lambda block: bool((block.weights == np.rint(block.weights)).all()),
        lambda one, other: one and other,
    )


def scale_weights(weights: Array, weight_kind: str) -> Array:
    """Weights as the fit takes them: frequencies as they are, survey weights with a mean of 1.

    So survey weights add up to the number of rows, and `C` keeps its meaning.

    Parameters
    ----------
    weights: (n,), 0 or more. weight_kind: "frequency" or "sampling".

    Raises
    ------
    InputError: another kind.

    >>> scale_weights(np.array([100.0, 300.0, 0.0]), "sampling").tolist()
    [0.5, 1.5, 0.0]
    """
    check_weight_kind(weight_kind)
    if weight_kind == "frequency":
        return weights
    return np.asarray(weights * (np.count_nonzero(weights) / weights.sum()))


def check_weight_kind(weight_kind: str, weighted: bool = True) -> None:
    """Refuse an unknown kind of weight, and survey weights where there are no weights."""
    if weight_kind not in WEIGHT_KINDS:
        known = " or ".join(map(repr, WEIGHT_KINDS))
        raise InputError(f"weight_kind={weight_kind!r}: expected {known}")
    if weight_kind == "sampling" and not weighted:
        raise InputError("weight_kind='sampling' is for rows with weights: name their column")
