"""Why a row got its probability: each column's push on the log-odds against the average row."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import fsum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onelayer.errors import InputError
from onelayer.network import sigmoid


@dataclass(frozen=True)
class Push:
    """What one column of the table, with this row's value, adds to the log-odds."""

    column: str
    value: str
    push: float


@dataclass(frozen=True)
class Explanation:
    """A row's log-odds, taken apart: `logit` = `average_logit` + the sum of all pushes.

    `average_logit` is the mean log-odds of the training rows; `probability` is sigmoid(logit).
    The pushes are sorted by their size, the largest first.
    """

    probability: float
    logit: float
    average_logit: float
    pushes: tuple[Push, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give plain dicts, lists, text and numbers, for JSON."""
        return {**asdict(self), "pushes": [asdict(push) for push in self.pushes]}

    def sentences(self, positive: str, negative: str, k: int = 5) -> list[str]:
        """Say the `k` largest pushes in words, leaving out those that round to 0.00.

        Args:
            positive: What a push above 0 leads to: the value of the target that is 1.
            negative: What a push below 0 leads to.
            k: How many sentences at most.

        >>> row = explain_row(["debt ratio"], ["0.61"], [-1.2], [-0.4], bias=1.0)
        >>> row.sentences("approval", "refusal")
        ['debt ratio = 0.61 pushes towards refusal: -0.80']
        """
        if k < 0:
            raise InputError(f"k is {k}: expected how many sentences, 0 or more")
        shown = [push for push in self.pushes if f"{abs(push.push):.2f}" != "0.00"]
        return [
            f"{each.column} = {each.value} pushes towards "
            f"{positive if each.push > 0 else negative}: {each.push:+.2f}"
            for each in shown[:k]
        ]


def explain_row(
    columns: Sequence[str],
    values: Sequence[str],
    contributions: ArrayLike,
    averages: ArrayLike,
    bias: float,
) -> Explanation:
    """Compare one row with the average row, column by column.

    With c_j the sum of weight * feature over the features that column j of the table became, and
    a_j the mean of c_j over the training rows: logit = bias + sum c_j,
    average_logit = bias + sum a_j, push_j = c_j - a_j. For a linear model and independent columns
    these pushes are the Shapley values.

    Args:
        columns: The names of the n_columns columns of the table.
        values: The row's values, as text for people.
        contributions: (n_columns,), c_j, in log-odds.
        averages: (n_columns,), a_j, in log-odds.
        bias: The model's bias, in log-odds.

    Returns:
        The pushes, largest first; equal sizes in the order of the columns.

    Raises:
        InputError: The lengths differ or a number is not finite.

    Source: Štrumbelj and Kononenko, "Explaining prediction models and individual predictions with
    feature contributions", 2014.

    >>> explain_row(["age", "debt"], ["30", "0.6"], [0.25, -2.0], [0.5, -0.5], bias=0.75)
    Explanation(probability=0.2689414213699951, logit=-1.0, average_logit=0.75, pushes=\
(Push(column='debt', value='0.6', push=-1.5), Push(column='age', value='30', push=-0.25)))
    """
    row, average = _read(contributions, columns), _read(averages, columns)
    if len(values) != len(columns):
        raise InputError(f"{len(columns)} columns and {len(values)} values: expected one for each")
    logit = fsum([bias, *row])
    pushes = [
        Push(column, value, here - there)
        for column, value, here, there in zip(columns, values, row, average)
    ]
    return Explanation(
        probability=float(sigmoid(logit)),
        logit=logit,
        average_logit=fsum([bias, *average]),
        pushes=tuple(sorted(pushes, key=lambda push: -abs(push.push))),
    )


def _read(numbers: ArrayLike, columns: Sequence[str]) -> list[float]:
    array: NDArray[np.float64] = np.asarray(numbers, dtype=np.float64)
    if array.shape != (len(columns),):
        raise InputError(f"{len(columns)} columns and numbers of the shape {array.shape}")
    for column, is_finite in zip(columns, np.isfinite(array)):
        if not is_finite:
            raise InputError(f"column {column!r}: its part in the log-odds is not finite")
    found: list[float] = array.tolist()
    return found
