"""The article's loop: gradient descent with a fixed learning rate.

    W <- W - learning_rate dW,   b <- b - learning_rate db,

with dW and db the slopes of the *mean* cost, in the table's own units. Below 2 / L, L the largest
curvature that the mean cost can have, every step lowers the cost; 1 / L is the safe choice.

`optimizers.py` has other steps along the same slopes, `minibatches.py` slopes from a few rows. The
history has the cost over all rows, after each step or, with minibatches, after each pass.
"""

import math
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.certificate import Certificate, no_certificate
from onelayer.errors import LearningRateWarning
from onelayer.objective import Evaluation, Objective
from onelayer.solvers.curvature import largest_curvature
from onelayer.solvers.descent import Descent
from onelayer.solvers.minibatches import cut_minibatches, mean_slope
from onelayer.solvers.optimizers import MOMENTUM, OPTIMIZERS, Optimizer
from onelayer.solvers.second_order import to_solution
from onelayer.solvers.solution import Progress, Solution

Array = NDArray[Any]

PATIENCE = 5  # iterations in a row that may cost more than the start before we call it divergence


@dataclass(frozen=True)
class State:
    """Where the descent stands; `theta` is (n_outputs, n_x + 1), the bias last.

    It holds the first and the last line of the history alone: what grows with every step would
    have to be copied in every step.
    """

    theta: Array
    evaluation: Evaluation
    optimizer: Optimizer
    iteration: int
    first: Progress
    progress: Progress
    above_start: int = 0  # iterations in a row whose cost was above the first one
    status: str = ""


@dataclass(frozen=True)
class _Rate:
    """The learning rate, the bound L that it is held against (nan if none is), and the passes."""

    value: float
    L: float
    passes: int


def solve(
    objective: Objective,
    start: Array,
    descent: Descent | None = None,
    certify: Callable[[Array], Certificate] | None = None,
    watch: Callable[[Progress], None] | None = None,
) -> Solution:
    """Descend `descent.num_iterations` times from `start`.

    Parameters
    ----------
    objective: in the table's own coordinates (`plain_coordinates`).
    start: (n_outputs, n_x + 1), weights and bias.
    descent: learning rate, optimizer, size of the minibatches.
    certify: measures how far the answer is from the optimum; one more pass.
    watch: told the `Progress` after each step, or each pass of minibatches.

    Warns
    -----
    LearningRateWarning: for the plain step alone: the learning rate is above 2 / L, the largest
        that is proved to descend.
    """
    began = time.perf_counter()
    descent = _without_idle_batches(objective, descent or Descent())
    rate = _settle_rate(objective, descent)
    advice = _warn_of_rate(rate, descent)
    history: list[Progress] = []
    for state in _walk(objective, start, descent, rate.value):
        history.append(state.progress)
        if watch is not None:
            watch(state.progress)
    if state.status == "diverged":
        certificate = no_certificate("gradient descent diverged")
        message = _say_diverged(state, rate, descent)
    else:
        message = f"all {_say_iterations(descent)} are done{advice}"
        certificate = no_certificate("the distance was not measured")
        if certify is not None:
            certificate = certify(state.theta)
    passes_a_step = 1 if descent.batch_size is None else 2
    return to_solution(
        objective,
        state.theta,
        float(state.evaluation.value.sum()),
        certificate=certificate,
        status=state.status or "stopped",
        message=message,
        passes=rate.passes + passes_a_step * state.iteration + 1,
        seconds=time.perf_counter() - began,
        iterations=state.iteration,
        solver="gradient_descent",
        history=tuple(history),
    )


def init(objective: Objective, start: Array, descent: Descent) -> State:
    """The state before the first step."""
    evaluation = objective.evaluate(start)
    progress = _progress(objective, evaluation, 0, 0.0)
    optimizer = OPTIMIZERS[descent.optimizer].init(start)
    return State(start, evaluation, optimizer, 0, progress, progress)


