"""What gradient descent does with a slope: step along it, gather speed, or scale each parameter.

Each rule is a frozen state: `init` gives the first, `step` the next one and the new parameters.
The slope g is that of the mean cost, so a learning rate eta means the same in all three:

    gd         theta <- theta - eta g
    momentum   v <- beta v + g,   theta <- theta - eta v
    adam       m <- b1 m + (1 - b1) g,   u <- b2 u + (1 - b2) g^2
               theta <- theta - eta (m / (1 - b1^t)) / (sqrt(u / (1 - b2^t)) + eps)

Sources: B. T. Polyak, Some methods of speeding up the convergence of iteration methods, USSR
Computational Mathematics and Mathematical Physics 4 (1964); D. P. Kingma and J. Ba, Adam: a method
for stochastic optimization, ICLR 2015, algorithm 1.
"""

from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

MOMENTUM = 0.9  # beta, the share of the speed that is kept
FIRST_DECAY, SECOND_DECAY = 0.9, 0.999  # b1 and b2 of Kingma and Ba
EPSILON = 1e-8


class Optimizer(Protocol):
    """A rule for the next parameters, with what it remembers of the slopes before."""

    @classmethod
    def init(cls, theta: Array) -> Self:
        """The state before the first step from `theta`."""

    def step(self, theta: Array, slope: Array, rate: float) -> tuple[Self, Array]:
        """The state after the step, and the new parameters."""


@dataclass(frozen=True)
class Plain:
    """The article's step.

    >>> Plain.init(np.zeros(1)).step(np.array([1.0]), np.array([2.0]), 0.25)[1].tolist()
    [0.5]
    """

    @classmethod
    def init(cls, theta: Array) -> Self:
        return cls()

    def step(self, theta: Array, slope: Array, rate: float) -> tuple[Self, Array]:
        return self, theta - rate * slope


@dataclass(frozen=True)
class Momentum:
    """Polyak's heavy ball: slopes add up to a speed, of which a tenth is lost a step.

    On a slope that stays the same the speed grows to 1 / (1 - 0.9) = 10 times the plain step.

    >>> ball = Momentum.init(np.zeros(1))
    >>> ball, theta = ball.step(np.array([0.0]), np.array([1.0]), 1.0)
    >>> ball.step(theta, np.array([1.0]), 1.0)[1].tolist()
    [-2.9]
    """

    velocity: Array

    @classmethod
    def init(cls, theta: Array) -> Self:
        return cls(np.zeros_like(theta))

    def step(self, theta: Array, slope: Array, rate: float) -> tuple[Self, Array]:
        velocity = MOMENTUM * self.velocity + slope
        return type(self)(velocity), theta - rate * velocity


@dataclass(frozen=True)
class Adam:
    """Kingma and Ba's Adam: each parameter moves by about the learning rate, whatever its slope.

    >>> adam = Adam.init(np.zeros(2))
    >>> adam.step(np.zeros(2), np.array([1e-3, -1e3]), 0.5)[1].round(4).tolist()
    [-0.5, 0.5]
    """

    first: Array  # m, running mean of the slopes
    second: Array  # u, running mean of their squares
    time: int = 0

    @classmethod
    def init(cls, theta: Array) -> Self:
        return cls(np.zeros_like(theta), np.zeros_like(theta))

    def step(self, theta: Array, slope: Array, rate: float) -> tuple[Self, Array]:
        first = FIRST_DECAY * self.first + (1 - FIRST_DECAY) * slope
        second = SECOND_DECAY * self.second + (1 - SECOND_DECAY) * np.square(slope)
        time = self.time + 1
        mean = first / (1 - FIRST_DECAY**time)
        size = np.sqrt(second / (1 - SECOND_DECAY**time))
        return type(self)(first, second, time), theta - rate * mean / (size + EPSILON)


OPTIMIZERS: dict[str, type[Optimizer]] = {"gd": Plain, "momentum": Momentum, "adam": Adam}
