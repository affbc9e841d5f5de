"""Rough inverses of the Hessian that make conjugate gradients quick."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from onelayer.blocks import Block
from onelayer.features import Features
from onelayer.objective import Objective
from onelayer.solvers.bordered import factor_bordered
from onelayer.solvers.costs import (
    SPARSE_SHARE,
    STREAMED_FLOPS,
    cost_of_blocks,
    cost_of_bordered,
    cost_of_hessian,
    cost_of_product,
)
from onelayer.solvers.factor import ADDED, fill_flat, invert_rough
from onelayer.solvers.kept import KeptRows, Terms

Array = NDArray[Any]
Preconditioner = Callable[[Array], Array]

MANY = 15  # products for one equation, beyond which the exact diagonal is worth a pass
LARGEST = 5000  # parameters whose Hessian is factored as a whole, where products cost more: 200 MB
ROWS_AT_A_TIME = 512
FAR_APART = 1e2  # curvature over penalty beyond which columns' scales matter
WIDEST_BLOCK = 800  # columns: beyond, a class's own block costs more than it saves,
WIDEST_ALONE = 1500  # and where there is but one output
ROWS_PER_PARAMETER = 1.5  # rows that such matrices are summed over
FEWEST_ROWS = 1000
EAGER = 4  # times what products have cost: the first such matrix saves more than they tell


@dataclass(frozen=True)
class Factored:
    """A rough inverse of so many values, each of which is read once to apply it."""

    apply: Preconditioner
    values: int

    def __call__(self, r: Array) -> Array:
        return self.apply(r)


def choose_preconditioner(
    kept: KeptRows, terms: Terms, current: Preconditioner | None, products: int
) -> Preconditioner:
    """The rough inverse to use next, after `products` were made with the current one.

    A better one is made once those have cost more than making it.
    """
    if kept.apart.stop > kept.apart.start:
        return _choose_bordered(kept, terms, current, products)
    if current is None:
        return invert_diagonal(kept, terms, exact=False)
    better = factor_some_rows(kept, terms, current, products)
    if better is None and products > MANY and not _has_blocks(kept):
        better = invert_diagonal(kept, terms, exact=True)
    return current if better is None else better


def _has_blocks(kept: KeptRows) -> bool:
    objective = kept.objective
    whole = kept.softmax and objective.size <= LARGEST
    return whole or objective.width - 1 <= _widest_block(objective)


def _widest_block(objective: Objective) -> int:
    return WIDEST_ALONE if objective.n_outputs == 1 else WIDEST_BLOCK


def factor_some_rows(
    kept: KeptRows, terms: Terms, current: Preconditioner, products: int
) -> Preconditioner | None:
    """The Hessian of some rows factored where it is small, or each class's own block of it; None
    where neither is small, or `products` and the current inverse with each have not yet cost as
    much."""
    objective, features = kept.objective, kept.rows.block.features
    n, p, k = kept.rows.n_rows, objective.width - 1, objective.n_outputs
    is_sparse = SPARSE_SHARE * features.row_values < p
    product = cost_of_product(n, features.row_values, k, is_sparse)
    if isinstance(current, Factored):
        spent = products * (product + 2 * current.values / STREAMED_FLOPS)
    else:
        spent = EAGER * products * product
    if kept.softmax and objective.size <= LARGEST:
        m = min(n, max(FEWEST_ROWS, int(ROWS_PER_PARAMETER * objective.size)))
        if spent > cost_of_hessian(m, p, k, softmax=True):
            return invert_hessian(kept, terms, m)
    elif p <= _widest_block(objective):
        m = min(n, max(FEWEST_ROWS, int(4 * ROWS_PER_PARAMETER * p)))
        if spent > cost_of_blocks(m, p, k):
            return invert_blocks(kept, terms, m)
    return None


def _choose_bordered(
    kept: KeptRows, terms: Terms, current: Preconditioner | None, products: int
) -> Preconditioner:
    """The exact Hessian where one run of columns has a diagonal block, anew where that pays."""
    n, values, k = kept.rows.n_rows, kept.rows.block.features.row_values, kept.objective.n_outputs
    spent = products * cost_of_product(n, values, k, True)
    levels = kept.apart.stop - kept.apart.start
    if current is not None and spent < cost_of_bordered(n, values, kept.objective.width, levels, k):
        return current
    factors = factor_bordered(kept.objective, terms.curved, kept.apart)
    return lambda r: np.asfortranarray(
        [factor.solve(own) for factor, own in zip(factors, r, strict=True)]
    )


def invert_diagonal(kept: KeptRows, terms: Terms, exact: bool) -> Preconditioner:
    """One over the diagonal of H; unless `exact`, with each row's curvature at its mean.

    Columns have unit variance in these coordinates, so that mean costs no pass.
    """
    objective = kept.objective
    total = np.diag(terms.bias_curvature)
    if exact:
        data = sum_diagonal(kept, terms)
    else:
        data = np.repeat(total[None], objective.width, axis=0).T
        data = np.where(objective.where.frozen, 0.0, data)
    diagonal = data + objective.penalty
    # A parameter that nothing curves has no slope either.
    inverse = np.asfortranarray(1 / np.where(diagonal > 0, diagonal, 1.0))
    return lambda r: r * inverse


def soften_diagonal(kept: KeptRows, terms: Terms) -> Preconditioner | None:
    """The geometric mean of the inverse penalty and of `invert_diagonal`; None where columns differ
    so much in scale that the diagonal itself is needed.

    Where most columns are curved by hardly more than the penalty, the few that all rows have in
    common hang together, and each alone seems to be curved more than it is.
    """
    objective = kept.objective
    total, penalty = np.diag(terms.bias_curvature)[:, None], objective.penalty
    with np.errstate(divide="ignore", over="ignore"):
        if total.max() / penalty[:-1].min(initial=np.inf) > FAR_APART:
            return None
        inverse = 1 / np.sqrt(penalty * (penalty + total))
    inverse[:, -1] = 1 / total[:, 0]
    inverse[:, objective.where.frozen] = 0
    inverse = np.asfortranarray(inverse)
    return lambda r: r * inverse


def sum_diagonal(kept: KeptRows, terms: Terms) -> Array:
    """The data's part of the Hessian's diagonal, (n_outputs, p + 1): a pass."""
    data = _sum_squares(kept, _curvature(kept, terms))
    return np.where(kept.objective.where.frozen, 0.0, data)


def _curvature(kept: KeptRows, terms: Terms) -> Array:
    """(n_outputs, n), s A (1 - A)."""
    if not kept.softmax:
        return terms.curved
    return np.asarray(terms.curved * (1 - terms.curved) * kept.rows.block.weights)


def _sum_squares(kept: KeptRows, q: Array) -> Array:
    """Sums of q x^2 in the objective's coordinates, (n_outputs, p + 1)."""

    def squares(block: Block) -> Array:
        parts = [tile.features.squares(tile.labels) for tile in block.tiles()]
        return sum(parts[1:], parts[0])

    where = kept.objective.where
    centre, total = where.residual_centre, q.sum(axis=1)
    data = kept.rows.beside(q).reduce(squares)
    if centre.any():
        sums = kept.rows.beside(q).reduce(
            lambda block: sum(tile.features.back(tile.labels) for tile in block.tiles())
        )
        data = data - 2 * centre * sums + np.outer(total, np.square(centre))
    return np.column_stack([np.maximum(data, 0) / np.square(where.spread), total])


