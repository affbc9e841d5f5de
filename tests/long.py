"""The least value of F on tables too wide for 60 digits: a lower bound in 80-bit numbers.

With the bias solved for, F is convex in the weights with a curvature of at least 1 / C, so that it
lies nowhere lower than F(w) - C |g_w|^2 / 2. A few Newton steps from a nearby w, their equations
solved by conjugate gradients in float64, make that sharp.
"""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, cg

Long = np.longdouble


class LongTable:
    """Sums over the non-zeros of a sparse or dense table of one sigmoid, in 80 bits."""

    def __init__(self, X, y, s, C):
        self.X = sparse.csr_array(X, dtype=np.float64)
        self.rows = np.repeat(np.arange(self.X.shape[0]), np.diff(self.X.indptr))
        self.data = self.X.data.astype(Long)
        self.sign, self.s, self.C = 2 * Long(1) * y - 1, s.astype(Long), Long(C)

    def margins(self, w, b):
        z = np.zeros(self.X.shape[0], Long)
        np.add.at(z, self.rows, self.data * w[self.X.indices])
        return self.sign * (z + b)

    def back(self, r):
        g = np.zeros(self.X.shape[1], Long)
        np.add.at(g, self.X.indices, self.data * r[self.rows])
        return g

    def value(self, w, b):
        u = self.margins(w, b)
        loss = np.log1p(np.exp(-np.abs(u))) + np.maximum(-u, 0)
        return (self.s * loss).sum() + (w @ w) / (2 * self.C)

    def settle(self, w, b):
        """The best bias for these weights; the slopes there, and the rows' curvatures."""
        for _ in range(50):
            u = self.margins(w, b)
            miss = 1 / (1 + np.exp(u))
            q = self.s * miss * (1 - miss)
            step = -(self.s * self.sign * miss).sum() / q.sum()
            b = b - step
            if abs(step) <= 1e-18 * (1 + abs(b)):
                break
        return b, w / self.C - self.back(self.s * self.sign * miss), q

    def least(self, w, b):
        """A number that F does not fall below, from weights (p,) and a bias nearby."""
        w, b = w.astype(Long), Long(b)
        for _ in range(8):
            b, g, q = self.settle(w, b)
            bound = self.C * (g @ g) / 2
            if bound <= 1e-18 * self.value(w, b):
                break
            w = w - self._solve(g.astype(float), q.astype(float))
        return self.value(w, b) - bound

    def _solve(self, g, q):
        """A Newton step of the weights, the bias going along."""
        X, ridge, drag = self.X, 1 / float(self.C), self.X.T @ q / np.sqrt(q.sum())

        def apply(v):
            return X.T @ (q * (X @ v)) - drag * (drag @ v) + ridge * v

        diagonal = X.multiply(X).T @ q + ridge
        shape = (len(g), len(g))
        d, _ = cg(
            LinearOperator(shape, apply, dtype=float),
            g,
            rtol=1e-9,
            maxiter=5000,
            M=LinearOperator(shape, lambda r: r / diagonal, dtype=float),
        )
        return d
