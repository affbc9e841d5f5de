"""Other libraries with an L1 penalty or an elastic net, for one C."""

from functools import partial
from typing import Any

import numpy as np

from benchmarks.race import peers
from benchmarks.race.problem import Facts
from benchmarks.race.solvers import Fits, Options, Solver, grade


def _has_l1(facts: Facts) -> bool:
    return facts.l1_ratio > 0 and not facts.path and facts.classes == 2


def _is_lasso(facts: Facts) -> bool:
    return _has_l1(facts) and facts.l1_ratio == 1


def fit_skglm(prepared: Any, options: Options) -> Any:
    """Its proximal Newton method on a working set; an elastic net goes by coordinate descent."""
    from skglm import SparseLogisticRegression

    problem, X, y = prepared
    alpha = 1 / (problem.strengths[0] * len(y))
    return SparseLogisticRegression(alpha, l1_ratio=problem.l1_ratio, **options).fit(X, y)


def fit_celer(prepared: Any, options: Options) -> Any:
    from celer import LogisticRegression

    problem, X, y = prepared
    return LogisticRegression(C=problem.strengths[0], **options).fit(X, y)


def read_without_bias(model: Any) -> Fits:
    return [(model.coef_, np.zeros(1))]


SOLVERS = (
    Solver(
        "skglm prox-newton",
        "skglm",
        peers.prepare_skglm,
        fit_skglm,
        peers.read_estimator,
        _has_l1,
        grade("tol", -2, -10, 2, max_iter=1000),
        default={},
    ),
    Solver(
        "celer",
        "celer",
        peers.prepare_skglm,
        fit_celer,
        read_without_bias,
        _is_lasso,
        grade("tol", -2, -10, 2, max_iter=1000),
        default={},
        bias="none",
    ),
    Solver(
        "liblinear-official 6",
        "liblinear-official",
        peers.prepare_liblinear,
        partial(peers.fit_liblinear, solver=6, extra="-R"),
        peers.read_liblinear,
        _is_lasso,
        grade("eps", 0, -10, 2),
        default={},
    ),
    Solver(
        "scikit-learn liblinear L1",
        "scikit-learn",
        lambda problem: problem,
        peers.fit_logistic,
        peers.read_estimator,
        _is_lasso,
        grade("tol", 0, -10, 2, max_iter=peers.MANY, solver="liblinear", random_state=0),
        default={"solver": "liblinear", "random_state": 0},
        bias="penalised",
    ),
    Solver(
        "glum cd",
        "glum",
        peers.prepare_glum,
        peers.fit_glum,
        peers.read_estimator,
        lambda facts: _has_l1(facts) and facts.columns <= peers.LARGEST_FACTORED,
        grade("gradient_tol", -2, -11, max_iter=1000),
        default={},
    ),
    Solver(
        "scikit-learn saga L1",
        "scikit-learn",
        lambda problem: problem,
        peers.fit_logistic,
        peers.read_estimator,
        _has_l1,
        grade("tol", -1, -9, 2, max_iter=peers.MANY, solver="saga", random_state=0),
        default={"solver": "saga", "random_state": 0},
        brief=True,
    ),
)
