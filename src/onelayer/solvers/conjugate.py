"""Preconditioned conjugate gradients on the Newton equation H d = g."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from onelayer.solvers.applied import dots
from onelayer.solvers.kept import KeptRows, Terms

Array = NDArray[Any]
Preconditioner = Callable[[Array], Array]

# Without rounding as many as there are parameters, or logits, suffice: several times as many only
# chase rounding.
MOST_PRODUCTS, TIMES = 2000, 4


@dataclass(frozen=True)
class Step:
    """A step that solves the Newton equation in part.

    Attributes
    ----------
    direction, residual: (n_outputs, p + 1), d and g - H d.
    moved: (n_outputs, n), the logits of d.
    products: how many products with the Hessian it took.
    """

    direction: Array
    residual: Array
    moved: Array
    products: int


def solve_newton_equation(
    kept: KeptRows,
    terms: Terms,
    gradient: Array,
    precondition: Preconditioner,
    forcing: Array,
    enough: Array,
    weigh: Callable[[Array], Array],
) -> Step:
    """Conjugate gradients for all groups in the same products.

    A group is done when its residual, in the preconditioner's norm, is `forcing` (groups,) of what
    it was; where the step may be the last one, when the residual's own part of lambda is proved to
    be at most `enough` (groups,), else inf. `weigh` gives that part.
    """
    objective = kept.objective
    d, r = np.zeros_like(gradient), gradient.copy(order="K")
    moved = np.zeros((objective.n_outputs, kept.rows.n_rows))
    z = precondition(r)
    p, energy = z.copy(order="K"), dots(objective, r, z)
    first, products, last = energy.copy(), 0, np.isfinite(enough)
    most = min(MOST_PRODUCTS, 20 + TIMES * min(objective.size, moved.size))
    while products < most:
        loose = energy > np.square(forcing) * first
        if last.any():
            loose = np.where(last, weigh(r) > enough, loose)
        going = (energy > 0) & loose & (energy > 1e-26 * first)
        if not going.any():
            break
        Hp, logits = kept.product(terms, p)
        products += 1
        curved = dots(objective, p, Hp)
        length = np.where(going & (curved > 0), energy / np.where(curved > 0, curved, 1), 0.0)
        _add(d, length, p)
        moved += length[:, None] * logits
        _add(r, -length, Hp)
        z = precondition(r)
        fresh = dots(objective, r, z)
        ratio = np.where(going, fresh / np.where(energy > 0, energy, 1), 0.0)
        p *= ratio[:, None]
        p += z
        energy = fresh
    return Step(d, r, moved, products)


def _add(to: Array, length: Array, what: Array) -> None:
    """to += length what, in place and without a copy where all outputs share one length."""
    if len(length) == 1 and to.flags.f_contiguous and what.flags.f_contiguous:
        linalg.blas.daxpy(what.ravel("K"), to.ravel("K"), a=length[0])
    else:
        to += length[:, None] * what
