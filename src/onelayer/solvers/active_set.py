"""The minimum of a parabola plus an L1 norm, one parameter in or out at a time.

The parameters that are not 0 are held, and H over those held always has an inverse: a *tableau*,
exchanged at one parameter a step, has it, and beside it how the other slopes follow. Each step goes
to the least Q over those held, or as far as the first of them reaches 0 and is let go; then the
steepest of the others is taken in. One whose column depends on those held moves with them along a
line on which H does not bend, until one reaches 0 and makes room (as in inertia-controlling
methods: Gill, Murray, Saunders and Wright, SIAM Review 33, 1991). Q falls each time and there are
finitely many choices: the walk ends where guesses at the signs go astray, as they do where columns
overlap, and where they depend on each other, as the levels of categories do.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

Array = NDArray[Any]

DEPENDENT = 1e-12  # of a column's curvature: if it has less beside those held, that is rounding
SUMMED = 1e-14  # of all that a slope may be a sum of is rounding
LEVEL = 1e-12  # of what pulls along a line: if no more is left of it, either way is as good
MOST_SLIDES = 2  # of a parameter into the place of another: beyond, only rounding asks for it
MOST_STEPS = 4  # times the parameters; met only where float64 gives way


def walk(H: Array, slope: Array, kappa: Array, x: Array) -> tuple[Array, NDArray[np.bool_]]:
    """The minimiser, as `corners.minimise` has it, from a summed H; and which were idle."""
    at = Walk(H, slope, kappa, x)
    for _ in range(MOST_STEPS * len(x)):
        if not at.step():
            break
    return at.x, at.idle


def factor_independent(H: Array, k: NDArray[np.intp], curved: Array) -> Array | None:
    """The Cholesky factor of H over the parameters k; None where they depend on each other."""
    if not len(k):
        return np.zeros((0, 0))
    own = H.take(k, axis=0).take(k, axis=1).T  # in the order that LAPACK reads and may write over
    root, failed = lapack.dpotrf(own, lower=1, overwrite_a=1)
    if failed or np.logical_or.reduce(np.square(root.diagonal()) <= DEPENDENT * curved[k]):
        return None
    return np.asarray(root)


def solve_root(root: Array, right: Array) -> Array:
    """The solution by a Cholesky factor."""
    return np.asarray(lapack.dpotrs(root, right, lower=1)[0]) if len(root) else right


class Walk:
    """Where the walk stands.

    Attributes
    ----------
    x: (D,). slope: of the parabola there. side: the signs; 0 without a penalty.
    held: which parameters the tableau is exchanged at. idle: those that can be taken in no more.
    slides: how often each has been taken in for another.
    tableau: (D, D), symmetric. Over those held -H^-1, between them and the others H^-1 times H, and
        over the others what H curves beside those held.
    """

    def __init__(self, H: Array, slope: Array, kappa: Array, x: Array) -> None:
        self.H, self.kappa, self.x, self.slope = H, kappa, x.copy(), slope.copy()
        self.free, self.curved = kappa == 0, np.where(np.diag(H) > 0, np.diag(H), 1.0)
        self.root = np.sqrt(self.curved)
        self.side = np.where(self.free, 0.0, np.sign(x))
        self.held, self.idle = np.zeros((2, len(x)), dtype=bool)
        self.slides = np.zeros(len(x), dtype=int)
        self.tableau = H.copy()
        first = self.free | (x != 0)
        if not self._hold(first):
            for j in [*np.flatnonzero(self.free), *np.flatnonzero(first & ~self.free)]:
                self._take(int(j))

    def step(self) -> bool:
        """Go on; False at the end."""
        pull = np.where(self.held, self.slope + self.kappa * self.side, 0.0)
        moved = self.tableau @ pull
        i, length = self._first_corner(np.where(self.held, moved, 0.0))
        length = min(length, 1.0)
        self.x[self.held] += length * moved[self.held]
        self.slope -= length * np.where(self.held, pull, moved)
        if length < 1:
            self._release(i)
            return True
        over = (np.abs(self.slope) - self.kappa) / self.root
        over[self.held | self.idle] = 0.0
        j = int(np.argmax(over))
        if not over[j] > SUMMED * float(self.root @ np.abs(self.x)):
            return False
        self.side[j] = -np.sign(self.slope[j])
        self._take(j)
        return True

    def _take(self, j: int) -> None:
        """Hold parameter j as well, or in the place of one that depends on it."""
        if self.tableau[j, j] <= DEPENDENT * self.curved[j]:
            # What is level but for rounding, as opposite columns are, would take turns for ever.
            self.slides[j] += 1
            i = self._slide(j) if self.slides[j] <= MOST_SLIDES or self.x[j] else None
            if i is None:
                self.idle[j] = True
                return
            if i == j:
                return
            self._release(i)
        self.held[j] = True
        self._exchange(j)

    def _slide(self, j: int) -> int | None:
        """Move j and those held along the line on which H is flat, and say which reaches 0."""
        d = np.where(self.held, -self.tableau[j], 0.0)
        d[j] = 1.0
        pull = self.slope + self.kappa * self.side
        level = LEVEL * float((np.abs(self.slope) + self.kappa) @ np.abs(d))
        ways = [d, -d] if float(pull @ d) <= level else [-d, d]
        if self.x[j] == 0:  # it may leave 0 to its own side alone
            ways = [self.side[j] * d]
        for way in ways:
            i, length = self._first_corner(way)
            if length < np.inf:
                self.x += length * way
                self.slope += length * (self.H @ way)
                self.x[i] = self.side[i] = 0.0
                return i
        return None

    def _first_corner(self, d: Array) -> tuple[int, float]:
        """Which parameter reaches 0 first along d, and how far that is; inf if none does."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            lengths = np.where((self.x * d < 0) & ~self.free, -self.x / d, np.inf)
        i = int(np.argmin(lengths))
        return i, float(lengths[i])

    def _release(self, i: int) -> None:
        self.x[i] = self.side[i] = 0.0
        self.held[i] = False
        self._exchange(i)

    def _exchange(self, j: int) -> None:
        """Put parameter j on the other side of the tableau."""
        pivot, row = self.tableau[j, j], self.tableau[j].copy()
        self.tableau -= np.multiply.outer(row, row / pivot)
        self.tableau[j] = self.tableau[:, j] = row / abs(pivot)
        self.tableau[j, j] = -1 / pivot

    def _hold(self, first: NDArray[np.bool_]) -> bool:
        """Exchange the tableau at many parameters at once, unless they depend on each other."""
        k, n = np.flatnonzero(first), np.flatnonzero(~first)
        root, between = factor_independent(self.H, k, self.curved), self.H[k[:, None], n]
        if root is None:
            return False
        inverse, _ = lapack.dpotri(root, lower=1)
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        led = inverse @ between
        self.tableau[k[:, None], k] = -inverse
        self.tableau[k[:, None], n] = led
        self.tableau[n[:, None], k] = led.T
        self.tableau[n[:, None], n] -= between.T @ led
        self.held |= first
        return True
