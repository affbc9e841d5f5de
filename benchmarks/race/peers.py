"""Other libraries, with the L2 penalty or none; what each one can do, at its best layout."""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse

from benchmarks.race.problem import Facts, Problem
from benchmarks.race.solvers import Fits, Options, Solver, grade

MANY = 100_000  # iterations: the tolerance alone is to end the fit
LARGEST_FACTORED = 6000  # columns times classes; beyond, a Hessian takes a minute and a GB


def read_estimator(model: Any) -> Fits:
    return [(model.coef_, model.intercept_)]


def fit_logistic(problem: Problem, options: Options) -> Any:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=problem.strengths[0], l1_ratio=problem.l1_ratio, **options)
    return model.fit(problem.X, problem.y)


def _is_smooth(facts: Facts) -> bool:
    return not facts.path and not facts.l1_ratio


def _is_binary(facts: Facts) -> bool:
    return _is_smooth(facts) and facts.classes == 2


def _is_double(facts: Facts) -> bool:
    """Whether a solver that makes float64 of everything first has any business there."""
    return _is_binary(facts) and not facts.single


def _can_factor(facts: Facts) -> bool:
    outputs = facts.classes if facts.classes > 2 else 1
    return _is_smooth(facts) and facts.columns * outputs <= LARGEST_FACTORED


def _logistic(
    solver: str,
    can: Callable[[Facts], bool],
    loosest: int,
    tightest: int,
    bias: str = "free",
    **fixed: Any,
) -> Solver:
    word = " dual" if fixed.get("dual") else ""
    options = {"solver": solver, **fixed}
    return Solver(
        f"scikit-learn {solver}{word}",
        "scikit-learn",
        lambda problem: problem,
        fit_logistic,
        read_estimator,
        can,
        grade("tol", loosest, tightest, max_iter=MANY, **options),
        default=options,
        bias=bias,
        brief=solver != "liblinear",
    )


def fit_sgd(problem: Problem, options: Options) -> Any:
    from sklearn.linear_model import SGDClassifier

    alpha = 1 / (problem.strengths[0] * len(problem.y))
    return SGDClassifier(loss="log_loss", alpha=alpha, random_state=0, **options).fit(
        problem.X, problem.y
    )


def prepare_glum(problem: Problem) -> Any:
    """tabmat's own layouts: categories as codes, sparse columns, dense columns."""
    import tabmat

    if problem.codes is not None:
        coded = problem.codes
        parts = [tabmat.CategoricalMatrix(codes) for codes in coded.codes.T]
        if coded.numeric.shape[1]:
            parts.insert(0, tabmat.DenseMatrix(np.asfortranarray(coded.numeric)))
        X: Any = tabmat.SplitMatrix(parts)
    elif sparse.issparse(problem.X):
        X = tabmat.SparseMatrix(sparse.csc_matrix(problem.X))
    else:
        X = tabmat.DenseMatrix(np.asfortranarray(problem.X))
    return problem, X, problem.y.astype(problem.X.dtype)


def fit_glum(prepared: Any, options: Options) -> Any:
    from glum import GeneralizedLinearRegressor

    problem, X, y = prepared
    alpha = 1 / (problem.strengths[0] * len(y))
    return GeneralizedLinearRegressor(
        family="binomial", alpha=alpha, l1_ratio=problem.l1_ratio, **options
    ).fit(X, y)


def prepare_skglm(problem: Problem) -> Any:
    """Columns one after the other, as its coordinate descent reads them; labels -1 and 1."""
    X = problem.X
    X = sparse.csc_matrix(X) if sparse.issparse(X) else np.asfortranarray(X)
    return problem, X, np.where(problem.y > 0, 1.0, -1.0).astype(X.dtype)


def fit_skglm(prepared: Any, options: Options) -> Any:
    """Its generic estimator: anderson-accelerated coordinate descent takes an L2 penalty."""
    from skglm import GeneralizedLinearEstimator
    from skglm.datafits import Logistic
    from skglm.penalties import L1_plus_L2
    from skglm.solvers import AndersonCD

    problem, X, y = prepared
    penalty = L1_plus_L2(1 / (problem.strengths[0] * len(y)), problem.l1_ratio)
    return GeneralizedLinearEstimator(Logistic(), penalty, AndersonCD(**options)).fit(X, y)


