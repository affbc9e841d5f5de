"""Other libraries along a path of strengths, each from where the one before ended."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.race import peers
from benchmarks.race.problem import Facts, Problem
from benchmarks.race.solvers import Fits, Options, Solver, grade

Path = list[tuple[Any, Any]]


def _is_path(facts: Facts) -> bool:
    return facts.path and facts.classes == 2


def _is_lasso_path(facts: Facts) -> bool:
    return _is_path(facts) and facts.l1_ratio == 1


def _keep(model: Any) -> tuple[Any, Any]:
    return np.array(model.coef_).reshape(1, -1), np.array(model.intercept_).reshape(-1)


def fit_logistic(problem: Problem, options: Options) -> Path:
    """scikit-learn, warm where its solver can be."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(l1_ratio=problem.l1_ratio, warm_start=True, **options)
    return [_keep(model.set_params(C=C).fit(problem.X, problem.y)) for C in problem.strengths]


def fit_skglm(prepared: Any, options: Options) -> Path:
    from skglm import SparseLogisticRegression

    problem, X, y = prepared
    model = SparseLogisticRegression(l1_ratio=problem.l1_ratio, warm_start=True, **options)
    alphas = [1 / (C * len(y)) for C in problem.strengths]
    return [_keep(model.set_params(alpha=alpha).fit(X, y)) for alpha in alphas]


def fit_celer(prepared: Any, options: Options) -> Path:
    """Its own path, which has no bias."""
    from celer import celer_path

    problem, X, y = prepared
    alphas = 1 / np.array(problem.strengths)
    _, coefficients, _ = celer_path(X, y, "logreg", alphas=alphas, use_PN=True, **options)
    return [(w[None], np.zeros(1)) for w in coefficients.T]


def fit_liblinear(prepared: Any, options: Options) -> Path:
    """One fit for each C: it starts from 0 each time."""
    problem, nodes = prepared
    found = []
    for C in problem.strengths:
        one = Problem(problem.X, problem.y, (C,), problem.l1_ratio)
        model = peers.fit_liblinear((one, nodes), options, solver=6, extra="-R")
        found.extend(peers.read_liblinear(model))
    return found


def fit_glum(prepared: Any, options: Options) -> Path:
    from glum import GeneralizedLinearRegressor

    problem, X, y = prepared
    model = GeneralizedLinearRegressor(
        family="binomial", l1_ratio=problem.l1_ratio, warm_start=True, **options
    )
    alphas = [1 / (C * len(y)) for C in problem.strengths]
    return [_keep(model.set_params(alpha=alpha).fit(X, y)) for alpha in alphas]


def read_path(found: Path) -> Fits:
    return found


def _along(
    name: str,
    package: str,
    prepare: Callable[[Problem], Any],
    fit: Callable[[Any, Options], Path],
    can: Callable[[Facts], bool],
    ladder: tuple[Options, ...],
    default: Options,
    bias: str = "free",
    brief: bool = False,
) -> Solver:
    name = f"{name}, path"
    return Solver(name, package, prepare, fit, read_path, can, ladder, default, bias, brief)


_SAGA = {"solver": "saga", "random_state": 0}
_LIBLINEAR = {"solver": "liblinear", "random_state": 0}

SOLVERS = (
    _along(
        "skglm prox-newton",
        "skglm",
        peers.prepare_skglm,
        fit_skglm,
        _is_path,
        grade("tol", -2, -10, 2, max_iter=1000),
        {},
    ),
    _along(
        "celer",
        "celer",
        peers.prepare_skglm,
        fit_celer,
        _is_lasso_path,
        grade("tol", -2, -12, 2, max_iter=1000),
        {},
        bias="none",
    ),
    _along(
        "glum cd",
        "glum",
        peers.prepare_glum,
        fit_glum,
        lambda facts: _is_path(facts) and facts.columns <= peers.LARGEST_FACTORED,
        grade("gradient_tol", -2, -11, 2, max_iter=1000),
        {},
    ),
    _along(
        "liblinear-official 6",
        "liblinear-official",
        peers.prepare_liblinear,
        fit_liblinear,
        _is_lasso_path,
        grade("eps", 0, -10, 2),
        {},
    ),
    _along(
        "scikit-learn liblinear",
        "scikit-learn",
        lambda problem: problem,
        fit_logistic,
        _is_lasso_path,
        grade("tol", 0, -10, 2, max_iter=peers.MANY, **_LIBLINEAR),
        _LIBLINEAR,
        bias="penalised",
    ),
    _along(
        "scikit-learn saga",
        "scikit-learn",
        lambda problem: problem,
        fit_logistic,
        _is_path,
        grade("tol", -1, -9, 2, max_iter=peers.MANY, **_SAGA),
        _SAGA,
        brief=True,
    ),
)
