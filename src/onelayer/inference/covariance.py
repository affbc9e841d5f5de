"""The covariance of the coefficients, group by group, and what the data do not settle.

A softmax's parameters are told apart only as differences of classes. So its group is put into the
K - 1 differences phi_k = theta_k - theta_0 first: of a log-likelihood that sees differences alone,
the Hessian by phi is the Hessian by theta with the reference class's rows and columns left out.
The penalty |theta|^2 / 2C is, at its least for given differences, phi'(I - 11'/K) phi / 2C.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.coordinates import Coordinates
from onelayer.loss import SoftmaxLoss
from onelayer.objective import Objective
from onelayer.solvers.factor import EPS, Factor, factor

Array = NDArray[Any]

UNSETTLED = 1e-6  # the share of a coefficient in directions without curvature that is not rounding


@dataclass(frozen=True)
class Group:
    """The factored Hessian of parameters that hang together, (outputs (p + 1),) of them.

    Attributes
    ----------
    hessian, penalty: (D, D); decomposed: of the Hessian. free: (D,) False for frozen ones.
    """

    hessian: Array
    penalty: Array
    decomposed: Factor
    free: NDArray[np.bool_]

    @property
    def parameters(self) -> float:
        """tr(H^-1 (H - penalty)): how many parameters the data had a say in."""
        seen = self.decomposed.inverse * (self.hessian - self.penalty).T
        return float(seen[self.free].sum())


def factor_groups(objective: Objective, hessian: Array) -> list[Group]:
    """One `Group` for each group of the objective; a softmax's in differences of classes."""
    free, n = ~objective.where.frozen, objective.n_outputs
    floor = _rounding(objective.where)
    if not isinstance(objective.loss, SoftmaxLoss):
        penalty = np.diag(objective.penalty)
        return [Group(H, penalty, factor(H, floor), free) for H in hessian]
    ridge = np.diag(objective.penalty)
    H = drop_reference(objective, hessian[0]) - np.kron(np.full((n - 1, n - 1), 1 / n), ridge)
    penalty = np.kron(np.eye(n - 1) - 1 / n, ridge)
    return [Group(H, penalty, factor(H, floor), np.tile(free, n - 1))]


def _rounding(where: Coordinates) -> float:
    """The share of a curvature that its sums may have lost where a centre is taken off them."""
    far = np.where(where.frozen[:-1], 0.0, where.residual_centre / where.spread)
    return 8 * EPS * float(np.square(far).max(initial=0.0))


def drop_reference(objective: Objective, matrix: Array) -> Array:
    """A softmax's matrix by theta to one by differences: class 0 goes; others stay as they are."""
    if not isinstance(objective.loss, SoftmaxLoss):
        return matrix
    return matrix[objective.width :, objective.width :]


def measure_errors(
    group: Group, middle: Array | None, where: Coordinates
) -> tuple[Array, NDArray[np.bool_]]:
    """Standard errors of the coefficients in the table's units, and which have none.

    Parameters
    ----------
    middle: J of the sandwich, (D, D); None for the errors of the model.

    Returns
    -------
    Two arrays (outputs, p + 1), the bias last: the errors, and True where directions without
    curvature have a part in a coefficient, so that the data do not settle it.
    """
    V = group.decomposed.inverse
    if middle is not None:
        V = V @ middle @ V
    width = len(where.frozen)
    outputs = len(V) // width
    blocks = V.reshape(outputs, width, outputs, width)
    variances = [_to_table(blocks[k, :, k], where) for k in range(outputs)]
    return np.sqrt(np.maximum(variances, 0)), _find_unsettled(group, where)


def _to_table(V: Array, where: Coordinates) -> Array:
    """The variances (p + 1,) of w = v / spread and of the bias b' - centre'w."""
    bias = _bias_of(where)
    return np.append(np.diag(V)[:-1] / np.square(where.spread), bias @ V @ bias)


def _bias_of(where: Coordinates) -> Array:
    """The table's bias as a combination of the standardised parameters, (p + 1,)."""
    return np.append(np.where(where.frozen[:-1], 0, -where.centre / where.spread), 1.0)


def _find_unsettled(group: Group, where: Coordinates) -> NDArray[np.bool_]:
    """A combination t of the parameters is settled if t lies in the range of H: t'(I - H^+H) = 0.

    The factor drops directions with a unit diagonal, so lengths are taken in that scale.
    """
    width = len(where.frozen)
    if group.decomposed.full:
        return np.zeros((len(group.hessian) // width, width), dtype=bool)
    scale = np.sqrt(np.diag(group.hessian))
    lost = np.eye(len(scale)) - group.decomposed.inverse @ group.hessian
    combinations = np.eye(width)
    combinations[-1] = _bias_of(where)
    outputs = len(scale) // width
    T = np.kron(np.eye(outputs), combinations)
    size = np.linalg.norm((T @ lost) * scale, axis=1)
    whole = np.linalg.norm(T / scale, axis=1)
    return np.asarray(size > UNSETTLED * whole).reshape(outputs, width)
