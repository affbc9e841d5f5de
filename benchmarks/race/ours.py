"""onelayer at its default settings, and what one pass over the rows costs it."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from benchmarks.race.problem import Problem
from benchmarks.race.solvers import Fits, Options, Solver

TIGHT = {"tol": 1e-9}  # for the reference: to the end that float64 allows


def prepare_arrays(problem: Problem) -> Any:
    """The arrays as they are."""
    return problem


def fit_arrays(problem: Problem, options: Options) -> Any:
    """`OneLayerClassifier().fit(X, y)`, the whole call."""
    from onelayer import OneLayerClassifier

    strength, ratio = problem.strengths[0], problem.l1_ratio
    chosen = {} if strength == 1.0 else {"C": strength}
    if ratio:
        chosen["l1_ratio"] = ratio
    return OneLayerClassifier(**chosen, **options).fit(problem.X, problem.y)


def read_classifier(network: Any) -> Fits:
    return [(network.coef_, network.intercept_)]


def fit_along(prepared: Any, options: Options) -> Any:
    """All strengths, each from the solution for the one before."""
    from onelayer.loss import SigmoidLoss
    from onelayer.path import fit_path
    from onelayer.rows.memory import MemoryRows

    problem, block = prepared
    chosen = {"l1_ratio": problem.l1_ratio, **options}
    return fit_path(MemoryRows(block), SigmoidLoss(1), problem.strengths, **chosen)


def read_path(path: Any) -> Fits:
    return [(solution.W, solution.b[:, 0]) for solution in path.solutions]


def prepare_codes(problem: Problem) -> Any:
    """Rows of numbers and codes, as the encoder of tables hands them to the fit."""
    from onelayer.blocks import Block
    from onelayer.features.mixed import MixedFeatures

    coded = problem.codes
    assert coded is not None
    features = MixedFeatures(coded.numeric, coded.codes, coded.level_counts)
    labels = problem.y[None].astype(np.float64)
    return Block(features, labels, np.ones(len(problem.y)))


def fit_codes(block: Any, options: Options) -> Any:
    from onelayer.fitting import fit
    from onelayer.loss import SigmoidLoss
    from onelayer.rows.memory import MemoryRows

    return fit(MemoryRows(block), SigmoidLoss(1), C=1.0, **options)


def read_solution(solution: Any) -> Fits:
    return [(solution.W, solution.b)]


SOLVERS = (
    Solver(
        "onelayer, codes",
        "onelayer",
        prepare_codes,
        fit_codes,
        read_solution,
        lambda facts: facts.coded,
        ladder=({},),
        default={},
        ours=True,
    ),
    Solver(
        "onelayer",
        "onelayer",
        prepare_arrays,
        fit_arrays,
        read_classifier,
        lambda facts: not facts.path,
        ladder=({},),
        default={},
        ours=True,
    ),
    Solver(
        "onelayer, path",
        "onelayer",
        lambda problem: (problem, _to_block(problem)),
        fit_along,
        read_path,
        lambda facts: facts.path,
        ladder=({},),
        default={},
        ours=True,
    ),
)


def count_passes(fitted: Any) -> int:
    """How often all rows were read."""
    solutions = getattr(fitted, "solutions", None) or [getattr(fitted, "solution_", fitted)]
    return sum(int(solution.passes) for solution in solutions)


def time_product(problem: Problem) -> float:
    """Seconds of one `X @ w` on the table as the caller holds it."""
    w = np.ones(problem.X.shape[1], problem.X.dtype)
    return _time_best(lambda: problem.X @ w)


def time_gradient(prepared: Any, fits: Fits) -> float:
    """Seconds of one pass of our own for cost and gradient, on all threads, at the answer."""
    from onelayer.coordinates import measure_columns, shift_rows
    from onelayer.loss import SigmoidLoss, SoftmaxLoss
    from onelayer.objective import Objective
    from onelayer.rows.blas import single_threaded_blas
    from onelayer.rows.memory import MemoryRows

    W, b = fits[-1]
    loss = SigmoidLoss(1) if len(W) == 1 else SoftmaxLoss(len(W))
    block = _find_block(prepared)
    with single_threaded_blas():
        rows = MemoryRows(block)
        rows, where = shift_rows(rows, measure_columns(rows, True))
        objective = Objective(rows, loss, 1.0, where)
        theta = where.from_parameters(W, np.reshape(b, (-1, 1)))
        return _time_best(lambda: objective.evaluate(theta))


def _find_block(prepared: Any) -> Any:
    if isinstance(prepared, Problem):
        return _to_block(prepared)
    return prepared[1] if isinstance(prepared, tuple) else prepared


def _to_block(problem: Problem) -> Any:
    from onelayer.blocks import Block
    from onelayer.features.dense import DenseFeatures
    from onelayer.features.sparse import SparseFeatures

    features = SparseFeatures if sparse.issparse(problem.X) else DenseFeatures
    labels = problem.y[None].astype(np.float64)
    return Block(features(problem.X), labels, np.ones(len(problem.y)))


def _time_best(task: Callable[[], Any]) -> float:
    """The median of at least 5 calls, more of them where they are short."""
    seconds: list[float] = []
    while len(seconds) < 5 or (sum(seconds) < 0.2 and len(seconds) < 1000):
        began = time.perf_counter()
        task()
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds))
