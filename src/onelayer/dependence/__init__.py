"""Dependent columns: which column is a sum of which others, told in the columns' names.

With dependent columns many weights give the same answer. The one of least norm is kept; here is
said why, `total` = `a` + `b`, so that a person can drop the right column. That the levels of one
category add up to 1 is no news. The search is derived in docs/mathematics.md.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize

from onelayer.coordinates import Coordinates, measure_columns
from onelayer.dependence.null import Table, find_null_space, level_sums, make_table
from onelayer.dependence.relation import Dependence as Dependence
from onelayer.dependence.relation import tidy
from onelayer.naming import UNNAMED, Naming
from onelayer.rows.blas import single_threaded_blas
from onelayer.rows.memory import MemoryRows

Array = NDArray[Any]

EXACT = 1e-10  # of a column's range
NEAR = 1e-6  # two copies of a column, one of them in single precision
MOST_COLUMNS = 1500
MOST_RELATIONS = 60  # beyond, the table is made of copies and a list of them helps nobody
ROUNDED = 1e-14  # of a column's range: a row that meets a combination so nearly meets it with 0
UNMOVED = 1e-8  # logits: the square of it is rounding
SMALLEST = 1e-7  # of a relation's largest term


def find_dependences(
    rows: MemoryRows,
    *,
    fit_intercept: bool = True,
    tolerance: float = EXACT,
    naming: Naming = UNNAMED,
    where: Coordinates | None = None,
) -> tuple[Dependence, ...]:
    """The columns that are constant, or sums of others, each with its formula.

    Parameters
    ----------
    rows: features and weights; rows of weight 0 do not count.
    fit_intercept: whether a constant may be part of a sum.
    tolerance: how far rows may be from a formula, as a share of a column's range.
    naming: its scale and origin are the units of the formulas.
    where: the columns' ranges, where they have been measured.

    Returns
    -------
    The fewest formulas that all others follow from, each with few terms. None are looked for with
    more than `MOST_COLUMNS` columns, or with fewer rows than columns; constant columns always are.

    Examples
    --------
    >>> from onelayer.blocks import Block
    >>> from onelayer.features.dense import DenseFeatures
    >>> X = np.array([[1.0, 5.0, 6.0], [2.0, 1.0, 3.0], [4.0, 4.0, 8.0], [0.0, 7.0, 7.0]])
    >>> rows = MemoryRows(Block(DenseFeatures(X), np.zeros((1, 4)), np.ones(4)))
    >>> [found.sentence(Naming(("a", "b", "total"))) for found in find_dependences(rows)]
    ['`total` = `a` + `b`']
    """
    with single_threaded_blas():
        where = where or measure_columns(rows, fit_intercept)
        table = make_table(rows, where)
        constant = _find_constants(table, naming)
        if not len(table.free) <= min(MOST_COLUMNS, (rows.block.weights > 0).sum()):
            return constant
        null, sample = find_null_space(table, tolerance)
        return constant + _find_relations(table, null, sample, tolerance, naming)


def remove_null_part(
    rows: MemoryRows, where: Coordinates, W: Array, b: Array
) -> tuple[Array, Array, float]:
    """The parameters of least norm, in standardised units, that give the same logits.

    Columns that differ by 1e-11 of their range do not depend on each other where weights are large
    enough to see it: only what leaves every logit as it is, but for rounding, is taken out. Returns
    W, b, and by how much a logit has moved at most.
    """
    table = make_table(rows, where)
    if not len(table.free) <= min(MOST_COLUMNS, (rows.block.weights > 0).sum()):
        return W, b, 0.0
    null, sample = find_null_space(table, EXACT)
    flat = null[np.abs(null @ sample.T).max(axis=1) <= ROUNDED * np.sqrt(len(table.free))]
    for chosen in (null, flat) if len(flat) < len(null) else (null,):
        N = np.vstack([chosen, level_sums(table)])
        if not len(N):
            break
        # The same vectors per spread about the mean, where the bias has no part in them.
        V = (N[:, :-1] / table.span) * where.spread
        basis = linalg.orth(V.T)
        theta = where.from_parameters(W, b)
        theta[:, :-1] -= (theta[:, :-1] @ basis) @ basis.T
        W_after, b_after = where.to_parameters(theta)
        moved = table.find_move(W_after - W, b_after - b)
        if moved <= UNMOVED:
            return W_after, b_after, moved
    return W, b, 0.0


def _find_constants(table: Table, naming: Naming) -> tuple[Dependence, ...]:
    """Constant columns, but for levels and words that no row holds."""
    where, features = table.where, table.rows.block.features
    kept = np.flatnonzero(where.frozen[:-1])
    numeric = getattr(features, "numeric", None)
    if numeric is not None:
        kept = kept[kept < numeric.shape[1]]
    scale, origin = _units(naming, table.rows.n_columns)
    values = scale * where.low + origin
    return tuple(Dependence(int(j), (), float(values[j])) for j in kept)


def _units(naming: Naming, p: int) -> tuple[Array, Array]:
    scale = np.ones(p) if naming.scale is None else naming.scale
    return scale, np.zeros(p) if naming.origin is None else naming.origin


def _find_relations(
    table: Table, null: Array, sample: Array, tolerance: float, naming: Naming
) -> tuple[Dependence, ...]:
    """Relations of few terms, the shortest first, as long as each says something new."""
    if not 0 < len(null) <= MOST_RELATIONS:
        return ()
    known = level_sums(table)
    whole = np.vstack([null, known])
    sparse = [v for j in _pivots(whole) if (v := _shorten(whole, j)) is not None]
    sparse.sort(key=lambda v: (np.count_nonzero(v[:-1]), np.flatnonzero(v[:-1])[-1]))
    said, news = known, []
    for v in sparse:
        if not _is_new(v, said):
            continue
        said = np.vstack([said, v])
        if _is_one_hot(v, sample, table):
            continue
        relation = _formulate(table, v, sample, tolerance, naming)
        news += [] if relation is None else [relation]
    return tuple(news)


def _pivots(N: Array) -> list[int]:
    """Of each relation the last column in it, when every one is freed from the others' last."""
    M, out = N[:, :-1].copy(), list[int]()
    left = np.arange(len(M))
    for j in range(M.shape[1] - 1, -1, -1):
        if not len(left):
            break
        i = left[np.abs(M[left, j]).argmax()]
        if abs(M[i, j]) > SMALLEST:
            out.append(j)
            M -= np.outer(M[:, j] / M[i, j] * (np.arange(len(M)) != i), M[i])
            left = left[left != i]
    return out


