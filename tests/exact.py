"""The exact optimum in 60 digits: an oracle that shares no code with the project.

Plain Newton steps on object arrays of MPFR numbers, from a start that float64 found, until the step
is below 1e-40 of its size. An L1 penalty is solved on the support that the start shows, and what
was left out is then checked.
"""

from dataclasses import dataclass

import gmpy2
import numpy as np

DIGITS = 60
gmpy2.get_context().precision = 200  # bits

ZERO, ONE = gmpy2.mpfr(0), gmpy2.mpfr(1)
NEAR = ONE / 10**80  # of a squared decrement

_to_exact = np.frompyfunc(lambda v: gmpy2.mpfr(float(v)), 1, 1)
_exp, _log, _log1p = (np.frompyfunc(f, 1, 1) for f in (gmpy2.exp, gmpy2.log, gmpy2.log1p))
sqrt = gmpy2.sqrt


def to_exact(values):
    """An object array of numbers that equal the float64 values to the last bit."""
    return np.asarray(_to_exact(np.asarray(values)), dtype=object)


def zeros(*shape):
    """An object array of exact zeros."""
    return np.full(shape, ZERO, dtype=object)


@dataclass
class Exact:
    """A problem in exact numbers: X (n, p), class numbers y (n,), weights s (n,), C, intercept.

    The penalty is (1 / C) ((1 - l1_ratio) / 2 |W|^2 + l1_ratio |W|_1).
    """

    X: np.ndarray
    y: np.ndarray
    s: np.ndarray
    C: float
    fit_intercept: bool = True
    l1_ratio: float = 0.0

    def __post_init__(self):
        held = self.s > 0
        n = int(held.sum())
        self.classes = int(self.y.max()) + 1
        ones = np.ones((n, 1)) if self.fit_intercept else np.ones((n, 0))
        self.A = to_exact(np.hstack([self.X[held], ones]))
        self.w, self.own = to_exact(self.s[held]), self.y[held].astype(int)
        self.outputs = 1 if self.classes == 2 else self.classes
        self.onehot = to_exact(
            self.own[:, None] == (np.arange(self.outputs) if self.outputs > 1 else 1)
        )
        inverse = ZERO if np.isinf(self.C) else 1 / gmpy2.mpfr(self.C)
        share = gmpy2.mpfr(self.l1_ratio)
        weights, rest = np.full(self.X.shape[1], ONE), zeros(ones.shape[1])
        self.ridge = np.append(weights * inverse * (1 - share), rest)
        self.kappa = np.append(weights * inverse * share, rest)

    def pack(self, W, b):
        """Parameters as the network gives them -> (outputs, p + 1) in exact numbers."""
        return to_exact(np.hstack([W, b]) if self.fit_intercept else W)

    def terms(self, theta):
        """Loss (n,), probabilities (n, outputs), and those less the labels, to all digits."""
        Z = self.A @ theta.T
        if self.outputs == 1:
            sign = 2 * self.onehot[:, 0] - 1
            e = _exp(-sign * Z[:, 0])
            miss = e / (1 + e)
            P = np.where(self.own == 1, 1 / (1 + e), miss)
            return _log1p(e), P[:, None], (-sign * miss)[:, None]
        rows = np.arange(len(Z))
        e = _exp(Z - Z[rows, self.own][:, None])
        others = e.copy()
        others[rows, self.own] = ZERO
        rest = others.sum(axis=1)
        P = e / (1 + rest)[:, None]
        R = P.copy()
        R[rows, self.own] = -rest / (1 + rest)
        return _log1p(rest), P, R

    def value(self, theta):
        """F, to all digits."""
        loss, _, _ = self.terms(theta)
        lasso = (self.kappa * np.abs(theta)).sum()
        return (self.w * loss).sum() + (self.ridge * theta**2).sum() / 2 + lasso

    def gradient(self, theta):
        """The gradient (outputs, p + 1) of F without its L1 part."""
        _, _, R = self.terms(theta)
        return (R * self.w[:, None]).T @ self.A + self.ridge * theta

    def slopes(self, theta):
        """The gradient (D,) and the Hessian (D, D) of F without its L1 part."""
        _, P, R = self.terms(theta)
        k, width = self.outputs, self.A.shape[1]
        g = ((R * self.w[:, None]).T @ self.A + self.ridge * theta).ravel()
        H = zeros(k, width, k, width)
        for a in range(k):
            for c in range(a + 1):
                q = self.w * P[:, a] * (1 - P[:, a] if a == c else -P[:, c])
                H[a, :, c] = (self.A * q[:, None]).T @ self.A
                H[c, :, a] = H[a, :, c].T
            H[a, range(width), a, range(width)] += self.ridge
        return g, H.reshape(k * width, k * width)

    def optimum(self, start):
        """The minimiser (outputs, p + 1) from a nearby start, and the inverse Hessian there.

        With an L1 penalty the inverse is that over the support, 0 elsewhere.
        """
        support = np.ones(start.shape, dtype=bool)
        if self.l1_ratio:
            support = (self.kappa == 0) | (start != 0)
        for _ in range(20):
            theta, inverse = self._descend(np.where(support, start, ZERO), support)
            more = self._misplaced(theta, support)
            if not more.any():
                return theta, inverse
            support, start = support ^ more, theta
        raise AssertionError("20 supports were tried and none holds the optimum")

    def _misplaced(self, theta, support):
        """What is held and has crossed 0, or is 0 and has a slope beyond its L1 penalty."""
        if not self.l1_ratio:
            return np.zeros(support.shape, dtype=bool)
        crossed = support & (self._sign != np.sign(theta.astype(float))) & (self.kappa > 0)
        if crossed.any():
            return crossed
        return ~support & (np.abs(self.gradient(theta)) > self.kappa)

    def _descend(self, theta, support):
        """Newton steps on the support, with the signs that it starts with."""
        flat = np.flatnonzero(support)
        sign = np.sign(theta.astype(float))
        if self.l1_ratio:  # a new column sets out against its slope
            fresh = support & (sign == 0) & (self.kappa > 0)
            sign = np.where(fresh, -np.sign(self.gradient(theta).astype(float)), sign)
        self._sign = sign
        lasso = (self.kappa * to_exact(sign)).ravel()
        for _ in range(200):
            g, H = self.slopes(theta)
            g = (g + lasso)[flat]
            inverse = invert((H + self._gauge())[np.ix_(flat, flat)])
            step = inverse @ g
            squared = g @ step
            length = 1 / (1 + sqrt(squared) / 2) if squared > 0.01 and self.l1_ratio else ONE
            theta = theta.copy()
            theta.ravel()[flat] -= length * step
            if squared <= NEAR * (1 + abs(self.value(theta))):
                whole = zeros(theta.size, theta.size)
                whole[np.ix_(flat, flat)] = inverse
                return theta, whole
        raise AssertionError("200 Newton steps from the start did not settle")

    def _gauge(self):
        """A softmax's parameters may shift together where no penalty holds them.

        Any curvature along that leaves the rest alone.
        """
        k, width = self.outputs, self.A.shape[1]
        out = zeros(k, width, k, width)
        if k > 1:
            for j in np.flatnonzero((self.ridge == 0) & (self.kappa == 0)):
                out[:, j, :, j] += ONE
        return out.reshape(k * width, k * width)


def invert(H):
    """The inverse of a symmetric positive definite matrix, by Gauss and Jordan."""
    scale = np.array([1 / sqrt(v) for v in np.diag(H)], dtype=object)
    M = np.hstack([H * scale * scale[:, None], to_exact(np.eye(len(H)))])
    for k in range(len(M)):
        assert M[k, k] > 0, "the Hessian is singular"
        M[k] = M[k] / M[k, k]
        factors = M[:, k].copy()
        factors[k] = ZERO
        M -= factors[:, None] * M[k]
    return M[:, len(M) :] * scale * scale[:, None]