def invert_blocks(kept: KeptRows, terms: Terms, m: int) -> Preconditioner:
    """For each class, X diag(s p (1 - p)) X' over some of the rows, plus the penalty, inverted."""
    objective = kept.objective
    curvature = _curvature(kept, terms)
    drawn, scale = _draw(curvature.sum(axis=0), m)
    features, q = _take(kept, drawn), curvature[:, drawn] * scale

    def sum_some(rows: slice, own: int = 0) -> Array:
        return _border(features.rows(rows.start, rows.stop), q[own, rows])

    def invert_own(own: int) -> Array:
        return invert_rough(_standardise(objective, sum_some(slice(0, len(drawn)), own)))

    if len(q) == 1:  # two threads may share its rows
        half = len(drawn) // 2
        total, other = kept.rows.run(sum_some, [slice(0, half), slice(half, len(drawn))])
        total += other
        del other
        stacked = invert_rough(_standardise(objective, total))[None]
    else:
        stacked = np.stack(kept.rows.run(invert_own, range(len(q))))
    return Factored(
        lambda r: np.asfortranarray(np.matmul(stacked, r[:, :, None])[:, :, 0]), stacked.size
    )


def invert_hessian(kept: KeptRows, terms: Terms, m: int) -> Preconditioner:
    """The softmax's whole Hessian over some of the rows, plus the penalty, factored.

    diag(p) - p p' for each row: p X'X for each class, less the square of all p X side by side, one
    product of matrices.
    """
    drawn, scale = _draw(_curvature(kept, terms).sum(axis=0), m)
    weights = kept.rows.block.weights[drawn] * scale
    for added in ADDED:
        H = _sum_hessian(kept, terms.curved, drawn, weights)
        level = 1 / np.sqrt(fill_flat(np.diag(H)))
        H *= level
        H *= level[:, None]
        H[np.diag_indices(len(H))] += added
        root, failed = linalg.lapack.dpotrf(H, lower=1, overwrite_a=1)
        if not failed:
            return Factored(partial(_solve_with, root, level), root.size)
    return invert_diagonal(kept, terms, exact=True)


