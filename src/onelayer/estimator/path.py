"""`one_layer_path`: one fit for each of many strengths, each from the one before."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike, NDArray

from onelayer.estimator.classifier import OneLayerClassifier
from onelayer.estimator.options import check_options
from onelayer.estimator.summary import read_rows
from onelayer.outcome import warn_of_outcome
from onelayer.path import Path, fit_path


def one_layer_path(
    X: ArrayLike,
    y: ArrayLike,
    Cs: int | Sequence[float] | NDArray[Any] = 50,
    *,
    l1_ratio: float = 1.0,
    sample_weight: ArrayLike | None = None,
    fit_intercept: bool = True,
    class_weight: Any = None,
    tol: float = 1e-4,
    n_jobs: int | None = None,
) -> Path:
    """Solutions along a path of `C`, from the strongest penalty to the weakest, each proved.

    Minimises sum_i s_i loss_i + (1 / C) ((1 - l1_ratio) / 2 |W|^2 + l1_ratio |W|_1) for each C. A
    fit sets out from the one before, so that 50 of them cost little more than a few apart.

    Parameters
    ----------
    X, y, sample_weight: as for `OneLayerClassifier.fit`.
    Cs: inverse strengths above 0, in any order, or how many of them: with L1 from the last C at
        which all coefficients are 0 to 1,000 times that (100 times where there are more columns
        than rows), without L1 from 1e-4 to 1e4; evenly spaced in their logarithm.
    l1_ratio: share of L1, from 0 (pure L2) to 1 (pure L1).
    fit_intercept, class_weight, tol, n_jobs: as for `OneLayerClassifier`.

    Returns
    -------
    `Path`: `Cs` (k,) ascending, `coefs` (k, n_outputs, n_features), `intercepts` (k, n_outputs),
    `certificates` and `solutions`, one for each C.

    Raises
    ------
    InputError: as `OneLayerClassifier.fit`; no strength, or one that is not above 0.

    Warns
    -----
    ConvergenceWarning: a solution is not proved to be the optimum.

    Examples
    --------
    >>> X, y = [[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 0.0]], [0, 0, 1, 1]
    >>> path = one_layer_path(X, y, Cs=3)
    >>> (path.coefs != 0).sum(axis=2).ravel().tolist()
    [0, 1, 1]
    """
    reader = OneLayerClassifier(
        l1_ratio=l1_ratio,
        fit_intercept=fit_intercept,
        class_weight=class_weight,
        tol=tol,
        n_jobs=n_jobs,
    )
    check_options(reader)
    reading = read_rows(reader, X, y, sample_weight)
    path = fit_path(
        reading.rows,
        reading.loss,
        Cs,
        l1_ratio=float(l1_ratio),
        fit_intercept=fit_intercept,
        tol=tol,
    )
    for solution in path.solutions:
        warn_of_outcome(solution)
    return path
