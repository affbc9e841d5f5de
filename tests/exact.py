"""The exact optimum in 60 digits: an oracle that shares no code with the project.

Plain Newton steps on object arrays of mpmath numbers, from a start that float64 found, until the
step is below 1e-45 of its size.
"""

from dataclasses import dataclass

import mpmath
import numpy as np

DIGITS = 60


def to_exact(values):
    """An object array of mpmath numbers that equal the float64 values to the last bit."""
    return np.vectorize(lambda v: mpmath.mpf(float(v)), otypes=[object])(np.asarray(values))


_exp = np.vectorize(mpmath.exp, otypes=[object])
_log = np.vectorize(mpmath.log, otypes=[object])


@dataclass
class Exact:
    """A problem in exact numbers: X (n, p), class numbers y (n,), weights s (n,), C, intercept."""

    X: np.ndarray
    y: np.ndarray
    s: np.ndarray
    C: float
    fit_intercept: bool = True

    def __post_init__(self):
        held = self.s > 0
        n = int(held.sum())
        self.classes = int(self.y.max()) + 1
        ones = np.ones((n, 1)) if self.fit_intercept else np.ones((n, 0))
        self.A = to_exact(np.hstack([self.X[held], ones]))
        self.w, self.own = to_exact(self.s[held]), self.y[held].astype(int)
        self.outputs = 1 if self.classes == 2 else self.classes
        inverse = mpmath.mpf(0) if np.isinf(self.C) else 1 / mpmath.mpf(self.C)
        p = self.X.shape[1]
        self.ridge = np.array([inverse] * p + [mpmath.mpf(0)] * ones.shape[1], dtype=object)

    def pack(self, W, b):
        """Parameters as the network gives them -> (outputs, p + 1) in exact numbers."""
        return to_exact(np.hstack([W, b]) if self.fit_intercept else W)

    def probabilities(self, theta):
        """(n, outputs): of class 1, or of each class."""
        Z = self.A @ theta.T
        if self.outputs == 1:
            return 1 / (1 + _exp(-Z))
        e = _exp(Z - Z.max(axis=1)[:, None])
        return e / e.sum(axis=1)[:, None]

    def value(self, theta):
        """F, to all digits."""
        P = self.probabilities(theta)
        if self.outputs == 1:
            own = np.where(self.own == 1, P[:, 0], 1 - P[:, 0])
        else:
            own = P[np.arange(len(P)), self.own]
        return (self.w * -_log(own)).sum() + (self.ridge * theta**2).sum() / 2

    def slopes(self, theta):
        """The gradient (D,) and the Hessian (D, D) of F."""
        P, k = self.probabilities(theta), self.outputs
        onehot = to_exact(self.own[:, None] == (np.arange(k) if k > 1 else 1))
        R = (P - onehot) * self.w[:, None]
        g = (R.T @ self.A + self.ridge * theta).ravel()
        width = self.A.shape[1]
        H = np.zeros((k, width, k, width), dtype=object) + mpmath.mpf(0)
        for a in range(k):
            for c in range(k):
                q = self.w * P[:, a] * ((a == c) - P[:, c])
                H[a, :, c] = (self.A * q[:, None]).T @ self.A
            H[a, range(width), a, range(width)] += self.ridge
        return g, H.reshape(k * width, k * width)

    def optimum(self, start):
        """The minimiser (outputs, p + 1) from a nearby start, and the inverse Hessian there."""
        theta = start.copy()
        for _ in range(60):
            g, H = self.slopes(theta)
            inverse = _inverse(H + self._gauge())
            step = (inverse @ g).reshape(theta.shape)
            theta = theta - step
            if (g @ step.ravel()) <= mpmath.mpf(10) ** -80 * (1 + abs(self.value(theta))):
                return theta, inverse
        raise AssertionError("60 Newton steps from the start did not settle")

    def _gauge(self):
        """A softmax's biases may shift together; any curvature along that leaves the rest alone."""
        k, width = self.outputs, self.A.shape[1]
        out = np.zeros((k, width, k, width), dtype=object) + mpmath.mpf(0)
        if k > 1:
            for j in range(width):
                if self.ridge[j] == 0:
                    out[:, j, :, j] += mpmath.mpf(1)
        return out.reshape(k * width, k * width)


def _inverse(H):
    matrix = mpmath.matrix(H.tolist())
    return np.array((matrix**-1).tolist(), dtype=object)
