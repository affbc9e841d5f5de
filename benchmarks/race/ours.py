"""onelayer at its default settings, and what one pass over the rows costs it."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from benchmarks.race.problem import Facts, Problem
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
        lambda facts: not facts.path and not facts.l1_ratio,
        ladder=({},),
        default={},
        ours=True,
    ),
)


def count_passes(fitted: Any) -> int:
    """How often all rows were read."""
    return int(getattr(fitted, "solution_", fitted).passes)


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

    W, b = fits[0]
    loss = SigmoidLoss(1) if len(W) == 1 else SoftmaxLoss(len(W))
    block = _to_block(prepared) if isinstance(prepared, Problem) else prepared
    with single_threaded_blas():
        rows = MemoryRows(block)
        rows, where = shift_rows(rows, measure_columns(rows, True))
        objective = Objective(rows, loss, 1.0, where)
        theta = where.from_parameters(W, np.reshape(b, (-1, 1)))
        return _time_best(lambda: objective.evaluate(theta))


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


def needs_reference(facts: Facts) -> bool:
    """Whether ours can give the reference optimum."""
    return any(solver.can(facts) for solver in SOLVERS)
