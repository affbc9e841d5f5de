"""Learning from rows as they come: minibatch passes of the article's step, at a decaying rate.

    theta <- (theta - eta_t g) / (1 + eta_t Lambda / S),      eta_t = 1 / (L sqrt(1 + t / 300)),

g the slope of the mean loss of a minibatch, t the steps before, L the largest mean curvature of a
minibatch of the rows seen, S the weight of all different rows shown: the penalty counts once for
all of them. It is stepped implicitly, so that no column's units make it overshoot. The coordinates
are centred and in units of the spread of what was seen. The answer is an average over the steps
that favours late ones. docs/mathematics.md says why it arrives.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block
from onelayer.certificate import no_certificate
from onelayer.coordinates import Coordinates, measure_columns, shift_rows
from onelayer.errors import InputError
from onelayer.loss import Loss
from onelayer.objective import Objective
from onelayer.rows.memory import MemoryRows
from onelayer.solvers.curvature import curvature_share
from onelayer.solvers.minibatches import cut_minibatches, mean_slope
from onelayer.solvers.recognition import Recognition
from onelayer.solvers.seen import find_common, find_longest, merge_columns, to_steps
from onelayer.solvers.solution import Progress, Solution

Array = NDArray[Any]

ROWS_A_STEP = 32  # enough that a step costs more than its call, few enough for many steps a pass
STEADY = 300  # steps until the rate has fallen to 0.7 of its first value
LATE = 3  # step t counts about t^LATE in the average


@dataclass(frozen=True)
class Stream:
    """What is kept of the rows seen so far; it does not grow with their number.

    Attributes
    ----------
    W, b: where the steps stand, (n_outputs, p) and (n_outputs, 1), in the units of the table.
    average_weights, average_biases: their average, which is the answer.
    seed: of the order of the rows within each call.
    steps, calls: how many so far.
    rows, shown: number and weight of the different rows shown: a call with the very rows of an
        earlier one adds nothing to them.
    seen: centre, spread and range of these rows; None before the first.
    where: the coordinates of the steps, settled when `settled` of weight had been shown.
    common, longest: in these coordinates, bounds of the largest eigenvalue of the mean of
        s x~ x~' over a call's rows, and of s |x~|^2 of a row.
    recognition: tells a call that is shown again.
    """

    W: Array
    b: Array
    average_weights: Array
    average_biases: Array
    seed: int
    steps: int = 0
    calls: int = 0
    rows: int = 0
    shown: float = 0.0
    seen: Coordinates | None = None
    where: Coordinates | None = None
    settled: float = 0.0
    common: float = 0.0
    longest: float = 0.0
    recognition: Recognition | None = None


def init(W: Array, b: Array, seed: int, rows: int = 0, weight: float = 0.0) -> Stream:
    """Begin at W and b; after a fit of `rows` rows, as late as a pass over them would end."""
    return Stream(W, b, W, b, seed, steps=rows // ROWS_A_STEP, rows=rows, shown=weight)


def learn(
    stream: Stream,
    rows: MemoryRows,
    loss: Loss,
    C: float = 1.0,
    fit_intercept: bool = True,
    batch_size: int = ROWS_A_STEP,
) -> tuple[Stream, Solution]:
    """One pass of steps over the rows, in a random order.

    Parameters
    ----------
    rows: all with a weight above 0. batch_size: rows a step.
    C: inverse strength of the penalty, which counts once for all different rows shown so far.

    Returns
    -------
    The stream after, and its answer: `cost` is that of these rows, `objective` their losses with
    their share of the penalty, `iterations` all steps so far.
    """
    began = time.perf_counter()
    if rows.n_rows == 0:
        after = replace(stream, calls=stream.calls + 1)
        return after, _to_solution(after, 0.0, 0.0, C, 0, 0.0)
    stream, passes = _look(stream, rows, fit_intercept)
    assert stream.where is not None
    shifted, where = shift_rows(rows, stream.where)
    objective = Objective(shifted, loss, math.inf, replace(where, weight=stream.shown))
    theta, mean, steps = _step(stream, objective, C, batch_size)
    W, b = where.to_parameters(theta)
    weights, biases = where.to_parameters(mean)
    after = replace(stream, W=W, b=b, average_weights=weights, average_biases=biases)
    after = replace(after, steps=stream.steps + steps, calls=stream.calls + 1)
    total = float(objective.evaluate(mean).loss.sum())
    weight = rows.reduce(lambda block: float(block.weights.sum()))
    seconds = time.perf_counter() - began
    return after, _to_solution(after, total, weight, C, passes + 2, seconds)


def _look(stream: Stream, rows: MemoryRows, fit_intercept: bool) -> tuple[Stream, int]:
    """What the columns of new rows add to what was seen; and the passes that it took."""
    if stream.seen is not None and stream.seen.frozen[-1] == fit_intercept:
        raise InputError(
            f"fit_intercept={fit_intercept} was {not fit_intercept} in the calls of partial_fit "
            f"before: keep it, or begin with a new classifier"
        )
    recognition, is_new = stream.recognition, True
    if recognition is not None:
        recognition, is_new = recognition.look(rows)
    if not is_new:
        return stream, 1
    own = measure_columns(rows, fit_intercept, exact=True)
    seen = own if stream.seen is None else merge_columns(stream.seen, own)
    stream = _settle(stream, seen)
    assert stream.where is not None
    if recognition is None:
        recognition, _ = Recognition.init(stream.where).look(rows)
    shifted, where = shift_rows(rows, stream.where)
    common, passes = find_common(shifted, where)
    after = replace(
        stream,
        rows=stream.rows + rows.n_rows,
        shown=stream.shown + own.weight,
        recognition=recognition,
        common=max(stream.common, common / rows.n_rows),
        longest=max(stream.longest, find_longest(shifted, where)),
    )
    return after, 3 + passes


def _settle(stream: Stream, seen: Coordinates) -> Stream:
    """Take the coordinates of what was seen, anew each time that it has doubled.

    In between, units stay what they are, or the bounds of the curvature would have to be found
    again with each call; but a column that has stood still so far gets units when it moves.
    """
    where = to_steps(seen)
    if stream.where is None or seen.weight >= 2 * stream.settled:
        return replace(stream, seen=seen, where=where, settled=seen.weight, common=0.0, longest=0.0)
    moved = stream.where.frozen & ~seen.frozen
    if moved.any():
        first = moved[:-1]
        where = replace(
            stream.where,
            centre=np.where(first, where.centre, stream.where.centre),
            spread=np.where(first, where.spread, stream.where.spread),
            frozen=seen.frozen,
        )
        return replace(stream, seen=seen, where=where)
    return replace(stream, seen=seen)


def _step(
    stream: Stream, objective: Objective, C: float, batch_size: int
) -> tuple[Array, Array, int]:
    """The parameters and their average after a step for each minibatch, and how many there were."""
    where = objective.where
    with np.errstate(over="ignore", divide="ignore"):
        ridge = 1 / (C * stream.shown * np.square(where.spread))
    penalty = np.where(where.frozen, 0.0, np.append(ridge, 0.0))
    theta = where.from_parameters(stream.W, stream.b)
    mean = where.from_parameters(stream.average_weights, stream.average_biases)
    steps = 0
    for batch in _draw_batches(stream, objective.rows.block, batch_size):
        rate = _rate(stream, curvature_share(objective), batch.n_rows, stream.steps + steps)
        slope = mean_slope(objective, batch, stream.rows, theta)
        theta = (theta - rate * slope) / (1 + rate * penalty)
        steps += 1
        mean = mean + min(1.0, (LATE + 1) / (stream.steps + steps + LATE)) * (theta - mean)
    return theta, mean, steps


def _draw_batches(stream: Stream, block: Block, batch_size: int) -> Iterator[Block]:
    order = np.random.default_rng([stream.seed, stream.calls]).permutation(block.n_rows)
    return cut_minibatches(block, order, batch_size)


def _rate(stream: Stream, share: float, n_rows: int, t: int) -> float:
    """1 / (L sqrt(1 + t / STEADY)): of a minibatch's curvature, 1 / b is that of a single row."""
    size = (1 - 1 / n_rows) * stream.common + stream.longest / n_rows
    L = share * size * stream.rows / stream.shown
    return 1 / (L * math.sqrt(1 + t / STEADY)) if L > 0 else 0.0


def _to_solution(
    stream: Stream, total: float, weight: float, C: float, passes: int, seconds: float
) -> Solution:
    """`total` and `weight` are the losses at the answer and the weight of the last call's rows."""
    share = weight / stream.shown if weight else 0.0
    objective = total + share * float(np.square(stream.average_weights).sum()) / (2 * C)
    cost = total / weight if weight else 0.0
    return Solution(
        W=stream.average_weights,
        b=stream.average_biases,
        objective=objective,
        cost=cost,
        certificate=no_certificate(
            "partial_fit keeps no rows, so nothing can be measured on all of them"
        ),
        status="stopped",
        message=(
            f"{stream.steps:,} steps in {stream.calls:,} calls of partial_fit, on "
            f"{stream.rows:,} different rows"
        ),
        passes=passes,
        seconds=seconds,
        iterations=stream.steps,
        solver="partial_fit",
        history=(Progress(stream.steps, cost, objective, math.inf, 0.0),),
    )
