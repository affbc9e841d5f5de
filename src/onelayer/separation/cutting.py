"""Separating directions by linear programs on few rows, with the worst other rows added to them.

A program of a few thousand rows answers at once; one pass over all rows then finds those on the
wrong side of its answer, and the worst join the program. No row on the wrong side: the direction
separates. A program whose best is 0 proves that none does, by its dual: positive weights under
which its rows sum to 0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize, sparse

from onelayer.separation.sides import Mask, Sides

Array = NDArray[Any]

WORKING = 1000  # rows of a program at first, or ROWS_PER_PARAMETER times its parameters
ROWS_PER_PARAMETER = 6
ADDED = 400
MOST_ROUNDS = 60
SHARES = (1e-2, 0.1, 0.3)  # of the largest part of a direction
STRICT = 1e-3  # of the margin that a program asks of separated rows: enough for all other rows
NEAR = 1e-9  # of the columns' range: on the plane
FLAT = 1e-11  # what a sum of thousands of contrasts may keep of itself and count as 0
DEPENDENT = 1e-10  # directions that rows span by less than this share are columns' rounding
OPTIONS = {
    "primal_feasibility_tolerance": 1e-10,
    "dual_feasibility_tolerance": 1e-9,
    "presolve": False,  # rows drawn from a table leave it nothing to take out: a third of the time
}

Program = Callable[["Working"], "Array | None"]


class Unsettled(Exception):  # noqa: N818 - no error: the search says "undecided" and why
    """A program that gives no sure answer."""


@dataclass(frozen=True)
class Working:
    """The rows of a program: their margins' vectors, scaled, and which of them are separated.

    Attributes
    ----------
    others, chosen: (m,), the other class and the row of each margin. A: (m, D) sparse.
    """

    sides: Sides
    others: Array
    chosen: Array
    A: Any

    def has(self, others: Array, chosen: Array) -> Mask:
        """Which of these margins are among its own."""
        n = self.sides.rows.n_rows
        return np.isin(others * n + chosen, self.others * n + self.chosen)

    def keep_tight(self, scaled: Array, asked: Mask) -> "Working":
        """The margins that hold an answer up: the least ones beyond what was asked of them."""
        room = np.asarray(self.A @ scaled - asked)
        most = ROWS_PER_PARAMETER * self.A.shape[1]
        if len(room) <= most:
            return self
        # Where many lie on a plane, all of it stays, or the next answer would fall behind it.
        kept = np.flatnonzero(room <= np.partition(room, most)[most] + _rounding(scaled))
        return Working(self.sides, self.others[kept], self.chosen[kept], self.A[kept])

    def with_margins(self, others: Array, chosen: Array) -> "Working":
        """The same with more margins, but for those already there."""
        fresh = ~self.has(others, chosen)
        others, chosen = others[fresh], chosen[fresh]
        if not len(chosen):
            raise Unsettled("float64 cannot tell on which side some rows are")
        A = sparse.vstack([self.A, self.sides.contrasts(others, chosen)], format="csr")
        joined = np.concatenate([self.others, others]), np.concatenate([self.chosen, chosen])
        return Working(self.sides, *joined, A)


def start_working(sides: Sides, open_: Mask, seed: int = 0) -> Working:
    """Margins drawn at random, as many of each class, and enough to span what all rows span."""
    size = max(WORKING, ROWS_PER_PARAMETER * sides.width * max(1, sides.n_outputs - 1))
    others, chosen = np.nonzero(open_)
    rng, own = np.random.default_rng(seed), sides.own[chosen]
    classes = np.unique(own)
    kept = []
    for label in classes:
        members = np.flatnonzero(own == label)
        many = min(len(members), -(-size // len(classes)))
        kept.append(np.sort(rng.choice(members, many, replace=False)))
    picked = np.concatenate(kept)
    others, chosen = others[picked], chosen[picked]
    working = Working(sides, others, chosen, sides.contrasts(others, chosen))
    return _span_all(working, open_, rng)


def _span_all(working: Working, open_: Mask, rng: np.random.Generator) -> Working:
    """Add margins until every other one is a combination of those in the program.

    A random direction perpendicular to all of them is perpendicular to another one by chance alone.
    """
    sides = working.sides
    free = np.flatnonzero(~_fixed(sides))
    for _ in range(MOST_ROUNDS):
        A = working.A[:, free]
        N = linalg.null_space((A.T @ A).toarray(), rcond=1e-13)
        if not N.shape[1]:
            return working
        v = np.zeros(working.A.shape[1])
        v[free] = N @ rng.standard_normal(N.shape[1])
        direction = sides.to_shifted(v)
        off = np.abs(sides.margins(direction, shifted=True)) * open_
        others, chosen = np.nonzero(off > max(1e-7, sides.rounding(direction, shifted=True)))
        if not len(chosen):
            return working
        picked = rng.permutation(len(chosen))[:ADDED]
        working = working.with_margins(others[picked], chosen[picked])
    raise Unsettled("the columns are too many for their rows")


def cut(
    working: Working, program: Program, open_: Mask, separated: Mask | None = None
) -> tuple[Array | None, Array, Working]:
    """Solve, look at all rows, add the worst: until no open margin is below 0, or on it where
    `separated`.

    A program that asks for separated rows is decided by the margins that hold its answer up; the
    next one, whose time grows with its rows, does without the others.

    Returns
    -------
    The direction for shifted rows (None where the program has none), its margins (q, n), and the
    rows worked on.
    """
    held = working
    for _ in range(MOST_ROUNDS):
        scaled = program(held)
        if scaled is None:
            return None, np.zeros((0, 0)), working
        direction = working.sides.to_shifted(scaled)
        margins = working.sides.margins(direction, shifted=True)
        level = -_rounding(scaled) if separated is None else _level(separated, scaled)
        short = np.where(open_, margins - level, np.inf)
        others, chosen = np.nonzero(short < 0)
        if not len(chosen):
            return direction, margins, working
        worst = np.argsort(short[others, chosen], kind="stable")[:ADDED]
        others, chosen = others[worst], chosen[worst]
        fresh = ~working.has(others, chosen)
        if separated is not None and fresh.all():  # else some that were left out are needed
            held = held.keep_tight(scaled, separated[held.others, held.chosen])
        held = held.with_margins(others, chosen)
        if fresh.any():
            working = working.with_margins(others, chosen)
    raise Unsettled(f"the search did not end after {MOST_ROUNDS} rounds")


def _level(separated: Mask, scaled: Array) -> Array:
    """What margins may not be below: well above 0 where separated, else 0 to within rounding."""
    return np.where(separated, STRICT, -_rounding(scaled))


def _rounding(scaled: Array) -> float:
    return NEAR * max(1.0, float(np.abs(scaled).max()))


def find_any(working: Working) -> Array | None:
    """The direction in the box -1 <= d <= 1 with the largest sum of margins, none below 0.

    None where that is 0, which is proved: with the dual's weights mu the sum of (1 + mu_i) a_i is
    all but 0, and what is left of it is a combination of the rows with weights too small to turn a
    1 + mu_i negative. So every d without negative margins has none above 0 either.
    """
    A, fixed = working.A, _fixed(working.sides)
    result = optimize.linprog(
        -np.asarray(A.sum(axis=0)),
        A_ub=-A,
        b_ub=np.zeros(A.shape[0]),
        bounds=np.where(fixed[:, None], 0.0, [-1.0, 1.0]),
        method="highs",
        options=OPTIONS,
    )
    if result.status != 0:
        raise Unsettled(f"the linear program ended without an answer ({result.message})")
    if -result.fun > 1e-6 and (A @ result.x > NEAR).any():
        return np.asarray(result.x)
    if _is_balanced(A[:, ~fixed], 1 - result.ineqlin.marginals):
        return None
    raise Unsettled("float64 cannot tell whether some rows lie on a plane")


def _is_balanced(A: Any, weights: Array) -> bool:
    """Whether weights above 0 near these, which are 1 or more, have the rows sum to 0."""
    left = A.T @ weights
    dense = A.T.toarray()
    change = linalg.lstsq(dense, -left, cond=DEPENDENT)[0]
    scale = np.abs(dense) @ weights
    settled = np.abs(left + dense @ change) <= FLAT * np.maximum(scale, 1.0)
    return bool(settled.all() and (np.abs(change) < weights).all())


def find_strict(working: Working) -> Array | None:
    """The direction in the box whose least margin is largest, so long that this margin is 1.

    None where it is not above 0.
    """
    A, fixed = working.A, _fixed(working.sides)
    result = optimize.linprog(
        np.append(np.zeros(A.shape[1]), -1.0),
        A_ub=sparse.hstack([-A, np.ones((A.shape[0], 1))], format="csc"),
        b_ub=np.zeros(A.shape[0]),
        bounds=[*np.where(fixed[:, None], 0.0, [-1.0, 1.0]), (0.0, np.inf)],
        method="highs",
        options=OPTIONS,
    )
    if result.status != 0 or result.x[-1] <= NEAR:
        return None
    return np.asarray(result.x[:-1] / result.x[-1])


def cut_few(working: Working, open_: Mask, separated: Mask) -> tuple[Array | None, Array]:
    """A direction of few columns for the margins `separated`, and its margins; None without one.

    The least sum of sizes still has small parts that only widen the margin: they are left out, the
    smallest first, as long as the rest separates without them.
    """
    found, margins, working = cut(working, find_sparse(separated), open_, separated)
    for share in SHARES:
        if found is None:
            break
        sizes = np.abs(found[: max(1, working.sides.n_outputs - 1)]).copy()
        sizes[:, :-1] *= working.sides.span
        sizes[:, -1] = np.inf
        dropped = (sizes < share * sizes[:, :-1].max()).ravel()
        if not sizes.ravel()[dropped].any():  # the same program once more
            continue
        program = find_sparse(separated, dropped)
        fewer, its_margins, working = cut(working, program, open_, separated)
        if fewer is None:
            break
        found, margins = fewer, its_margins
    return found, margins


def find_sparse(separated: Mask, dropped: Mask | None = None) -> Program:
    """A program for the direction least in sum |d_j| with margins of 1 or more where `separated`.

    The other open margins are to be 0 or more. The bias costs nothing; few columns remain, and
    none of those `dropped` (D,).
    """

    def solve(working: Working) -> Array | None:
        A, fixed = working.A, _fixed(working.sides)
        if dropped is not None:
            fixed = fixed | dropped
        cost = np.where(
            np.arange(len(fixed)) % working.sides.width == working.sides.width - 1, 0, 1
        )
        result = optimize.linprog(
            np.concatenate([cost, cost]),
            A_ub=sparse.hstack([-A, A], format="csc"),
            b_ub=-1.0 * separated[working.others, working.chosen],
            bounds=np.where(np.tile(fixed, 2)[:, None], 0.0, [0.0, np.inf]),
            method="highs",
            options=OPTIONS,
        )
        if result.status != 0:
            return None
        both = result.x.reshape(2, -1)
        return np.asarray(both[0] - both[1])

    return solve


def _fixed(sides: Sides) -> Mask:
    """(D,) for a program's variables."""
    return np.asarray(np.tile(sides.fixed, max(1, sides.n_outputs - 1)))
