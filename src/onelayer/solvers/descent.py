"""How gradient descent is to go: the options of it, checked together."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.errors import InputError
from onelayer.network import initialize_parameters
from onelayer.solvers.optimizers import OPTIMIZERS

Array = NDArray[Any]


def _draw_globally(n_x: int, n_y: int) -> Array:
    return initialize_parameters(n_x, n_y)["W"]


def _shuffle_globally(n: int) -> Array:
    # The state that the article draws its start from.
    return np.random.permutation(n)  # noqa: NPY002


_EXPECTED = {
    "learning_rate": "a number above 0, or 'safe'",
    "num_iterations": "0 or more",
    "optimizer": f"one of {', '.join(OPTIMIZERS)}",
    "batch_size": "1 row or more, or None for all rows",
}


@dataclass(frozen=True)
class Descent:
    """The options of gradient descent.

    Attributes
    ----------
    learning_rate: above 0, by the mean cost, or "safe": 1 / L for "gd", 0.1 / L for "momentum".
    num_iterations: steps; with a batch size passes over the rows (epochs).
    optimizer: "gd" (the article's step), "momentum" (0.9) or "adam" (0.9, 0.999).
    batch_size: rows a step, drawn anew in each pass; None for all of them.
    draw: gives the random start, (n_x, n_y) -> W (n_y, n_x).
    shuffle: gives the order of the rows in a pass, n -> a permutation of 0 to n - 1.

    Raises
    ------
    InputError: an option out of its range, or "safe" with "adam", which no bound is known for.

    >>> Descent(optimizer="adam", learning_rate=0.01, batch_size=32).num_iterations
    10
    """

    learning_rate: float | str = 1.2
    num_iterations: int = 10
    optimizer: str = "gd"
    batch_size: int | None = None
    draw: Callable[[int, int], Array] = _draw_globally
    shuffle: Callable[[int], Array] = _shuffle_globally

    def __post_init__(self) -> None:
        rate = 1.0 if self.learning_rate == "safe" else self.learning_rate
        size = 1 if self.batch_size is None else self.batch_size
        named = isinstance(self.optimizer, str) and self.optimizer in OPTIMIZERS
        for name, holds in (
            ("learning_rate", _is_rate(rate)),
            ("num_iterations", _is_count(self.num_iterations, 0)),
            ("optimizer", named),
            ("batch_size", _is_count(size, 1)),
        ):
            if not holds:
                raise InputError(f"{name}={getattr(self, name)!r}: expected {_EXPECTED[name]}")
        if self.optimizer == "adam" and self.learning_rate == "safe":
            raise InputError(
                "learning_rate='safe' says nothing of optimizer='adam': give a number, such as 0.01"
            )


def seed_descent(
    seed: int | np.random.RandomState,
    learning_rate: float | str,
    num_iterations: int,
    optimizer: str,
    batch_size: int | None,
) -> Descent:
    """The options with the article's start, normal times 0.01, and orders of rows from one seed."""
    random = np.random.RandomState(seed) if isinstance(seed, int | np.integer) else seed
    return Descent(
        learning_rate,
        num_iterations,
        optimizer,
        batch_size,
        draw=lambda n_x, n_y: np.asarray(random.randn(n_y, n_x) * 0.01),
        shuffle=random.permutation,
    )


# Plain numbers first in both: to ask numbers.Real takes as long as a sum over a thousand rows.
def _is_rate(value: Any) -> bool:
    real = type(value) is float or (isinstance(value, Real) and not isinstance(value, bool))
    return real and 0 < value < math.inf


def _is_count(value: Any, least: int) -> bool:
    whole = type(value) is int or (isinstance(value, Integral) and not isinstance(value, bool))
    return whole and int(value) >= least
