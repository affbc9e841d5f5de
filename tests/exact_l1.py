"""The exact optimum with an L1 penalty: in 60 digits on its support, and by trying every support.

Neither shares code with the project. F is the sum of `exact.Exact` plus alpha |W|_1.
"""

import itertools

import mpmath
import numpy as np
from exact import Exact, _inverse


def value_l1(exact: Exact, theta, alpha):
    """F at exact parameters (outputs, p + 1)."""
    p = exact.X.shape[1]
    return exact.value(theta) + alpha * sum(abs(v) for v in theta[:, :p].ravel())


def solve_on_support(exact: Exact, start, alpha):
    """Newton in exact numbers on the weights that `start` has, with their signs.

    Returns theta, the inverse Hessian on the support (with its places), or None where the KKT
    conditions do not hold strictly there: another support, or a tie.
    """
    p, theta = exact.X.shape[1], start.copy()
    signs = np.zeros(theta.shape, dtype=object) + mpmath.mpf(0)
    signs[:, :p] = np.vectorize(mpmath.sign, otypes=[object])(start[:, :p])
    kept = np.ones(theta.shape, dtype=bool)
    kept[:, :p] = signs[:, :p] != 0
    places = np.flatnonzero(kept.ravel())
    for _ in range(80):
        g, H = exact.slopes(theta)
        g = (g + alpha * signs.ravel())[places]
        inverse = _inverse((H + _pin(exact, kept))[np.ix_(places, places)])
        step = inverse @ g
        flat = theta.ravel().copy()
        flat[places] = flat[places] - step
        theta = flat.reshape(theta.shape)
        if abs(g @ step) <= mpmath.mpf(10) ** -80:
            break
    else:
        return None
    slopes = exact.slopes(theta)[0].reshape(theta.shape)[:, :p]
    off = ~kept[:, :p]
    stays = all(abs(v) < alpha for v in slopes[off])
    same = all(mpmath.sign(v) == s for v, s in zip(theta[kept], signs[kept]) if s != 0)
    return (theta, inverse, places) if stays and same else None


def _pin(exact: Exact, kept):
    """A softmax's biases may shift together."""
    k, width = exact.outputs, exact.A.shape[1]
    out = np.zeros((k * width, k * width), dtype=object) + mpmath.mpf(0)
    if k > 1 and width > exact.X.shape[1]:
        biases = np.arange(width - 1, k * width, width)
        out[np.ix_(biases, biases)] += mpmath.mpf(1)
    return out


def minimum_by_trying(X, y, alpha, ridge=0.0):
    """F's minimum over every choice of zeros and signs, float64; for p of 5 at most."""
    n, p = X.shape
    sign_y, best = np.where(y == 1, 1.0, -1.0), np.inf
    A = np.column_stack([X, np.ones(n)])
    for signs in itertools.product((-1, 0, 1), repeat=p):
        s = np.array([*signs, 0.0])
        kept = np.append(s[:-1] != 0, True)
        w = np.zeros(p + 1)
        for _ in range(100):
            m = sign_y * (A @ w)
            P = 1 / (1 + np.exp(m))
            g = -(A.T @ (sign_y * P)) + alpha * s + ridge * np.append(w[:-1], 0)
            H = (A.T * (P * (1 - P))) @ A + ridge * np.diag(np.append(np.ones(p), 0))
            step = np.linalg.lstsq(H[np.ix_(kept, kept)], g[kept], rcond=None)[0]
            length = min(1.0, 2.0 / max(np.abs(A[:, kept] @ step).max(), 1e-300))
            w[kept] -= length * step
            if np.abs(step).max() < 1e-12:
                break
        if np.isfinite(w).all() and (np.sign(w[:-1]) * signs >= 0).all():
            loss = np.logaddexp(0, -sign_y * (A @ w)).sum()
            l1 = alpha * np.abs(w[:-1]).sum()
            best = min(best, loss + l1 + 0.5 * ridge * np.square(w[:-1]).sum())
    return best
