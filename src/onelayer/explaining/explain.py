"""Why a row got its probability: each column's push on the log-odds against the average row."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import fsum
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onelayer.errors import InputError
from onelayer.explaining.changes import Change
from onelayer.explaining.unanswered import Unanswered
from onelayer.network import sigmoid
from onelayer.table.wording import round_push


@dataclass(frozen=True)
class Push:
    """What one column of the table, with this row's value, adds to the log-odds.

    `words` says what the value is beside those of the training rows.
    """

    column: str
    value: str
    push: float
    words: str

    @property
    def reason(self) -> str:
        """The words and the push.

        >>> Push("debt ratio", "0.61", -0.8, "debt ratio 0.61 is above the average 0.34").reason
        'debt ratio 0.61 is above the average 0.34: -0.8'
        """
        return f"{self.words}: {float(round_push(np.array(self.push))):+}"


@dataclass(frozen=True)
class Explanation:
    """A row's log-odds, taken apart: `logit` = `average_logit` + the sum of all pushes.

    `average_logit` is the mean log-odds of the training rows; `probability` is sigmoid(logit). The
    pushes stand in the order of their reasons: what speaks most against the value of the target
    that is `wanted` comes first, what speaks most for it last. A push above 0 always raises the
    probability of the positive value, whichever is wanted.

    `decision` is what the model says of the row, `change` the least that would turn it, and
    `unanswered` what the columns without a value could make of it, None where all have one.
    """

    probability: float
    logit: float
    average_logit: float
    wanted: str
    pushes: tuple[Push, ...]
    decision: str | None = None
    change: Change | None = None
    unanswered: Unanswered | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give plain dicts, lists, text and numbers, for JSON."""
        document: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        if self.change is not None:
            document["change"]["sentence"] = self.change.sentence
        return document

    def reasons(self, k: int = 5) -> list[str]:
        """The first `k` reasons in words, leaving out pushes that round to 0.00.

        >>> words = "debt ratio 0.61 is above the average 0.34"
        >>> row = explain_row(["debt ratio"], ["0.61"], [words], [-1.2], [-0.4], bias=1.0)
        >>> row.reasons()
        ['debt ratio 0.61 is above the average 0.34: -0.8']
        """
        if k < 0:
            raise InputError(f"k is {k}: expected how many reasons, 0 or more")
        return [push.reason for push in self.pushes if round_push(np.array(push.push))][:k]


def explain_row(
    columns: Sequence[str],
    values: Sequence[str],
    words: Sequence[str],
    contributions: ArrayLike,
    averages: ArrayLike,
    bias: float,
    *,
    wanted: str = "1",
    sign: Literal[-1, 1] = 1,
) -> Explanation:
    """Compare one row with the average row, column by column.

    With c_j the sum of weight * feature over the features that column j of the table became, and
    a_j the mean of c_j over the training rows: logit = bias + sum c_j,
    average_logit = bias + sum a_j, push_j = c_j - a_j. For a linear model and independent columns
    these pushes are the Shapley values.

    Args:
        columns: The names of the n_columns columns of the table.
        values: The row's values, as text for people.
        words: What each value is beside those of the training rows.
        contributions: (n_columns,), c_j, in log-odds.
        averages: (n_columns,), a_j, in log-odds.
        bias: The model's bias, in log-odds.
        wanted: The value of the target that the person hopes for.
        sign: 1 where that is the positive value, -1 where it is the negative one.

    Returns:
        The pushes, those most against `wanted` first; equal ones in the order of the columns.

    Raises:
        InputError: The lengths differ or a number is not finite.

    Source: Štrumbelj and Kononenko, "Explaining prediction models and individual predictions with
    feature contributions", 2014.

    >>> here, average = [0.25, -2.0], [0.5, -0.5]
    >>> found = explain_row(["age", "debt"], ["30", "0.6"], ["", ""], here, average, 0.75)
    >>> found.logit, found.average_logit, [(push.column, push.push) for push in found.pushes]
    (-1.0, 0.75, [('debt', -1.5), ('age', -0.25)])
    """
    row, average = _read(contributions, columns), _read(averages, columns)
    if not len(values) == len(words) == len(columns):
        raise InputError(
            f"{len(columns)} columns, {len(values)} values and {len(words)} words: expected one "
            "for each"
        )
    logit = fsum([bias, *row])
    pushes = [
        Push(column, value, here - there, word)
        for column, value, word, here, there in zip(columns, values, words, row, average)
    ]
    return Explanation(
        probability=float(sigmoid(logit)),
        logit=logit,
        average_logit=fsum([bias, *average]),
        wanted=wanted,
        pushes=tuple(sorted(pushes, key=lambda push: sign * push.push)),
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