def _shorten(N: Array, j: int) -> Array | None:
    """The relation with least sum of sizes in which column j counts 1 and no later one counts."""
    k, p = len(N), N.shape[1] - 1
    later = np.arange(p) > j
    # t N = plus - minus: variables t (k, free), plus and minus (p, 0 or more).
    A = np.hstack([N[:, :-1].T, -np.eye(p), np.eye(p)])
    only = np.zeros((1, k + 2 * p))
    only[0, :k] = N[:, j]
    bounds = [(None, None)] * k + [(0.0, 0.0 if gone else None) for gone in [*later, *later]]
    result = optimize.linprog(
        np.concatenate([np.zeros(k), np.ones(2 * p)]),
        A_eq=np.vstack([A, only]),
        b_eq=np.append(np.zeros(p), 1.0),
        bounds=bounds,
        method="highs",
    )
    if result.status != 0:
        return None
    v = np.asarray(result.x[:k] @ N)
    v[np.abs(v) < SMALLEST * np.abs(v).max()] = 0
    return v


def _is_new(v: Array, said: Array) -> bool:
    """Whether the relation does not follow from those before it."""
    if not len(said):
        return True
    rest = v - linalg.lstsq(said.T, v)[0] @ said
    return bool(np.abs(rest).max() > 1e-6 * np.abs(v).max())


