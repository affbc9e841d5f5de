"""The log loss of every row under a fit without it, from the one factor of the fit with it.

Leaving a row out moves its logit from z to

    z_out = z - (I - h A P)^-1 (x~'d - h A r),       A = x~'H^-1 x~ for each pair of outputs,

one Newton step on the other rows: r and P are the row's slope and curvature, h the weight that is
left out, d the Newton step that the fit itself still had to make. Where a row pulls so hard that
its absence would change the others' curvature, the fit without it is made. Source: the derivation
in docs/mathematics.md; the idea is Allen's (1974) and Pregibon's (1981).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from onelayer.blocks import TILE_VALUES, Block
from onelayer.loss import Loss, SigmoidLoss, Terms
from onelayer.objective import Objective
from onelayer.solvers.factor import factor
from onelayer.solvers.second_order import State
from onelayer.strength.refit import Refit

Array = NDArray[Any]

FAR = 0.3  # lambda m of a left-out row: beyond it one Newton step may be off by e^0.3
REFIT_WORK = 2e6  # multiplications that a step of the exact fits may take: a millisecond
HOPELESS = 1.25  # times the least loss so far: no exact fit would make this C the best
LEAST_LEFT = 1e-10  # of the row's own direction, once the row is gone


@dataclass(frozen=True)
class LeftOut:
    """What leaving one copy of each row out does, by one Newton step.

    Attributes
    ----------
    loss: (groups, n), the row's log loss without it, nats.
    decrement: (groups, n), how far its absence moves the optimum, in standard errors.
    reach: (groups, n), sqrt of the row's own leverage x~'H^-1 x~.
    """

    loss: Array
    decrement: Array
    reach: Array


def leave_one_out(
    objective: Objective, state: State, copies: Array, shares: Array, best: float = np.inf
) -> float:
    """The mean log loss of rows without one copy of each.

    Parameters
    ----------
    objective, state: a second-order solver's state with the Hessian; near the optimum, not at it.
    copies: (n,), the weight of one copy of each row; a row of a smaller weight goes as a whole.
    shares: (groups, n), of each row's loss in the mean.
    best: the least mean so far; one far above it is left as rough as it is.
    """
    held = np.minimum(objective.rows.block.weights, copies)
    found = measure_left_out(objective, state, held)
    if (found.loss * shares).sum() <= HOPELESS * best:
        theta = objective.by_output(state.theta.ravel()[None])
        _refit_far_rows(objective, theta, held, found)
    return float((found.loss * shares).sum())


def measure_left_out(objective: Objective, state: State, held: Array) -> LeftOut:
    """One Newton step for every row, in one pass over the rows; `held` (n,) is left out of each."""
    roots = _inverse_roots(objective, state)
    d = objective.by_output(np.stack([point.direction for point in state.points]))
    first = 0
    parts = []
    # The source's own order and its own blocks: rows and what is held of them stay side by side.
    tasks = objective.rows.map(
        lambda block: _measure_block(objective, state.theta, d, roots, block)
    )
    for pieces in tasks:
        for Z, step, terms, A, labels in pieces:
            last = first + Z.shape[1]
            parts.append(_step_out(objective.loss, Z, step, terms, A, labels, held[first:last]))
            first = last
    return LeftOut(*(np.concatenate(each, axis=1) for each in zip(*parts, strict=True)))


def _inverse_roots(objective: Objective, state: State) -> list[Array]:
    """Per group a root R of the inverse, R'R = H^-1, (D, outputs, p + 1): weights of D logits."""
    assert state.evaluation.hessian is not None
    roots = []
    for H in state.evaluation.hessian:
        inverse = factor(H + _common(objective, H)).inverse
        frozen = np.tile(objective.where.frozen, len(H) // objective.width)
        inverse = np.where(frozen[:, None] | frozen, 0.0, inverse)
        roots.append(_root(inverse).reshape(-1, len(H) // objective.width, objective.width))
    return roots


def _root(A: Array) -> Array:
    """R with R'R = A, for a symmetric matrix of no negative curvature: triangular, if A allows."""
    triangle, failed = linalg.lapack.dpotrf(A, lower=0)
    if not failed:
        return np.asarray(np.triu(triangle))
    values, vectors = linalg.eigh(A)
    root = (np.sqrt(np.maximum(values, 0)) * vectors).T
    return np.asarray(root[values > 0])


def _common(objective: Objective, H: Array) -> Array:
    """Curvature along what all classes of a softmax share, where the rows have none.

    It moves A by the same amount in all entries, which P and r do not see.
    """
    K = len(H) // objective.width
    if K == 1:
        return np.zeros_like(H)
    level = np.diag(H).reshape(K, objective.width).mean(axis=0)
    return np.kron(np.ones((K, K)) / K, np.diag(level))


def _measure_block(
    objective: Objective, theta: Array, d: Array, roots: list[Array], block: Block
) -> list[tuple[Array, Array, Terms, Array, Array]]:
    largest = max(root.shape[0] for root in roots)
    step = max(64, 4 * TILE_VALUES // largest)  # the logits by the root are to stay in cache too
    pieces = []
    for tile in block.tiles():
        for start in range(0, tile.n_rows, step):
            part = tile.rows(start, min(start + step, tile.n_rows))
            Z = _logits(objective, theta, part)
            A = [_leverage(objective, root, part) for root in roots]
            pieces.append(
                (
                    Z,
                    _logits(objective, d, part),
                    objective.loss.terms(Z, part.labels),
                    np.stack(A),
                    part.labels,
                )
            )
    return pieces


def _logits(objective: Objective, theta: Array, tile: Block) -> Array:
    W, bias = objective.where.to_tiles(theta)
    return np.asarray(tile.features.linear(W) + bias[:, None])


def _leverage(objective: Objective, root: Array, tile: Block) -> Array:
    """x~'H^-1 x~ for each pair of the group's outputs, (m, K, K)."""
    turned = np.stack([_logits(objective, root[:, k], tile) for k in range(root.shape[1])])
    if len(turned) == 1:
        return np.asarray(np.einsum("dm,dm->m", turned[0], turned[0])[:, None, None])
    by_row = turned.transpose(2, 0, 1)
    return np.asarray(by_row @ by_row.transpose(0, 2, 1))


def _step_out(
    loss: Loss, Z: Array, step: Array, terms: Terms, A: Array, labels: Array, h: Array
) -> tuple[Array, Array, Array]:
    """Loss, decrement and reach of a tile's rows, each (groups, m), one Newton step without h."""
    if isinstance(loss, SigmoidLoss):
        out, decrement, reach = step_out(Z, step, terms.curvature, terms.residual, A[:, :, 0, 0], h)
        return loss.terms(out, labels).loss, decrement, reach
    return _step_out_of_softmax(loss, Z, step, terms, A[0], labels, h)


def step_out(
    Z: Array, step: Array, q: Array, r: Array, a: Array, h: Array
) -> tuple[Array, Array, Array]:
    """Logits without a weight h of each row, and what that moves: decrement and reach.

    Parameters
    ----------
    Z, step: the rows' logits, and what the fit's own Newton step takes off them.
    q, r, a: the rows' curvature, residual A - Y and leverage x~'H^-1 x~.
    """
    left = np.maximum(1 - h * q * a, LEAST_LEFT)
    out = Z - (step - h * r * a) / left
    return out, h * np.abs(r) * np.sqrt(a / left), np.sqrt(a)


def _step_out_of_softmax(
    loss: Loss, Z: Array, step: Array, terms: Terms, A: Array, labels: Array, h: Array
) -> tuple[Array, Array, Array]:
    assert terms.probability is not None
    p, r = terms.probability.T, terms.residual.T
    hAP = h[:, None, None] * (A * p[:, None, :] - (A @ p[:, :, None]) * p[:, None, :])
    left = np.eye(p.shape[1]) - hAP
    pull = h[:, None] * (A @ r[:, :, None])[:, :, 0]
    both = np.stack([step.T - pull, pull], axis=2)
    try:
        moved = np.linalg.solve(left, both)
    except np.linalg.LinAlgError:  # a row that alone holds up a direction
        moved = np.linalg.pinv(left) @ both
    own = np.diagonal(A, axis1=1, axis2=2)
    apart = (own[:, :, None] + own[:, None, :] - 2 * A).max(axis=(1, 2))
    decrement = np.maximum(h * (r * moved[:, :, 1]).sum(axis=1), 0)
    out = Z - moved[:, :, 0].T
    return loss.terms(out, labels).loss, np.sqrt(decrement)[None], np.sqrt(apart)[None]


def _refit_far_rows(objective: Objective, theta: Array, held: Array, found: LeftOut) -> None:
    """Put exact fits in the place of Newton steps that may be far off, the farthest first.

    The fits set out from `theta`, (n_outputs, p + 1), the standardised one of all rows.
    """
    D = objective.size
    most = int(REFIT_WORK // (objective.groups * objective.rows.n_rows * D * D))
    weights = objective.rows.block.weights
    refit: Refit | None = None
    for k in range(objective.groups):
        chosen = find_far_rows(found, k, weights)[:most]
        if len(chosen):
            refit = refit or Refit(objective)
            found.loss[k, chosen] = refit.losses(k, theta, chosen, held[chosen])


def find_far_rows(found: LeftOut, k: int, weights: Array) -> NDArray[np.intp]:
    """Rows whose absence moves group k's optimum too far for one step, the farthest first."""
    far = found.decrement[k] * found.reach[k].max()
    wanted = np.flatnonzero((far > FAR) & (weights > 0))
    return wanted[np.argsort(-(far * weights)[wanted], kind="stable")]
