"""The fit before, for `warm_start`: where it ended, and whether it is of the same problem."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.errors import InputError

Array = NDArray[Any]

SHAPE = ("classes_", "multilabel_", "n_features_in_", "feature_names_in_")


@dataclass(frozen=True)
class PreviousFit:
    """The parameters of the fit before, (W, b), and what says which problem they are of."""

    start: tuple[Array, Array]
    attributes: dict[str, Any]


def remember_fit(estimator: Any) -> PreviousFit | None:
    """What the estimator holds from the fit before, or None."""
    if not hasattr(estimator, "coef_"):
        return None
    held = {name: getattr(estimator, name) for name in SHAPE if hasattr(estimator, name)}
    return PreviousFit((estimator.coef_, estimator.intercept_[:, None]), held)


def require_same_problem(estimator: Any, previous: PreviousFit) -> None:
    """Refuse a warm start from other classes or columns, and leave the estimator as it was."""
    difference = _find_difference(previous.attributes, vars(estimator))
    if difference:
        for name in SHAPE:
            vars(estimator).pop(name, None)
        vars(estimator).update(previous.attributes)
        raise InputError(
            f"warm_start: {difference} in the fit before: set warm_start=False, or fit a new "
            f"classifier"
        )


def _find_difference(was: dict[str, Any], now: dict[str, Any]) -> str:
    name = "n_features_in_"
    if was[name] != now[name]:
        return f"X has {now[name]} columns, {was[name]}"
    name = "feature_names_in_"
    if name in was and name in now and not np.array_equal(was[name], now[name]):
        return f"the columns of X are {_show(now[name])}, {_show(was[name])}"
    name = "classes_"
    if was["multilabel_"] != now["multilabel_"] or not np.array_equal(was[name], now[name]):
        return f"the classes of y are {_show(now[name])}, {_show(was[name])}"
    return ""


def _show(values: Array) -> str:
    return np.array2string(values, threshold=10, separator=", ").replace("\n", "")
