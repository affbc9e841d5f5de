"""What the options of the classifier may be."""

import math
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from onelayer.errors import InputError
from onelayer.solvers.descent import Descent, seed_descent
from onelayer.summary import WEIGHT_KINDS


def check_options(estimator: Any) -> None:
    """Refuse an option that is out of range, naming it, its value and what is expected."""
    weighing = estimator.class_weight
    checks: list[tuple[str, bool, str]] = [
        (
            "C",
            _is_auto(estimator.C) or _is_above_0(estimator.C),
            "a number above 0, inf, or 'auto'",
        ),
        ("l1_ratio", _is_share(estimator.l1_ratio), "a number from 0 (pure L2) to 1 (pure L1)"),
        ("fit_intercept", isinstance(estimator.fit_intercept, (bool, np.bool_)), "True or False"),
        (
            "class_weight",
            weighing is None or isinstance(weighing, dict) or str(weighing) == "balanced",
            "None, 'balanced' or a weight for each class",
        ),
        ("tol", _is_above_0(estimator.tol, math.inf), "a number above 0"),
        (
            "n_jobs",
            estimator.n_jobs in (None, -1)
            or (_is_count(estimator.n_jobs) and estimator.n_jobs != 0),
            "1 or more, or None or -1 for every core",
        ),
        ("random_state", _is_seed(estimator.random_state), "an int from 0 to 2**32 - 1, or None"),
        (
            "weight_kind",
            estimator.weight_kind in WEIGHT_KINDS,
            " or ".join(map(repr, WEIGHT_KINDS)),
        ),
        ("verbose", estimator.verbose in (False, True) or _is_count(estimator.verbose), "0 or 1"),
        ("warm_start", isinstance(estimator.warm_start, (bool, np.bool_)), "True or False"),
    ]
    for name, holds, expected in checks:
        if not holds:
            raise InputError(f"{name}={getattr(estimator, name)!r}: expected {expected}")
    plan_descent(estimator)


def plan_descent(estimator: Any) -> Descent:
    """The options of gradient descent; start and order of the rows come from `random_state`."""
    return seed_descent(
        check_random_state(estimator.random_state),
        estimator.learning_rate,
        estimator.num_iterations,
        estimator.optimizer,
        estimator.batch_size,
    )


def _is_auto(value: Any) -> bool:
    return isinstance(value, str) and value == "auto"


def _is_above_0(value: Any, below: float | None = None) -> bool:
    number = isinstance(value, Real) and not isinstance(value, bool)
    return number and value > 0 and (below is None or value < below)


def _is_share(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and 0 <= float(value) <= 1


def _is_count(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 0


def _is_seed(value: Any) -> bool:
    try:
        check_random_state(value)
    except ValueError:
        return False
    return True
