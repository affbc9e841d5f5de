"""What the columns that a row leaves open could make of its probability."""

from collections.abc import Sequence
from dataclasses import dataclass

from onelayer.network import sigmoid


@dataclass(frozen=True)
class Answer:
    """A column without a value, and what any value that training has seen would make of the row.

    Attributes
    ----------
    lowest, highest: the probability of the positive value, with the other columns as they are.
    depends: whether the decision would be another one with some of these values.
    """

    column: str
    lowest: float
    highest: float
    depends: bool


@dataclass(frozen=True)
class Unanswered:
    """All columns without a value, each for itself and all together.

    Attributes
    ----------
    answers: a column each, the widest range first.
    lowest, highest: the probability over everything that all of them could be at once.
    depends: whether the decision depends on it.
    """

    answers: tuple[Answer, ...]
    lowest: float
    highest: float
    depends: bool


def find_unanswered(
    logit: float, threshold: float, columns: Sequence[tuple[str, float, float, float]]
) -> Unanswered | None:
    """The range of the probability over the values of columns that have none.

    Args:
        logit: The row's log-odds as it is.
        threshold: A row is positive where its probability is above it.
        columns: The name of each, what it adds to the log-odds as it is, and the least and the most
            that it could add.

    Returns:
        None where no column is without a value.

    >>> found = find_unanswered(0.5, 0.5, [("age", 0.0, -1.0, 0.5), ("debt", 0.25, 0.0, 0.5)])
    >>> [(each.column, each.depends) for each in found.answers], found.depends
    ([('age', True), ('debt', False)], True)
    """
    if not columns:
        return None

    def reach(low: float, high: float) -> tuple[float, float, bool]:
        ends = float(sigmoid(logit + low)), float(sigmoid(logit + high))
        now = float(sigmoid(logit)) > threshold
        return (*ends, any((end > threshold) != now for end in ends))

    moves = {name: (low - adds, high - adds) for name, adds, low, high in columns}
    answers = [Answer(name, *reach(low, high)) for name, (low, high) in moves.items()]
    answers.sort(key=lambda each: each.lowest - each.highest)
    low, high = (sum(move[end] for move in moves.values()) for end in (0, 1))
    return Unanswered(tuple(answers), *reach(low, high))