def _is_one_hot(v: Array, sample: Array, table: Table) -> bool:
    """Whether it only says that columns of 0 and 1 add up to 1, or those of two categories do."""
    used = np.flatnonzero(v[:-1])
    where = table.where
    if not ((where.low[used] == 0) & (where.high[used] == 1)).all():
        return False
    raw = v[:-1] / table.span
    signs = raw[used] / np.abs(raw[used]).max()
    if not np.allclose(np.abs(signs), 1, atol=1e-6):
        return False
    values = sample[:, used] * table.span[used] + table.centre[used]
    sums = [values[:, side].sum(axis=1) for side in (signs > 0, signs < 0) if side.any()]
    return all(len(np.unique(np.rint(total))) == 1 and total[0] > 0.5 for total in sums)


def _formulate(
    table: Table, v: Array, sample: Array, tolerance: float, naming: Naming
) -> Dependence | None:
    """The relation in the table's units with tidy numbers, held against every row."""
    used = np.flatnonzero(v[:-1])
    near = np.append(v[used], v[-1] if table.has_bias else 0.0)
    columns = np.append(used, len(v) - 1) if table.has_bias else used
    values, vectors = linalg.eigh(sample[:, columns].T @ sample[:, columns])
    if len(values) > 1 and values[1] > 1e-13 * values[-1] and values[0] < 1e-13 * values[-1]:
        near[: len(columns)] = vectors[:, 0]  # sharper than what the program left
    scale, origin = _units(naming, len(v) - 1)
    raw = near[:-1] / table.span[used]
    weights = raw / scale[used]
    constant = near[-1] - raw @ table.centre[used] - weights @ origin[used]
    candidates = [_solve_for(i, used, weights, constant) for i in range(len(used))]
    best = min(candidates, key=_untidiness)
    for relation in (_tidy(best, table, scale, origin), best):
        residual = _measure_residual(table, relation, scale, origin)
        if residual <= 10 * tolerance * len(used):
            return Dependence(relation.column, relation.terms, relation.constant, residual)
    return None


def _solve_for(i: int, used: Array, weights: Array, constant: float) -> Dependence:
    terms = tuple(
        (int(j), float(-w / weights[i])) for j, w in zip(used, weights, strict=True) if j != used[i]
    )
    return Dependence(int(used[i]), terms, float(-constant / weights[i]))


def _untidiness(relation: Dependence) -> tuple[int, int, int]:
    """Sums before differences, whole numbers before parts, later columns before earlier ones."""
    numbers = [number for _, number in relation.terms]
    return (
        sum(number < 0 for number in numbers),
        sum(abs(number - round(number)) > 1e-6 * abs(number) for number in numbers),
        -relation.column,
    )


def _tidy(relation: Dependence, table: Table, scale: Array, origin: Array) -> Dependence:
    low, high = scale * table.where.low + origin, scale * table.where.high + origin
    j = relation.column
    small = 1e-6 * abs(high[j] - low[j])
    constant = tidy(relation.constant) if abs(relation.constant) > small else 0.0
    return Dependence(j, tuple((k, tidy(c)) for k, c in relation.terms), constant)


def _measure_residual(table: Table, relation: Dependence, scale: Array, origin: Array) -> float:
    """The largest distance of a row from the formula, as a share of the column's range."""
    v = np.zeros(len(scale) + 1)
    for j, c in ((relation.column, -1.0), *relation.terms):
        v[j] += c * scale[j] * table.span[j]
        v[-1] += c * (scale[j] * table.centre[j] + origin[j])
    v[-1] += relation.constant
    reach = abs(scale[relation.column]) * table.span[relation.column]
    return float(np.abs(table.multiply(v[None])).max() / reach)
