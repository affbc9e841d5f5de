"""Problems on which solvers are known to stop early or stall, small enough for 60 digits."""

from dataclasses import dataclass, replace

import numpy as np

SEVERAL = "several classes, "


@dataclass(frozen=True)
class Hard:
    """Rows, class numbers, weights and C; the classes were drawn by `logits` (n, classes)."""

    kind: str
    X: np.ndarray
    y: np.ndarray
    s: np.ndarray
    C: float
    logits: np.ndarray


def duplicated(hard, rng):
    return replace_column(hard, 1, hard.X[:, 0])


def constant(hard, rng):
    return replace_column(hard, 0, 3.7 * 10.0 ** rng.uniform(-8, 8))


def shifted(hard, rng):
    return replace(hard, X=hard.X + 1e6 * hard.X.std(axis=0))


def nearly_dependent(hard, rng):
    return replace_column(hard, 1, hard.X[:, 0] * (1 + 1e-7 * rng.standard_normal(len(hard.X))))


def summed(hard, rng):
    """One column is the sum of the others but for rounding; their scales are less far apart."""
    X = hard.X[:, :3] / hard.X[:, :3].std(axis=0) * 10.0 ** rng.uniform(-3, 3, 3)[: hard.X.shape[1]]
    return replace(hard, X=np.column_stack([X, X.sum(axis=1)]))


def with_dummies(hard, rng):
    """A column of one class alone: its weight grows until the penalty holds it."""
    X, own = hard.X.copy(), hard.y == hard.y.max()
    X[:, 0] = (rng.random(len(X)) < 0.3) & own
    X[:, 1] = rng.random(len(X)) < 0.5
    X[np.flatnonzero(own)[0], 0], X[0, 1], X[1, 1] = 1, 0, 1
    return replace(hard, X=X)


def far_row(hard, rng):
    X = hard.X.copy()
    X[0, 0] *= 1e6
    return replace(hard, X=X)


def rare(hard, rng):
    """10,000 rows, of which one, among the farthest, is a 1."""
    n = len(hard.X)
    repeats = rng.multinomial(10_000 - n, np.ones(n) / n) + 1
    y = np.zeros(10_000, dtype=int)
    y[np.argmax(np.repeat(hard.logits[:, 0], repeats))] = 1
    return replace(hard, X=np.repeat(hard.X, repeats, axis=0), y=y, s=np.ones(10_000))


def separable(hard, rng):
    classes, first = hard.logits.shape[1], hard.logits[:, 0]
    edges = np.quantile(first, np.arange(1, classes) / classes)
    return replace(hard, y=np.digitize(first, edges), C=10.0 ** rng.uniform(2, 10))


def separable_without_end(hard, rng):
    return replace(separable(hard, rng), C=1e10)


def weighted(hard, rng):
    s = rng.integers(0, 4, len(hard.X)) * 1.0
    s[: hard.logits.shape[1]] = 1
    return replace(hard, s=s)


def unequal_weights(hard, rng):
    return replace(hard, s=10.0 ** rng.uniform(-6, 6, len(hard.X)))


def single_precision(hard, rng):
    return replace(hard, X=hard.X.astype(np.float32))


def plain(hard, rng):
    return hard


def replace_column(hard, j, values):
    X = hard.X.copy()
    X[:, j] = values
    return replace(hard, X=X)


CHANGES = {
    "plain": plain,
    "duplicated": duplicated,
    "constant": constant,
    "wide": plain,
    "rare": rare,
    "separable": separable,
    "weighted": weighted,
    "shifted": shifted,
    "nearly dependent": nearly_dependent,
    "far apart": plain,
    "separable, C = 1e10": separable_without_end,
    "unequal weights": unequal_weights,
    "float32": single_precision,
    "a sum": summed,
    "dummies": with_dummies,
    "a far row": far_row,
}
MANY = ("plain", "duplicated", "wide", "shifted", "separable", "unequal weights", "dummies")
KINDS = (*CHANGES, *(SEVERAL + kind for kind in MANY))
PROBLEMS = 4 * len(KINDS)


def make_hard(seed: int) -> Hard:
    """Problem number `seed`, each kind in turn; the columns' scales lie between 1e-8 and 1e8."""
    rng, kind = np.random.default_rng(seed), KINDS[seed % len(KINDS)]
    classes = int(rng.integers(3, 5)) if kind.startswith(SEVERAL) else 2
    base = kind.removeprefix(SEVERAL)
    n, p = int(rng.integers(20, 70)), int(rng.integers(2, 6))
    if base == "wide":
        n, p = int(rng.integers(5, 8)), int(rng.integers(9, 13))
    X = rng.standard_normal((n, p)) @ (np.eye(p) + 0.5 * rng.standard_normal((p, p)))
    logits = X @ rng.standard_normal((p, classes)) * (4 if base == "far apart" else 1)
    noise = 0.5 * rng.gumbel(size=logits.shape)
    y = (logits + noise).argmax(axis=1)
    y[:classes] = range(classes)
    C = float(10.0 ** rng.uniform(-2, 3))
    hard = Hard(kind, X * 10.0 ** rng.uniform(-8, 8, p), y, np.ones(n), C, logits)
    return CHANGES[base](hard, rng)


def merge_equal_rows(hard: Hard) -> Hard:
    """The same objective from fewer rows: a row k times is the row with k times the weight."""
    table = np.column_stack([hard.X.astype(np.float64), hard.y])
    table, where = np.unique(table, axis=0, return_inverse=True)
    s = np.bincount(where.ravel(), hard.s)
    return replace(hard, X=table[:, :-1], y=table[:, -1].astype(int), s=s)
