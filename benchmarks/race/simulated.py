"""Tables that are drawn from a seed, for kinds that no public table shows cleanly."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from benchmarks.race.problem import Codes, Problem

SEED = 20


def draw_normal(n: int, p: int, *, single: bool = False, C: float = 1.0) -> Problem:
    """Correlated normal columns: half of each column's variance is shared with its neighbour.

    The log-odds have a standard deviation of 2, whatever p is.
    """
    random = np.random.default_rng(SEED)
    X = random.standard_normal((n, p))
    X[:, 1:] += X[:, :-1]
    X[:, 1:] *= np.sqrt(0.5)
    w = random.standard_normal(p)
    z = X @ w
    z *= 2 / z.std()
    y = _draw_labels(z - 0.5, random)
    return Problem(X.astype(np.float32) if single else X, y, (C,))


def draw_classes(n: int, p: int, classes: int) -> Problem:
    """Normal columns; the class is drawn from the softmax of random weights."""
    random = np.random.default_rng(SEED)
    X = random.standard_normal((n, p))
    Z = X @ random.standard_normal((p, classes)) / np.sqrt(p / 4)
    return Problem(X, (Z + random.gumbel(size=Z.shape)).argmax(axis=1).astype(np.int64))


def draw_sparse(n: int, p: int, a_row: int) -> Problem:
    """Words by Zipf's law: few columns in most rows, most columns in few; values as of a tf-idf."""
    random = np.random.default_rng(SEED)
    odds = 1 / (np.arange(p) + 50.0)
    cumulated = np.cumsum(odds / odds.sum())
    places = np.searchsorted(cumulated, random.random((n, a_row)))
    values = random.exponential(size=(n, a_row))
    X = sparse.csr_array((values.ravel(), places.ravel(), np.arange(n + 1) * a_row), shape=(n, p))
    X.sum_duplicates()
    length = np.sqrt(np.asarray(X.multiply(X).sum(axis=1)).ravel())
    X.data /= np.repeat(length, np.diff(X.indptr))
    z = X @ random.standard_normal(p)
    y = _draw_labels(3 * z / z.std() - 1, random)
    return Problem(X, y)


def draw_codes(n: int, level_counts: tuple[int, ...]) -> Problem:
    """One numeric column and categories whose levels are as uneven as airports are."""
    random = np.random.default_rng(SEED)
    numeric = random.exponential(700.0, size=(n, 1)).round()
    columns, z = [], numeric[:, 0] / 1000
    for count in level_counts:
        odds = 1 / (np.arange(count) + 3.0)
        codes = random.choice(count, size=n, p=odds / odds.sum())
        z = z + random.standard_normal(count)[codes] / 2
        columns.append(codes.astype(np.int32))
    coded = Codes(numeric, np.column_stack(columns), level_counts)
    return Problem(coded.one_hot(), _draw_labels(z - z.mean() - 1.5, random), codes=coded)


def _draw_labels(z: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.int64]:
    return (z + random.logistic(size=len(z)) > 0).astype(np.int64)
