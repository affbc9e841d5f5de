"""From a program's float answer to a direction whose plane is met without rounding.

A linear program ends where as many rows lie on the plane as determine it. If their values are whole
numbers, as counts and dummies are, the direction is the null vector of a matrix of integers:
computed in integers, it is exact, and so is every margin that is a sum of integers below 2^53.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from onelayer.blocks import Block
from onelayer.separation.sides import Mask, Sides, to_csr

Array = NDArray[Any]

MOST_COLUMNS = 60  # of an exact elimination
MOST_PLANE_ROWS = 4000
LARGEST_WHOLE = 2**53
FINE = 1 << 12
SMALLEST_WEIGHT = 1e-9  # a scaled weight this far below the largest is the program's rounding


def drop_small(sides: Sides, direction: Array) -> Array:
    """The direction without weights that are rounding, measured over the columns' ranges."""
    scaled = direction[:, :-1] * sides.span
    out = direction.copy()
    out[:, :-1][np.abs(scaled) < SMALLEST_WEIGHT * np.abs(scaled).max(initial=1e-300)] = 0
    return out


def settle_on_plane(sides: Sides, direction: Array, on_plane: Mask, seed: int = 0) -> Array:
    """The same direction, for the rows as given, met exactly by the margins `on_plane` (q, n).

    In whole numbers where the rows allow; else the null vector of their values in float64; else
    as it was.
    """
    raw = sides.unshift(direction)
    others, chosen = np.nonzero(on_plane)
    if len(chosen) > MOST_PLANE_ROWS:
        picked = np.random.default_rng(seed).choice(len(chosen), MOST_PLANE_ROWS, replace=False)
        others, chosen = others[picked], chosen[picked]
    blocks = raw[: max(1, sides.n_outputs - 1)]
    used = np.append(np.any(direction[:, :-1] != 0, axis=0), sides.has_bias)
    support = np.flatnonzero(np.broadcast_to(used, blocks.shape).ravel() & _may(blocks, sides))
    if not len(chosen) or not 1 <= len(support) <= MOST_COLUMNS:
        return raw
    plane = sides.contrasts(others, chosen, scaled=False)[:, support].toarray()
    null = find_null_vector(np.unique(plane, axis=0), blocks.ravel()[support])
    if null is None:
        return raw
    out = np.zeros(blocks.size)
    out[support] = null
    settled = np.zeros_like(raw)
    settled[: len(blocks)] = out.reshape(blocks.shape)
    return settled


def _may(blocks: Array, sides: Sides) -> Mask:
    """Weights that are not 0, and every bias."""
    out = blocks != 0
    out[:, -1] = sides.has_bias
    return np.asarray(out.ravel())


def find_null_vector(M: Array, near: Array) -> Array | None:
    """A vector close to the line of `near` with M v = 0; None where only 0 is one.

    In whole numbers, and exact, where M is whole.

    >>> M = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0]])
    >>> find_null_vector(M, np.array([1.9, -1.0, 1.1])).tolist()
    [2.0, -1.0, 1.0]
    """
    scale = np.abs(M).max(axis=0, initial=0)
    scale[scale == 0] = 1
    unit, aim = M / scale, near * scale
    _, sizes, vectors = linalg.svd(unit, full_matrices=True)
    rank = int((sizes > 1e-6 * sizes[0]).sum())
    null = vectors[rank:]
    if not len(null):
        return None
    v = null.T @ (null @ aim) if len(null) > 1 else null[0] * np.copysign(1.0, null[0] @ aim)
    if (np.rint(M) == M).all() and np.abs(M).max() < 2**31:
        _, _, order = linalg.qr(unit.T, pivoting=True, mode="economic")
        exact = _solve_whole(M[order[:rank]], v / scale)
        if exact is not None:
            return exact
    return np.asarray(v / scale)


def _solve_whole(M: Array, near: Array) -> Array | None:
    """Whole numbers v, in the direction of `near`, with M v = 0 for whole independent rows.

    Gauss and Jordan's elimination with Bareiss's division, which is exact, leaves `last` times a
    pivot's number as a sum over the free ones; those are rounded to `FINE` parts of the largest.
    """
    rows = [[int(value) for value in row] for row in M]
    last, pivots = 1, list[int]()
    for i in range(len(rows)):
        j = max(range(len(near)), key=lambda c: (c not in pivots and rows[i][c] != 0, -c))
        if j in pivots or not rows[i][j]:
            return None
        pivots.append(j)
        for h in range(len(rows)):
            if h != i:
                pairs = zip(rows[h], rows[i], strict=True)
                head, factor = rows[i][j], rows[h][j]
                rows[h] = [(head * a - factor * b) // last for a, b in pairs]
        last = rows[i][j]
    free = [c for c in range(len(near)) if c not in pivots]
    largest = float(np.abs(near[free]).max())
    if not largest > 0:
        return None
    sign = 1 if last > 0 else -1
    v = [0] * len(near)
    for c in free:
        v[c] = sign * last * round(float(near[c]) / largest * FINE)
    for i, j in enumerate(pivots):
        v[j] = -sum(rows[i][c] * v[c] for c in free) // last
    common = math.gcd(*v)
    v = [value // common for value in v]
    return np.array(v, dtype=np.float64) if max(map(abs, v)) < 2**31 else None


def is_exact(sides: Sides, direction: Array, margins: Array, open_: Mask) -> bool:
    """Whether the margins' signs are free of rounding.

    They are where they are larger than it, where every term is 0, and where all are sums of whole
    numbers below 2^53.
    """
    close = open_ & (np.abs(margins) <= sides.rounding(direction))
    if not close.any() or _is_whole(sides, direction):
        return True
    chosen = np.flatnonzero(close.any(axis=0))
    if len(chosen) > MOST_PLANE_ROWS:
        return False
    terms = to_csr(sides.rows.block.features.take(chosen))
    used = np.abs(direction).max(axis=0)
    return bool((abs(terms) @ used == 0).all())


def _is_whole(sides: Sides, direction: Array) -> bool:
    size = np.append(sides.size + np.abs(sides.shift), 1.0)
    whole = np.rint(direction) == direction
    if not whole.all() or (np.abs(direction) @ size).max() * 2 > LARGEST_WHOLE:
        return False
    used = np.flatnonzero(direction[:, :-1].any(axis=0))
    E = np.zeros((len(used), sides.rows.n_columns))
    E[np.arange(len(used)), used] = 1.0

    def check(block: Block) -> bool:
        return all(
            bool((np.rint(values) == values).all())
            for values in (tile.features.linear(E) for tile in block.tiles())
        )

    return sides.rows.reduce(check, lambda a, b: a and b)
