"""Classes weighed in a fit, or resampled before it, and probabilities put right after it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block
from onelayer.errors import InputError
from onelayer.network import sigmoid
from onelayer.scoring import predict_logits
from onelayer.solvers.solution import Solution
from onelayer.stored import find_outside

Array = NDArray[Any]
ClassWeight = str | Mapping[Any, float] | None

_STEPS = 200  # halvings of a bracket from one end of float64 to the other, and some


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

    def weigh(self, block: Block) -> Block:
        """The rows as the fit takes them."""
        factors = np.where(block.labels[0] > 0, self.positive, self.negative)
        return replace(block, weights=block.weights * factors)

    def represent(self, block: Block) -> Block:
        """The rows as those that the model is for: of the base rate given."""
        return replace(block, weights=self.as_met(block.labels[0], block.weights))

    def as_met(self, labels: Array, weights: Array) -> Array:
        """The weights (n,) with which rows have the base rate given, their sum the same."""
        if self.base_rate is None or not (labels > 0).any() or (labels > 0).all():
            return weights
        share = float(np.average(labels > 0, weights=weights))
        rate = self.base_rate
        return weights * np.where(labels > 0, rate / share, (1 - rate) / (1 - share))

    def restore(self, solution: Solution, block: Block, n_jobs: int | None = None) -> Solution:
        """The solution with its bias solved again on `block`, the rows as they came.

        The mean probability then is the share of positives, over rows of the base rate given if one
        was. Only the bias changes: ratios of odds between rows stay those of the fit.
        """
        rows = self.represent(block)
        logits = predict_logits(rows.features, solution.W, solution.b, n_jobs)[0]
        share = float(np.average(rows.labels[0] > 0, weights=rows.weights))
        return replace(solution, b=solution.b + find_shift(logits, rows.weights, share))

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


def settle_balance(
    class_weight: ClassWeight,
    base_rate: float | None,
    labels: Array,
    weights: Array,
    names: tuple[str, str],
) -> Balance | None:
    """What was asked for as a `Balance`; None for nothing.

    Args:
        class_weight: "balanced" (each class weighs as much as the other), a weight for each value
            of the target, or None.
        base_rate: The share of positives among the rows that the model is for, or None.
        labels, weights: (n,), of the rows trained on.
        names: The negative and the positive value of the target.

    Raises:
        InputError: A value that the target does not have, a weight or a rate that none can be.

    >>> settle_balance("balanced", None, np.array([0, 0, 0, 1]), np.ones(4), ("no", "yes"))
    Balance(negative=0.6666666666666666, positive=2.0, base_rate=None)
    """
    if base_rate is not None and not 0 < base_rate < 1:
        raise InputError(f"base_rate is {base_rate}, expected a share above 0 and below 1")
    if class_weight is None:
        return None if base_rate is None else Balance(base_rate=base_rate)
    if isinstance(class_weight, str):
        if class_weight != "balanced":
            raise InputError(
                f"class_weight is {class_weight!r}, expected 'balanced' or a weight for each value"
            )
        sums = [float(weights[labels == label].sum()) for label in (0, 1)]
        negative, positive = (sum(sums) / (2 * each) for each in sums)
    else:
        negative, positive = _read_weights(class_weight, names)
    return Balance(negative, positive, base_rate)


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

    Newton's method inside a bracket: the mean probability rises with the shift. Found to the last
    digits of the mean.

    Args:
        logits: (n,), finite.
        weights: (n,), 0 or more.
        share: Above 0 and below 1.

    >>> z = np.array([-1.0, 0.5, 2.0])
    >>> float(np.mean(sigmoid(z + find_shift(z, np.ones(3), 0.25))).round(12))
    0.25
    """
    parts = weights / weights.sum()
    shift, low, high, reach = 0.0, -np.inf, np.inf, 1.0
    for _ in range(_STEPS):
        probabilities = np.asarray(sigmoid(logits + shift))
        miss = float(parts @ probabilities) - share
        low, high = (low, shift) if miss > 0 else (shift, high)
        slope = float(parts @ (probabilities * np.asarray(sigmoid(-logits - shift))))
        step = shift - miss / slope if slope > 0 else np.nan
        if not low < step < high:
            reach *= 2
            step = (low + high) / 2 if np.isfinite(low + high) else shift - np.sign(miss) * reach
        if abs(step - shift) <= 1e-15 * max(1.0, abs(shift)) or miss == 0:
            break
        shift = float(step)
    return shift
