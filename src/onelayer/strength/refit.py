"""Exact fits of a small table without one row, many rows side by side."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.loss import Loss, SigmoidLoss
from onelayer.objective import Objective

Array = NDArray[Any]

STEPS = 30  # damped Newton steps; the last ones double the digits
ENOUGH = 1e-2  # standard errors before the last step, about its square after it
AT_ONCE = 1 << 18  # numbers a row in the air: rows x outputs x parameters


class Refit:
    """A table's rows in standardised coordinates, and fits of all but one of them.

    Parameters
    ----------
    objective: over a table small enough to be held twice.
    """

    def __init__(self, objective: Objective) -> None:
        block, where = objective.rows.block, objective.where
        W, bias = where.to_tiles(np.diag(np.where(where.frozen, 0.0, 1.0)))
        tiles = [tile.features.linear(W) + bias[:, None] for tile in block.tiles()]
        self.X = np.hstack(tiles).T  # (n, p + 1)
        self.weights, self.labels, self.groups = block.weights, block.labels, objective.groups
        self.loss: Loss = SigmoidLoss(1) if objective.groups > 1 else objective.loss
        outputs = objective.n_outputs // objective.groups
        # A frozen parameter moves nothing; any curvature keeps the equations regular.
        self.penalty = np.tile(objective.penalty, outputs)
        self.ridge = np.where(np.tile(where.frozen, outputs), 1.0, self.penalty)

    def losses(self, group: int, theta: Array, left: Array, held: Array) -> Array:
        """The log loss of rows `left` (k,), each under the fit without `held` (k,) of its weight.

        Parameters
        ----------
        theta: (n_outputs, p + 1), the fit of all rows, from which the steps set out.
        """
        labels = self.labels[group : group + 1] if self.groups > 1 else self.labels
        start = theta[group : group + 1] if self.groups > 1 else theta
        size = max(1, AT_ONCE // (len(self.X) * len(start)))
        parts = [
            self._fit(start, labels, left[k : k + size], held[k : k + size])
            for k in range(0, len(left), size)
        ]
        return np.concatenate(parts)

    def _fit(self, start: Array, labels: Array, left: Array, held: Array) -> Array:
        """Newton steps of length log(1 + R) / R, R the largest move of a logit: each descends."""
        K, D = start.shape
        theta = np.broadcast_to(start, (len(left), K, D)).copy()
        rows = np.arange(len(left))
        s = np.tile(self.weights, (len(left), 1))
        s[rows, left] -= held
        for _ in range(STEPS):
            Z = np.einsum("nd,jkd->kjn", self.X, theta)
            terms = self._terms(Z, labels)
            gradient, hessian = self._slopes(theta, s, *terms)
            step = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
            decrement = np.sqrt(np.maximum((step * gradient).sum(axis=1), 0))
            moves = np.einsum("nd,jkd->jkn", self.X, step.reshape(-1, K, D))
            spread = moves[:, 0] if K == 1 else moves.max(axis=1) - moves.min(axis=1)
            R = np.maximum(np.abs(spread).max(axis=1), 1e-12)
            theta -= (np.log1p(R) / R)[:, None, None] * step.reshape(-1, K, D)
            if decrement.max() <= ENOUGH:
                break
        Z = np.einsum("jd,jkd->kj", self.X[left], theta)
        return np.asarray(self.loss.terms(Z, labels[:, left]).loss[0])

    def _terms(self, Z: Array, labels: Array) -> tuple[Array, Array]:
        """Slopes (K, k, n) and curvatures (K, K, k, n) by the logits, rows of all fits at once."""
        K, k, n = Z.shape
        terms = self.loss.terms(Z.reshape(K, k * n), np.tile(labels, k))
        if terms.probability is None:
            return terms.residual.reshape(Z.shape), terms.curvature.reshape(1, 1, k, n)
        P = -terms.probability[:, None] * terms.probability[None]
        P[np.arange(K), np.arange(K)] = terms.curvature
        return terms.residual.reshape(Z.shape), P.reshape(K, K, k, n)

    def _slopes(self, theta: Array, s: Array, r: Array, P: Array) -> tuple[Array, Array]:
        k, K, D = theta.shape
        gradient = ((r * s) @ self.X).transpose(1, 0, 2).reshape(k, K * D)
        gradient = gradient + self.penalty * theta.reshape(k, K * D)
        blocks = np.empty((k, K, D, K, D))
        for a in range(K):
            for b in range(K):
                weighted = (P[a, b] * s)[:, :, None] * self.X
                blocks[:, a, :, b] = weighted.transpose(0, 2, 1) @ self.X
        if K > 1:  # curvature along what all classes share, which moves no probability
            level = np.einsum("kadad->kd", blocks) / K**2 + 1e-12
            blocks += level[:, None, :, None, None] * np.eye(D)[:, None]
        hessian = blocks.reshape(k, K * D, K * D)
        np.einsum("kii->ki", hessian)[...] += self.ridge
        return gradient, hessian
