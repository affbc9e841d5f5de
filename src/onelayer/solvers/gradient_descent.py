"""The article's loop: full-batch gradient descent with a fixed learning rate.

    W <- W - learning_rate dW,   b <- b - learning_rate db,

with dW and db the slopes of the *mean* cost, in the table's own units. Below 2 / L, L the largest
curvature that the mean cost can have, every step lowers the cost; 1 / L is the safe choice.
"""

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block
from onelayer.certificate import Certificate, no_certificate
from onelayer.errors import LearningRateWarning
from onelayer.loss import SoftmaxLoss
from onelayer.objective import Evaluation, Objective
from onelayer.solvers.second_order import to_solution
from onelayer.solvers.solution import Progress, Solution

Array = NDArray[Any]

LARGEST_GRAM = 2000  # columns up to which the largest eigenvalue is computed, not bounded
PATIENCE = 5  # iterations in a row that may cost more than the start before we call it divergence


@dataclass(frozen=True)
class State:
    """Where the descent stands; `theta` is (n_outputs, n_x + 1), the bias last."""

    theta: Array
    evaluation: Evaluation
    iteration: int
    history: tuple[Progress, ...]
    above_start: int = 0  # iterations in a row whose cost was above the first one
    status: str = ""


def solve(
    objective: Objective,
    start: Array,
    num_iterations: int = 10,
    learning_rate: float | str = 1.2,
    certify: Callable[[Array], Certificate] | None = None,
    watch: Callable[[Progress], None] | None = None,
) -> Solution:
    """Descend `num_iterations` times from `start`.

    Parameters
    ----------
    objective: in the table's own coordinates (`plain_coordinates`).
    start: (n_outputs, n_x + 1), weights and bias.
    learning_rate: above 0, or "safe" for 1 / L.
    certify: measures how far the answer is from the optimum; one more pass.
    watch: told the `Progress` after each step.

    Warns
    -----
    LearningRateWarning: the learning rate is above 2 / L, the largest that is proved to descend.
    """
    began = time.perf_counter()
    L, passes = largest_curvature(objective)
    rate = 1 / L if learning_rate == "safe" else float(learning_rate)
    advice = _warn_of_rate(rate, L)
    state = init(objective, start)
    watch = watch or (lambda progress: None)
    watch(state.history[-1])
    while not state.status and state.iteration < num_iterations:
        state = step(objective, state, rate)
        watch(state.history[-1])
    if state.status == "diverged":
        certificate = no_certificate("gradient descent diverged")
        message = _say_diverged(state, rate, L)
    else:
        message = f"all {num_iterations} iterations are done{advice}"
        certificate = no_certificate("the distance was not measured")
        if certify is not None:
            certificate = certify(state.theta)
    return to_solution(
        objective,
        state.theta,
        float(state.evaluation.value.sum()),
        certificate=certificate,
        status=state.status or "stopped",
        message=message,
        passes=passes + state.iteration + 1,
        seconds=time.perf_counter() - began,
        iterations=state.iteration,
        solver="gradient_descent",
        history=state.history,
    )


def init(objective: Objective, start: Array) -> State:
    """The state before the first step."""
    evaluation = objective.evaluate(start)
    return State(start, evaluation, 0, (_progress(objective, evaluation, 0, 0.0),))


def step(objective: Objective, state: State, learning_rate: float) -> State:
    """One update of the parameters, and one pass for the cost and slopes that follow it."""
    slope = objective.by_output(state.evaluation.gradient) / objective.where.weight
    with np.errstate(over="ignore", invalid="ignore"):
        theta = state.theta - learning_rate * slope
        evaluation = objective.evaluate(theta)
        progress = _progress(objective, evaluation, state.iteration + 1, learning_rate)
    after = replace(state, iteration=state.iteration + 1, history=(*state.history, progress))
    if not math.isfinite(progress.objective):
        return replace(after, status="diverged")  # with the last parameters that are numbers
    above = state.above_start + 1 if progress.objective > state.history[0].objective else 0
    status = "diverged" if above >= PATIENCE else ""
    return replace(after, theta=theta, evaluation=evaluation, above_start=above, status=status)


def largest_curvature(objective: Objective) -> tuple[float, int]:
    """L, the largest curvature that the mean cost can have, and the passes taken to find it.

    lambda_max(X~ S X~') / (4 sum s) + 1 / (C sum s); for a softmax 1/2 stands for 1/4. On wide
    tables the largest sum of |X~|' S |X~| over a row bounds the eigenvalue from above.
    """
    share = 0.5 if isinstance(objective.loss, SoftmaxLoss) else 0.25
    size = _gram_norm(objective) if objective.width > LARGEST_GRAM else _gram_eigenvalue(objective)
    return (share * size + 1 / objective.C) / objective.where.weight, 1


def _gram_eigenvalue(objective: Objective) -> float:
    p = objective.width - 1
    has_bias = not objective.where.frozen[-1]

    def gram(block: Block) -> Array:
        total = np.zeros((p + 1, p + 1))
        for tile in block.tiles():
            total[:p, :p] += tile.features.curvature(tile.weights)
            total[-1, :p] += has_bias * tile.features.back(tile.weights[None])[0]
            total[-1, -1] += has_bias * tile.weights.sum()
        return total

    # eigvalsh, not a power iteration, which would stop below the eigenvalue; only the lower half.
    return float(np.linalg.eigvalsh(objective.rows.reduce(gram))[-1])


def _gram_norm(objective: Objective) -> float:
    has_bias = not objective.where.frozen[-1]

    def sums(block: Block) -> Array:
        total = np.zeros(objective.width)
        for tile in block.tiles():
            sizes = tile.features.absolute()
            length = sizes.linear(np.ones((1, objective.width - 1)))[0] + has_bias
            weighted = tile.weights * length
            total[:-1] += sizes.back(weighted[None])[0]
            total[-1] += has_bias * weighted.sum()
        return total

    return float(objective.rows.reduce(sums).max())


def _say_diverged(state: State, rate: float, L: float) -> str:
    return (
        f"the cost rose from {state.history[0].cost:.3g} to {state.history[-1].cost:.3g} in "
        f"{state.iteration} iterations: the learning rate {rate:.3g} is too large, "
        f"use learning_rate='safe' ({1 / L:.3g}) or at most {2 / L:.3g}"
    )


def _warn_of_rate(rate: float, L: float) -> str:
    if rate <= 2 / L:
        return ""
    advice = (
        f"the learning rate {rate:.3g} is above {2 / L:.3g}, the largest that must descend on this "
        f"table; learning_rate='safe' uses {1 / L:.3g}"
    )
    warnings.warn(advice, LearningRateWarning, stacklevel=3)
    return f"; {advice}"


def _progress(
    objective: Objective, evaluation: Evaluation, iteration: int, length: float
) -> Progress:
    sums = float(evaluation.loss.sum()) / objective.where.weight, float(evaluation.value.sum())
    # What has overflowed may be 0 times infinity: nan, which is no cost to write down.
    cost, value = (math.inf if math.isnan(each) else each for each in sums)
    return Progress(iteration, cost, value, math.inf, length)