def prepare_liblinear(problem: Problem) -> Any:
    """Its own list of nodes, with a 1 at each row's end for the bias."""
    from liblinear.liblinearutil import problem as to_nodes

    X = sparse.csr_matrix(problem.X, dtype=np.float64)
    return problem, to_nodes(np.where(problem.y > 0, 1.0, -1.0), X, bias=1)


def fit_liblinear(prepared: Any, options: Options, solver: int, extra: str = "") -> Any:
    from liblinear.liblinearutil import parameter, train

    problem, nodes = prepared
    accuracy = f"-e {options['eps']:g}" if "eps" in options else ""
    words = f"-s {solver} -c {problem.strengths[0]!r} -B 1 {extra} {accuracy} -q"
    return train(nodes, parameter(words))


def read_liblinear(model: Any) -> Fits:
    w, b = model.get_decfun(0)
    sign = model.get_labels()[0]
    return [(sign * np.array(w)[None], np.array([sign * b]))]


def prepare_statsmodels(problem: Problem) -> Any:
    import statsmodels.api as sm

    return problem.y.astype(np.float64), sm.add_constant(problem.X, has_constant="add")


def fit_statsmodels(prepared: Any, options: Options) -> Any:
    import statsmodels.api as sm

    return sm.Logit(*prepared).fit(disp=0, **options)


def read_statsmodels(result: Any) -> Fits:
    return [(result.params[None, 1:], result.params[:1])]


def hush() -> None:
    """Silence the warnings of unfinished fits: whether a fit got there is what is measured."""
    warnings.simplefilter("ignore")


SOLVERS = (
    _logistic("newton-cholesky", _can_factor, -1, -11),
    Solver(
        "glum irls",
        "glum",
        prepare_glum,
        fit_glum,
        read_estimator,
        lambda facts: _is_binary(facts) and facts.penalised and _can_factor(facts),
        grade("gradient_tol", -2, -11, max_iter=1000),
        default={},
    ),
    Solver(
        "glum lbfgs",
        "glum",
        prepare_glum,
        fit_glum,
        read_estimator,
        lambda facts: _is_binary(facts) and facts.penalised and not _can_factor(facts),
        grade("gradient_tol", -2, -11, max_iter=MANY, solver="lbfgs"),
        default={"solver": "lbfgs"},
    ),
    _logistic("lbfgs", _is_smooth, -1, -10),
    _logistic("newton-cg", _is_smooth, -1, -10),
    Solver(
        "liblinear-official 0",
        "liblinear-official",
        prepare_liblinear,
        partial(fit_liblinear, solver=0, extra="-R"),
        read_liblinear,
        lambda facts: _is_double(facts) and facts.penalised,
        grade("eps", 0, -10, 2),
        default={},
    ),
    Solver(
        "liblinear-official 7",
        "liblinear-official",
        prepare_liblinear,
        partial(fit_liblinear, solver=7),
        read_liblinear,
        lambda facts: _is_double(facts) and facts.penalised,
        grade("eps", 0, -10),
        default={},
        bias="penalised",
    ),
    _logistic(
        "liblinear",
        lambda facts: _is_double(facts) and facts.penalised,
        0,
        -10,
        bias="penalised",
    ),
    _logistic(
        "liblinear",
        lambda facts: _is_double(facts) and facts.penalised,
        0,
        -10,
        bias="penalised",
        dual=True,
    ),
    _logistic("sag", _is_smooth, -1, -9, random_state=0),
    _logistic("saga", _is_smooth, -1, -9, random_state=0),
    Solver(
        "scikit-learn SGD",
        "scikit-learn",
        lambda problem: problem,
        fit_sgd,
        read_estimator,
        lambda facts: _is_binary(facts) and facts.penalised,
        (
            *({"tol": 10.0**e, "max_iter": MANY} for e in (-2, -4, -6)),
            *({"tol": 10.0**e, "max_iter": MANY, "average": True} for e in (-4, -6)),
        ),
        default={},
    ),
    Solver(
        "skglm",
        "skglm",
        prepare_skglm,
        fit_skglm,
        read_estimator,
        lambda facts: _is_binary(facts) and facts.penalised,
        grade("tol", -2, -10, 2, max_iter=1000),
        default={},
    ),
    Solver(
        "statsmodels Logit",
        "statsmodels",
        prepare_statsmodels,
        fit_statsmodels,
        read_statsmodels,
        lambda facts: _is_binary(facts) and not facts.penalised,
        grade("tol", -2, -12, 2, maxiter=1000),
        default={},
    ),
)