def _solve_with(root: Array, level: Array, r: Array) -> Array:
    """The solution of H z = r, (n_outputs, p + 1), from the root of H with a unit diagonal."""
    solved, _ = linalg.lapack.dpotrs(root, r.ravel() * level, lower=1)
    return np.asfortranarray((solved * level).reshape(r.shape))


def _sum_hessian(kept: KeptRows, P: Array, drawn: Array, weights: Array) -> Array:
    """The lower triangle of the rows' Hessian with the penalty, some rows at a time."""
    objective = kept.objective
    H = np.zeros((objective.size, objective.size), order="F")
    for start in range(0, len(drawn), ROWS_AT_A_TIME):
        own = slice(start, start + ROWS_AT_A_TIME)
        X = _standardise_rows(objective, _take(kept, drawn[own])) * np.sqrt(weights[own])
        _add_hessian(kept, H, X, P[:, drawn[own]])
    H[np.diag_indices(len(H))] += np.tile(objective.penalty, objective.n_outputs)
    return H


def _standardise_rows(objective: Objective, features: Features) -> Array:
    """The rows in the objective's coordinates with their 1s, (p + 1, n)."""
    where, p = objective.where, features.n_columns
    X = np.ones((p + 1, features.n_rows))
    # The identity as weights gives the values themselves, of any layout.
    X[:-1] = features.linear(np.eye(p)) - where.residual_centre[:, None]
    X[:-1] /= where.spread[:, None]
    X[where.frozen] = 0
    return X


def _add_hessian(kept: KeptRows, H: Array, X: Array, P: Array) -> None:
    """Add the rows' sum of (diag(p) - p p') (x) x x' to the lower triangle of H, a class's columns
    at a time: these are for the threads."""
    width = len(X)
    A = (P[:, None, :] * X).reshape(len(H), -1)

    def add(k: int) -> None:
        first, own = k * width, slice(k * width, (k + 1) * width)
        H.T[own, first:] -= A[own] @ A[first:].T
        H.T[own, own] += A[own] @ X.T

    kept.rows.run(add, range(len(P)))


def _draw(curvature: Array, m: int) -> tuple[Array, Array]:
    """About m rows drawn by how much they curve, and what each stands for.

    A row's chance is its curvature over a level, at most 1, and its weight is divided by it: rows
    that curve much are all there, and the sums are right on average. Where classes are nearly
    separable a few rows hold nearly all the curvature.
    """
    n = len(curvature)
    if m >= n:
        return np.arange(n), np.ones(n)
    chance = np.minimum(1, _level(curvature, m) * curvature)
    places = np.cumsum(chance)
    # One row each time the running sum passes a half.
    drawn = np.flatnonzero(np.floor(places + 0.5) > np.floor(places - chance + 0.5))
    return drawn, 1 / chance[drawn]


def _take(kept: KeptRows, drawn: Array) -> Features:
    features = kept.rows.block.features
    taken = features if len(drawn) == features.n_rows else features.take(drawn)
    return taken.tile(0, taken.n_rows)


def _level(curvature: Array, m: int) -> float:
    """The factor by which min(1, factor * curvature) adds up to about m."""
    factor = m / max(float(curvature.sum()), 1e-300)
    for _ in range(5):
        sure = factor * curvature >= 1
        rest = float(curvature[~sure].sum())
        if rest <= 0:
            break
        factor = max(m - int(sure.sum()), 1) / rest
    return factor


def _border(features: Features, q: Array) -> Array:
    """X diag(q) X' with the row of 1s below X, (p + 1, p + 1)."""
    H = np.empty((features.n_columns + 1, features.n_columns + 1))
    H[:-1, :-1] = features.curvature(q)
    H[:-1, -1] = H[-1, :-1] = features.back(q[None])[0]
    H[-1, -1] = q.sum()
    return H


def _standardise(objective: Objective, raw: Array) -> Array:
    """A class's own block in the objective's coordinates, with the penalty."""
    where = objective.where
    H, centre, sums, total = raw, where.residual_centre, raw[:-1, -1].copy(), raw[-1, -1]
    H[:-1, :-1] -= np.outer(centre, sums) + np.outer(sums, centre)
    H[:-1, :-1] += total * np.outer(centre, centre)
    H[:-1, -1] = H[-1, :-1] = sums - total * centre
    scale = np.append(1 / where.spread, 1.0)
    H *= scale
    H *= scale[:, None]
    H[where.frozen] = 0
    H[:, where.frozen] = 0
    H[np.diag_indices(len(H))] += objective.penalty
    return H