def step(objective: Objective, state: State, descent: Descent, learning_rate: float) -> State:
    """One update of the parameters, or one for each minibatch; one pass for the cost after."""
    theta, optimizer = state.theta, state.optimizer
    with np.errstate(over="ignore", invalid="ignore"):
        for slope in _slopes(objective, state, descent):
            optimizer, theta = optimizer.step(theta, slope(theta), learning_rate)
        evaluation = objective.evaluate(theta)
        progress = _progress(objective, evaluation, state.iteration + 1, learning_rate)
    after = replace(state, iteration=state.iteration + 1, progress=progress)
    if not math.isfinite(progress.objective):
        return replace(after, status="diverged")  # with the last parameters that are numbers
    above = state.above_start + 1 if progress.objective > state.first.objective else 0
    return replace(
        after,
        theta=theta,
        evaluation=evaluation,
        optimizer=optimizer,
        above_start=above,
        status="diverged" if above >= PATIENCE else "",
    )


def _walk(
    objective: Objective, start: Array, descent: Descent, learning_rate: float
) -> Iterator[State]:
    state = init(objective, start, descent)
    yield state
    while not state.status and state.iteration < descent.num_iterations:
        state = step(objective, state, descent, learning_rate)
        yield state


def _slopes(
    objective: Objective, state: State, descent: Descent
) -> Iterator[Callable[[Array], Array]]:
    """The slopes of one iteration, each to be asked for at the parameters of its own step."""
    if descent.batch_size is None:
        slope = objective.by_output(state.evaluation.gradient) / objective.where.weight
        yield lambda theta: slope
        return
    block = objective.rows.block
    held = np.flatnonzero(block.weights)
    order = held[descent.shuffle(len(held))]
    for batch in cut_minibatches(block, order, descent.batch_size):
        yield partial(mean_slope, objective, batch, len(held))


def _without_idle_batches(objective: Objective, descent: Descent) -> Descent:
    """A minibatch that holds every row is no minibatch: its slope is already there."""
    size = descent.batch_size
    if size is None or size < np.count_nonzero(objective.rows.block.weights):
        return descent
    return replace(descent, batch_size=None)


def _settle_rate(objective: Objective, descent: Descent) -> _Rate:
    """L is measured where something is said of it: plain steps, and "safe"."""
    if descent.optimizer != "gd" and descent.learning_rate != "safe":
        return _Rate(float(descent.learning_rate), math.nan, 0)
    L, passes = largest_curvature(objective, descent.batch_size)
    if descent.learning_rate != "safe":
        return _Rate(float(descent.learning_rate), L, passes)
    return _Rate((1 - MOMENTUM if descent.optimizer == "momentum" else 1) / L, L, passes)


def _say_iterations(descent: Descent) -> str:
    if descent.batch_size is None:
        return f"{descent.num_iterations} iterations"
    return f"{descent.num_iterations} passes in minibatches of {descent.batch_size:,}"


def _say_diverged(state: State, rate: _Rate, descent: Descent) -> str:
    instead = "use a smaller one"
    if descent.optimizer == "gd":
        instead = f"use learning_rate='safe' ({1 / rate.L:.3g}) or at most {2 / rate.L:.3g}"
    elif descent.optimizer == "momentum" and descent.learning_rate != "safe":
        instead = "use a smaller one, or learning_rate='safe'"
    return (
        f"the cost rose from {state.first.cost:.3g} to {state.progress.cost:.3g} in "
        f"{state.iteration} iterations: the learning rate {rate.value:.3g} is too large, {instead}"
    )


def _warn_of_rate(rate: _Rate, descent: Descent) -> str:
    if descent.optimizer != "gd" or rate.value <= 2 / rate.L:
        return ""
    where = "on this table" if descent.batch_size is None else "on every minibatch of this table"
    advice = (
        f"the learning rate {rate.value:.3g} is above {2 / rate.L:.3g}, the largest that must "
        f"descend {where}; learning_rate='safe' uses {1 / rate.L:.3g}"
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
