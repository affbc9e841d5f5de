"""Classes weighed in a fit, or resampled before it, and probabilities put right after it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block, ClassFactors, weigh_classes
from onelayer.errors import InputError
from onelayer.network import sigmoid
from onelayer.rows.blas import single_threaded_blas
from onelayer.rows.memory import MemoryRows
from onelayer.scoring import predict_logits
from onelayer.solvers.solution import Solution
from onelayer.stored import find_outside

Array = NDArray[Any]
ClassWeight = str | Mapping[Any, float] | None

_STEPS = 200  # halvings of a bracket from one end of float64 to the other, and some
_LAST = 1e-8  # a Newton step so short is the last: its error is below the square of it
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Balance:
    """What was done to the classes.

    Attributes
    ----------
    negative, positive: what the weights of the rows of each class were multiplied by in the fit.
    base_rate: the share of positives among the rows that the model is for, where it was given; None
        where it is that of the rows trained on.
    """

    negative: float = 1.0
    positive: float = 1.0
    base_rate: float | None = None

    def problem(self) -> str | None:
        """Say what no balance can be, or None; asked of what a model file holds."""
        if not (self.negative > 0 and self.positive > 0):
            return "negative and positive must be above 0"
        return find_outside(self, ("base_rate",), 0, 1)

    @property
    def in_fit(self) -> ClassFactors:
        """What the weights of negative and of positive rows are multiplied by in the fit."""
        return self.negative, self.positive

    def met(self, sums: Array) -> ClassFactors:
        """The same for rows to have the base rate given, the sum of their weights as it was.

        Args:
            sums: (2,) of the weights of each class, as they came.
        """
        if self.base_rate is None or not sums.all():
            return 1.0, 1.0
        share = float(sums[1] / sums.sum())
        return (1 - self.base_rate) / (1 - share), self.base_rate / share

    def weigh(self, block: Block) -> Block:
        """The rows as the fit takes them."""
        return replace(block, weights=weigh_classes(block.labels[0], block.weights, self.in_fit))

    def represent(self, block: Block) -> Block:
        """The rows as those that the model is for: of the base rate given."""
        return replace(block, weights=self.as_met(block.labels[0], block.weights))

    def as_met(self, labels: Array, weights: Array) -> Array:
        """The weights (n,) with which rows have the base rate given, their sum the same."""
        return weigh_classes(labels, weights, self.met(sum_labels(labels, weights)))

    def restore(self, solution: Solution, block: Block, n_jobs: int | None = None) -> Solution:
        """The solution with its bias solved again on `block`, the rows as they came.

        The mean probability then is the share of positives, over rows of the base rate given if one
        was. Only the bias changes: ratios of odds between rows stay those of the fit.
        """
        rows = self.represent(block)
        logits = predict_logits(rows.features, solution.W, solution.b, n_jobs)[0]
        share = float(np.average(rows.labels[0] > 0, weights=rows.weights))
        return replace(solution, b=solution.b + find_shift(logits, rows.weights, share))

    def restore_far(self, solution: Solution, rows: MemoryRows, sums: Array) -> Solution:
        """The same on rows that are passed over: each step of the search takes a pass.

        Args:
            rows: As they came.
            sums: (2,) of the weights of each class among them.
        """
        factors = self.met(sums)
        met = sums * factors
        share = float(met[1] / met.sum())
        # Where the columns tell little, or the model is right, this is all there is to it.
        start = np.log(factors[1] / factors[0]) - np.log(self.positive / self.negative)
        with single_threaded_blas():
            rows = rows.by_class(factors)
            shift = _solve_shift(lambda at: _measure(rows, solution, at), share, float(start))
        return replace(solution, b=solution.b + shift)

    def remark(self, positive: str) -> str:
        """What was done, in a sentence."""
        said = []
        if (self.negative, self.positive) != (1.0, 1.0):
            ratio = self.positive / self.negative
            said.append(f"rows of '{positive}' weighed {ratio:.4g} times as much as the others")
        rate = "the base rate"
        if self.base_rate is not None:
            said.append("the table was taken as resampled")
            rate = f"{self.base_rate:.4g}"
        done = " and ".join(said)
        return f"{done}; the bias was solved again so that the mean probability is {rate}"


def sum_labels(labels: Array, weights: Array) -> Array:
    """(2,) the weight of negative and of positive rows."""
    return np.array([weights[labels <= 0].sum(), weights[labels > 0].sum()])


def sum_classes(rows: MemoryRows) -> Array:
    """(2,) the same, of a row source."""
    return np.asarray(rows.reduce(lambda block: sum_labels(block.labels[0], block.weights)))


def settle_balance(
    class_weight: ClassWeight,
    base_rate: float | None,
    sums: Array,
    names: tuple[str, str],
) -> Balance | None:
    """What was asked for as a `Balance`; None for nothing.

    Args:
        class_weight: "balanced" (each class weighs as much as the other), a weight for each value
            of the target, or None.
        base_rate: The share of positives among the rows that the model is for, or None.
        sums: (2,) of the weights of each class among the rows trained on.
        names: The negative and the positive value of the target.

    Raises:
        InputError: A value that the target does not have, a weight or a rate that none can be.

    >>> settle_balance("balanced", None, np.array([3.0, 1.0]), ("no", "yes"))
    Balance(negative=0.6666666666666666, positive=2.0, base_rate=None)
    """
    check_balance(class_weight, base_rate)
    if class_weight is None:
        return None if base_rate is None else Balance(base_rate=base_rate)
    if isinstance(class_weight, str):
        negative, positive = (float(sums.sum() / (2 * each)) for each in sums)
    else:
        negative, positive = _read_weights(class_weight, names)
    return Balance(negative, positive, base_rate)


def check_balance(class_weight: ClassWeight, base_rate: float | None) -> None:
    """Refuse what no table can be balanced by.

    >>> check_balance(None, 1.5)
    Traceback (most recent call last):
    onelayer.errors.InputError: base_rate is 1.5, expected a share above 0 and below 1
    """
    if base_rate is not None and not 0 < base_rate < 1:
        raise InputError(f"base_rate is {base_rate}, expected a share above 0 and below 1")
    if isinstance(class_weight, str) and class_weight != "balanced":
        raise InputError(
            f"class_weight is {class_weight!r}, expected 'balanced' or a weight for each value"
        )


def _read_weights(given: Mapping[Any, float], names: tuple[str, str]) -> tuple[float, float]:
    found = {0: 1.0, 1: 1.0}
    for value, weight in given.items():
        places = [k for k, name in enumerate(names) if _plain(value) == _plain(name)]
        if not places:
            raise InputError(
                f"class_weight has a weight for {value!r}, which the target does not hold: its "
                f"values are {names[0]!r} and {names[1]!r}"
            )
        is_number = isinstance(weight, int | float | np.number) and not isinstance(weight, bool)
        if not (is_number and 0 < weight < np.inf):
            raise InputError(f"class_weight of {value!r} is {weight!r}, expected a number above 0")
        found[places[0]] = float(weight)
    return found[0], found[1]


def _plain(value: Any) -> str:
    """What makes two values the same: 1, 1.0, "1" and True."""
    text = str(value).strip()
    text = {"True": "1", "true": "1", "False": "0", "false": "0"}.get(text, text)
    return text[:-2] if text.endswith(".0") else text


def find_shift(logits: Array, weights: Array, share: float) -> float:
    """The number to add to all logits so that their mean probability is `share`.

    Args:
        logits: (n,), finite.
        weights: (n,), 0 or more.
        share: Above 0 and below 1.

    >>> z = np.array([-1.0, 0.5, 2.0])
    >>> float(np.mean(sigmoid(z + find_shift(z, np.ones(3), 0.25))).round(12))
    0.25
    """
    parts = weights / weights.sum()
    return _solve_shift(lambda shift: _mean_and_slope(logits + shift, parts), share)


def _mean_and_slope(logits: Array, parts: Array) -> Array:
    """(2,) the sums of probabilities, and of their slopes."""
    probabilities = np.asarray(sigmoid(logits))
    return np.array([parts @ probabilities, parts @ (probabilities * np.asarray(sigmoid(-logits)))])


def _measure(rows: MemoryRows, solution: Solution, shift: float) -> Array:
    """(2,) the mean probability of rows whose logits are shifted, and its slope."""
    W, b = solution.W, solution.b + shift

    def measure(block: Block) -> Array:
        parts = [
            np.append(
                _mean_and_slope((tile.features.linear(W) + b)[0], tile.weights), tile.weights.sum()
            )
            for tile in block.tiles()
        ]
        return np.asarray(sum(parts[1:], parts[0]))

    total = rows.reduce(measure)
    return np.asarray(total[:2] / total[2])


def _solve_shift(measure: Callable[[float], Array], share: float, start: float = 0.0) -> float:
    """The shift at which the mean probability is `share`, to the last digits of the mean.

    Newton's method inside a bracket: the mean probability rises with the shift. Its slope changes
    by no more than its own size (|sigmoid''| <= sigmoid'), so that a step of e leaves an error
    below e^2.

    Args:
        measure: From a shift to the mean probability and its slope.
    """
    shift, low, high, reach = start, -np.inf, np.inf, 1.0
    for _ in range(_STEPS):
        mean, slope = measure(shift)
        miss = float(mean) - share
        if abs(miss) <= _EPS * share:
            break
        low, high = (low, shift) if miss > 0 else (shift, high)
        newton = float(shift - miss / slope) if slope > 0 else np.nan
        if abs(newton - shift) <= _LAST:
            return newton
        if not low < newton < high:
            reach *= 2
            newton = (low + high) / 2 if np.isfinite(low + high) else shift - np.sign(miss) * reach
        if abs(newton - shift) <= _EPS * max(1.0, abs(shift)):
            break
        shift = float(newton)
    return shift
