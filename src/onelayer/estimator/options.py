"""What the options of the classifier may be."""

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from onelayer.errors import InputError
from onelayer.solvers.descent import Descent, seed_descent
from onelayer.summary import WEIGHT_KINDS


def check_options(estimator: Any) -> None:
    """Refuse an option that is out of range, naming it, its value and what is expected."""
    for name, holds, expected in _CHECKS:
        value = getattr(estimator, name)
        if not holds(value):
            raise InputError(f"{name}={value!r}: expected {expected}")
    Descent(
        estimator.learning_rate,
        estimator.num_iterations,
        estimator.optimizer,
        estimator.batch_size,
    )


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


def _is_strength(value: Any) -> bool:
    return _is_auto(value) or (_is_number(value) and value > 0)


def _is_distance(value: Any) -> bool:
    return _is_number(value) and 0 < value < math.inf


def _is_number(value: Any) -> bool:
    # A plain float first: to ask numbers.Real takes as long as a sum over a thousand rows.
    return type(value) is float or (isinstance(value, Real) and not isinstance(value, bool))


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 <= float(value) <= 1


def _is_switch(value: Any) -> bool:
    return isinstance(value, (bool, np.bool_))


def _is_weighing(value: Any) -> bool:
    return value is None or isinstance(value, dict) or str(value) == "balanced"


def _is_jobs(value: Any) -> bool:
    return value is None or value == -1 or (_is_count(value) and value != 0)


def _is_kind(value: Any) -> bool:
    return value in WEIGHT_KINDS


def _is_loudness(value: Any) -> bool:
    return value in (False, True) or _is_count(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 0


def _is_seed(value: Any) -> bool:
    if value is None:
        return True
    try:
        check_random_state(value)
    except ValueError:
        return False
    return True


_CHECKS: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("C", _is_strength, "a number above 0, inf, or 'auto'"),
    ("l1_ratio", _is_share, "a number from 0 (pure L2) to 1 (pure L1)"),
    ("fit_intercept", _is_switch, "True or False"),
    ("class_weight", _is_weighing, "None, 'balanced' or a weight for each class"),
    ("tol", _is_distance, "a number above 0"),
    ("n_jobs", _is_jobs, "1 or more, or None or -1 for every core"),
    ("random_state", _is_seed, "an int from 0 to 2**32 - 1, or None"),
    ("weight_kind", _is_kind, " or ".join(map(repr, WEIGHT_KINDS))),
    ("verbose", _is_loudness, "0 or 1"),
    ("warm_start", _is_switch, "True or False"),
)
