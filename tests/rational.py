"""Which rows can be separated, in exact rational arithmetic: an oracle that rounds nothing."""

from fractions import Fraction

import numpy as np


def maximise(c, A, b):
    """max c'x with A x <= b, x >= 0 for b >= 0: simplex tableau in fractions, Bland's rule."""
    m, n = len(A), len(c)
    table = [
        [Fraction(v) for v in A[i]] + [Fraction(i == j) for j in range(m)] + [Fraction(b[i])]
        for i in range(m)
    ]
    costs = [-Fraction(v) for v in c] + [Fraction(0)] * (m + 1)
    basis = list(range(n, n + m))
    while True:
        enter = next((j for j in range(n + m) if costs[j] < 0), None)
        if enter is None:
            return costs[-1]
        ratios = [
            (row[-1] / row[enter], basis[i], i) for i, row in enumerate(table) if row[enter] > 0
        ]
        _, _, leave = min(ratios)
        pivot = [v / table[leave][enter] for v in table[leave]]
        table[leave], basis[leave] = pivot, enter
        for row in [*(r for i, r in enumerate(table) if i != leave), costs]:
            factor = row[enter]
            if factor:
                row[:] = [v - factor * p for v, p in zip(row, pivot, strict=True)]


def separable_rows(contrasts):
    """For vectors a_i: whether some d has a_i'd > 0 and no a_j'd < 0, for each i."""
    A = [[int(v) for v in row] for row in contrasts]
    D = len(A[0])
    box = [[int(i == j) for j in range(2 * D)] for i in range(2 * D)]
    limits = [[-v for v in row] + row for row in A] + box
    b = [0] * len(A) + [1] * (2 * D)
    doubled = [[*row, *(-v for v in row)] for row in A]
    return np.array([maximise(c, limits, b) > 0 for c in doubled])


def contrasts_of(X, y, classes=2, intercept=True):
    """The vectors of all margins and the row of each, as the definition has them."""
    rows = np.column_stack([X, np.ones(len(X))]) if intercept else np.asarray(X)
    out, owner = [], []
    for i, (x, own) in enumerate(zip(rows, y.astype(int), strict=True)):
        for k in range(classes):
            if k == own or (classes == 2 and k != 1 - own):
                continue
            if classes == 2:
                out.append(x if own else -x)
            else:
                a = np.zeros((classes, len(x)))
                a[own] += x
                a[k] -= x
                out.append(a.ravel())
            owner.append(i)
    return np.array(out), np.array(owner)
