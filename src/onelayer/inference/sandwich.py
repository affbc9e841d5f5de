"""The middle of the sandwich: products of the rows' slopes, or of sums of them over clusters.

All in the coordinates of the objective, (groups, D, D), without the penalty.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block
from onelayer.coordinates import Coordinates
from onelayer.objective import Objective

Array = NDArray[Any]

TILE = 256  # rows whose slopes are summed by cluster in one product
CHUNK = 1 << 13  # rows copied at a time into the order of their clusters


def sum_slope_products(objective: Objective, theta: Array, squared: bool) -> Array:
    """sum s r r' (x) x~x~' over the rows, in one pass; s^2 for s where `squared`."""
    W, bias = objective.where.to_tiles(theta)
    pairs = list(objective.loss.pairs())

    def products(block: Block) -> Array:
        total = np.zeros((len(pairs), objective.width, objective.width))
        for tile in block.tiles():
            r = _residuals(objective, tile, W, bias)
            s = np.square(tile.weights) if squared else tile.weights
            for place, (k, j) in enumerate(pairs):
                total[place] += _border(tile, s * r[k] * r[j])
        return total

    A = _to_standard(objective.where)
    out = np.zeros((objective.groups, objective.size, objective.size))
    width = objective.width
    for (k, j), raw in zip(pairs, objective.rows.reduce(products), strict=True):
        group, a, b = (k, 0, 0) if objective.groups > 1 else (0, k * width, j * width)
        out[group, a : a + width, b : b + width] = A @ raw @ A.T
        out[group, b : b + width, a : a + width] = out[group, a : a + width, b : b + width].T
    return out


def sum_cluster_products(objective: Objective, theta: Array, codes: Array) -> Array:
    """sum u u' over the clusters, u the sum of s r (x) x~ over a cluster's rows.

    Parameters
    ----------
    codes: (n,), the number of each row's cluster.

    Rows are taken in the order of their clusters, so that the sums of few clusters are held at a
    time: there may be as many clusters as rows.
    """
    width, n = objective.width, objective.n_outputs
    order = np.argsort(codes, kind="stable")
    total = np.zeros((objective.groups, objective.size, objective.size))
    open_code, open_sum = -1, np.zeros((n, width))
    for start in range(0, len(order), TILE):
        if start % CHUNK == 0:
            block = objective.rows.block.take(order[start : start + CHUNK])
        here = codes[order[start : start + TILE]]
        sums = _sum_by_cluster(objective, theta, block, start % CHUNK, here)
        if here[0] == open_code:
            sums[0] += open_sum
        elif open_code >= 0:
            total += _multiply(objective, open_sum[None])
        total += _multiply(objective, sums[:-1])
        open_code, open_sum = here[-1], sums[-1]
    return total + _multiply(objective, open_sum[None])


def _sum_by_cluster(
    objective: Objective, theta: Array, block: Block, start: int, codes: Array
) -> Array:
    """(clusters, n_outputs, p + 1): the slopes of the rows from `start` on, summed by cluster."""
    W, bias = objective.where.to_tiles(theta)
    stop = start + len(codes)
    part = block.rows(start, stop)
    tile = Block(block.features.tile(start, stop), part.labels, part.weights)
    r = _residuals(objective, tile, W, bias) * tile.weights
    names, member = np.unique(codes, return_inverse=True)
    R = np.zeros((len(names), len(r), len(codes)))
    R[member, :, np.arange(len(codes))] = r.T
    flat = R.reshape(-1, len(codes))
    slopes = np.column_stack([tile.features.back(flat), flat.sum(axis=1)])
    return np.asarray(slopes @ _to_standard(objective.where).T).reshape(len(names), len(r), -1)


def _multiply(objective: Objective, sums: Array) -> Array:
    """Sum over clusters of u u' for each group of outputs."""
    by_group = sums.reshape(len(sums), objective.groups, objective.size).transpose(1, 0, 2)
    return np.asarray(by_group.transpose(0, 2, 1) @ by_group)


def _residuals(objective: Objective, tile: Block, W: Array, bias: Array) -> Array:
    Z = tile.features.linear(W)
    Z += bias[:, None]
    return objective.loss.terms(Z, tile.labels).residual


def _border(tile: Block, q: Array) -> Array:
    """sum q x~x~'; q of either sign, which `curvature` does not take."""
    below = np.maximum(-q, 0)
    out = np.empty((tile.features.n_columns + 1,) * 2)
    out[:-1, :-1] = tile.features.curvature(np.maximum(q, 0))
    if below.any():
        out[:-1, :-1] -= tile.features.curvature(below)
    out[-1, :-1] = out[:-1, -1] = tile.features.back(q[None])[0]
    out[-1, -1] = q.sum()
    return out


def _to_standard(where: Coordinates) -> Array:
    """A with A x~ a row in standardised coordinates, as a tile gives it; frozen places are 0."""
    A = np.diag(np.append(1 / where.spread, 1.0))
    A[:-1, -1] = -where.residual_centre / where.spread
    A[where.frozen] = 0
    return A
