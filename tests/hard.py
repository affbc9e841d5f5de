"""Forty small problems on which solvers are known to stop early, stall or diverge."""

from dataclasses import dataclass

import numpy as np

KINDS = (
    "plain",
    "duplicated",
    "constant",
    "wide",
    "rare",
    "separable",
    "weighted",
    "shifted",
    "nearly dependent",
    "far apart",
)
PROBLEMS = 40


@dataclass(frozen=True)
class Hard:
    """Rows, labels 0/1, weights and C; the columns' scales lie between 1e-6 and 1e6."""

    kind: str
    X: np.ndarray
    y: np.ndarray
    s: np.ndarray
    C: float


def make_hard(seed: int) -> Hard:
    """Problem number `seed`: every tenth is of one kind."""
    rng, kind = np.random.default_rng(seed), KINDS[seed % len(KINDS)]
    n, p = int(rng.integers(20, 70)), int(rng.integers(2, 6))
    if kind == "wide":
        n, p = int(rng.integers(5, 8)), int(rng.integers(9, 13))
    X = rng.standard_normal((n, p)) @ (np.eye(p) + 0.5 * rng.standard_normal((p, p)))
    logit = X @ rng.standard_normal(p) * (4 if kind == "far apart" else 1)
    y = (logit + 0.5 * rng.logistic(size=n) > 0).astype(int)
    y[:2] = 0, 1
    s, C = np.ones(n), float(10.0 ** rng.uniform(-2, 3))
    if kind == "separable":
        y, C = (logit > np.median(logit)).astype(int), float(10.0 ** rng.uniform(2, 10))
    X = X * 10.0 ** rng.uniform(-6, 6, p)
    if kind == "duplicated":
        X[:, 1] = X[:, 0]
    elif kind == "constant":
        X[:, 0] = 3.7
    elif kind == "shifted":
        X = X + 1e6 * X.std(axis=0)
    elif kind == "nearly dependent":
        X[:, 1] = X[:, 0] * (1 + 1e-7 * rng.standard_normal(n))
    elif kind == "weighted":
        s = rng.integers(0, 4, n) * 1.0
        s[:2] = 1
    elif kind == "rare":  # 1,000 rows, of which one, among the farthest, is a 1
        repeats = rng.multinomial(1000 - n, np.ones(n) / n) + 1
        y = np.zeros(1000, dtype=int)
        X, logit = np.repeat(X, repeats, axis=0), np.repeat(logit, repeats)
        y[np.argmax(logit)] = 1
        s = np.ones(1000)
    return Hard(kind, X, y, s, C)


def merge_equal_rows(hard: Hard) -> Hard:
    """The same objective from fewer rows: a row k times is the row with k times the weight."""
    table, where = np.unique(np.column_stack([hard.X, hard.y]), axis=0, return_inverse=True)
    s = np.bincount(where.ravel(), hard.s)
    return Hard(hard.kind, table[:, :-1], table[:, -1].astype(int), s, hard.C)
