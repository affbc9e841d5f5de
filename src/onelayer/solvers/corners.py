"""The minimum of a parabola plus an L1 norm, exactly: the step of proximal Newton.

    Q(x) = x'Hx / 2 + c'x + sum_j kappa_j |x_j|

Given which x_j are 0 and the signs of the others, Q is a parabola and one Cholesky factor finds its
minimum. Which ones they are is guessed from the signs at hand: those that turn become 0, those
whose slope exceeds its penalty take part. That is right after a few guesses where columns hardly
overlap; where it goes astray, one parameter at a time is exchanged (`active_set.py`).

An H that is applied, or where that would take long, is stepped with instead: a guess from
x - slope / curvature (a semismooth Newton step) is cut short where Q is least along it, and where
it does not even begin downhill, a step that does is taken: within the orthant of x, as in
feature-sign search (Lee, Battle, Raina and Ng, Efficient sparse coding algorithms, NIPS 2006). Q
falls each time and there are finitely many sets of signs.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from onelayer.solvers.active_set import SUMMED, factor_independent, solve_root, walk
from onelayer.solvers.rows_hessian import RowsHessian, guess_nearly
from onelayer.solvers.twins import merge_twins

Array = NDArray[Any]

MOST_FACES = 1000
FEW_FACES = 4  # of an H that is applied: the next step sees to the rest
LIFT = 3e-16  # share added to the diagonal; 100 times as much until the factor exists
STEEP = 0.3  # of the zeros that could move downhill, those this near the steepest may leave at once
SETTLED = 1e-14  # a fall of Q below this share of its terms is rounding
WALKED = 600  # parameters at most that a walk serves, whose steps cost the square of them
SHORT = 100  # parameters of which picking those that are not 0 takes longer than a product
ASTRAY = 2  # guesses in a row with no fewer signs to change


def minimise(H: Array | RowsHessian, slope: Array, kappa: Array, x: Array) -> Array:
    """The minimiser of Q from a start near it.

    Parameters
    ----------
    H: (D, D), symmetric, of no negative curvature; one that is applied is solved with by conjugate
        gradients, and then the minimiser is found nearly.
    x: (D,), the start. slope: (D,), of the parabola at x, H x + c.
    kappa: (D,), >= 0; 0 for a parameter without a penalty.

    >>> slope = np.array([-3.0, 0.5, 3.0])
    >>> minimise(np.eye(3), slope, np.ones(3), np.zeros(3)).round(9).tolist()
    [2.0, 0.0, -2.0]
    """
    curved = diagonal(H).copy()
    curved[curved <= 0] = 1.0
    if isinstance(H, RowsHessian):
        found = guess_nearly(H, slope, kappa, x)
        return _descend(H, slope, curved, kappa, x) if found is None else found
    x, spare = merge_twins(H, slope, kappa, x)
    found = _guess_on(H, slope, curved, kappa, x, x, spare)
    if found is not None:
        return found
    if len(x) > WALKED:
        return _descend(H, slope, curved, kappa, x)
    end, idle = walk(H, slope, kappa, x)
    # Once more, without what the walk has rounded.
    found = _guess_on(H, slope, curved, kappa, x, end, (spare | idle) & (end == 0))
    return end if found is None else found


def _guess_on(
    H: Array,
    slope: Array,
    curved: Array,
    kappa: Array,
    x: Array,
    first: Array,
    spare: NDArray[np.bool_],
) -> Array | None:
    """The minimiser by guesses alone, the first at the signs of `first`; None where they go astray.

    Each comes from the last one's face. They end where one is its own next, as at the minimum
    alone, and are given up where columns depend on each other, or the signs that change have not
    become fewer for a while (as in block principal pivoting: Judice and Pires, Computers and
    Operations Research 21, 1994). Those that are `spare` stay 0.
    """
    signs, free, size = np.sign(first), kappa == 0, np.sqrt(curved)
    signs[free] = 2.0
    c, fewest, patience = slope - _times(H, x), len(x) + 1, ASTRAY
    while patience:
        kept = np.flatnonzero(signs)
        root = factor_independent(H, kept, curved)
        if root is None:
            return None
        target = np.zeros_like(x)
        target[kept] = solve_root(root, -(c + kappa * signs)[kept])
        there = c + _times(H, target)
        over = np.abs(there) - kappa
        wrong = (signs == 0) & (over > SUMMED * float(size @ np.abs(target)) * size) & ~spare
        wrong |= (signs * target < 0) & ~free
        count = int(np.count_nonzero(wrong))
        if not count:  # once more for the digits that H x took from c
            left = slope + _times(H, target - x) + kappa * signs
            target[kept] -= solve_root(root, left[kept])
            return target
        fewest, patience = (count, ASTRAY) if count < fewest else (fewest, patience - 1)
        signs = np.where(wrong, np.where(signs == 0, -np.sign(there), 0.0), signs)
    return None


def _descend(H: Array | RowsHessian, slope: Array, curved: Array, kappa: Array, x: Array) -> Array:
    """The minimiser by steps of which each lowers Q."""
    start, first = x, slope
    last: Array | None = None
    for _ in range(FEW_FACES if isinstance(H, RowsHessian) else MOST_FACES):
        signs = _guess(x, slope, curved, kappa)
        if last is not None and np.array_equal(signs, last):
            return x
        target = _solve_face(H, x, slope, kappa, signs)
        if _is_inside(x, target, signs):  # Q's own rounding must not refuse it
            fall, step = 0.0, 1.0
        else:
            fall, step = _search(H, slope, kappa, x, target)
        last = signs if step == 1 else None
        if last is None:
            others = [_fold(x, target), *_stay_in_orthant(H, x, slope, kappa)]
            found = [(fall, step, target)]
            found += [(*_search(H, slope, kappa, x, other), other) for other in others]
            fall, step, target = min(found, key=lambda each: each[0])
        if step == 0:
            return x
        x = target if step == 1 else _move(x, target, step)
        slope = first + _times(H, x - start)
    return x


def diagonal(H: Array | RowsHessian) -> Array:
    """(D,)."""
    return H.diagonal if isinstance(H, RowsHessian) else np.diag(H)


def _times(H: Array | RowsHessian, x: Array) -> Array:
    """H x for an x that may be mostly 0."""
    if isinstance(H, RowsHessian) or len(x) <= SHORT:
        return np.asarray(H @ x)
    held = np.flatnonzero(x)
    return np.asarray(H @ x if 3 * len(held) > len(x) else x[held] @ H[held])


def _guess(x: Array, slope: Array, curved: Array, kappa: Array) -> Array:
    """The sign that each parameter would have if its column were alone, 2 where it is free."""
    alone = curved * x - slope
    return np.where(kappa == 0, 2.0, np.sign(alone) * (np.abs(alone) > kappa))


def _is_inside(x: Array, target: Array, signs: Array) -> bool:
    """Whether both ends lie in the face that the signs name: Q is one parabola between them."""
    there = np.where(signs == 2, 2.0, np.sign(target))
    here = np.where(signs == 2, 2.0, np.sign(x))
    return bool(np.array_equal(there, signs) and np.array_equal(here, signs))


def _solve_face(
    H: Array | RowsHessian, x: Array, slope: Array, kappa: Array, signs: Array
) -> Array:
    """The minimum over the parameters whose sign is not 0, with |x_j| continued as sign_j x_j."""
    kept, target = np.flatnonzero(signs), np.zeros_like(x)
    dropped = (signs == 0) & (x != 0)
    if dropped.any():
        slope = slope - _times(H, np.where(dropped, x, 0.0))
    pull = slope[kept] + kappa[kept] * np.where(kappa[kept] == 0, 0.0, signs[kept])
    target[kept] = x[kept] - _solve(H, kept, pull)
    return target


def _solve(H: Array | RowsHessian, chosen: NDArray[np.intp], right: Array) -> Array:
    if isinstance(H, RowsHessian):
        return H.solve(chosen, right)
    return solve_definite(H[np.ix_(chosen, chosen)], right)


def solve_definite(M: Array, right: Array) -> Array:
    """M^-1 right; for a singular M with as much curvature added as the factor needs.

    Only the length of a step depends on it, never what is proved about where the step ends.
    """
    if not len(M):
        return right
    added, diagonal = LIFT, np.maximum(np.diag(M), 1e-300)
    while added < 1e3:
        raised = M.copy()
        np.fill_diagonal(raised, (1 + added) * diagonal)
        _, solution, failed = linalg.lapack.dposv(raised, right, lower=1, overwrite_a=1)
        if not failed and np.isfinite(solution).all():
            return np.asarray(solution)
        added *= 100
    return np.asarray(right / diagonal)


def _fold(x: Array, target: Array) -> Array:
    """The target with 0 for what would change its sign on the way: many may reach 0 at once."""
    return np.where(x * target < 0, 0.0, target)


def _stay_in_orthant(
    H: Array | RowsHessian, x: Array, slope: Array, kappa: Array
) -> tuple[Array, Array]:
    """The minimum over the orthant's face in which x can move downhill, and it folded.

    A parameter that leaves 0 must leave it to the side that its slope says; one that would not is
    left at 0. With the steepest alone, beside those that are not 0, a side is always kept.
    """
    zero = (x == 0) & (kappa > 0)
    side = np.where(zero, -np.sign(slope), np.sign(x)) * (kappa > 0)
    pull = slope + kappa * side
    steep = np.where(zero, np.abs(slope) - kappa, 0.0)
    largest = steep.max(initial=0.0)
    settled = np.abs(pull[~zero]).max(initial=0.0) <= largest
    entering = zero & (steep > STEEP * largest) & settled
    moving = ~zero | entering
    target = x.copy()
    while moving.any():
        d = np.zeros_like(x)
        d[moving] = _solve(H, np.flatnonzero(moving), -pull[moving])
        wrong = entering & moving & (d * side <= 0)
        if not wrong.any():
            target = x + d
            break
        moving &= ~wrong
    return target, _fold(x, target)


def _search(
    H: Array | RowsHessian, slope: Array, kappa: Array, x: Array, target: Array
) -> tuple[float, float]:
    """The least change of Q along x -> target, and how far along it is found (1: at the target)."""
    d = target - x
    size = kappa * np.abs(d)
    bend = float(d @ _times(H, d))
    first = float(slope @ d + np.where(x == 0, size, kappa * np.sign(x) * d).sum())
    terms = float(np.abs(slope * d).sum() + size.sum())
    if not first < -SETTLED * terms:
        return 0.0, 0.0
    crossing = (x * target < 0) & (kappa > 0)
    where = -x[crossing] / d[crossing]
    order = np.argsort(where)
    at = np.append(where[order], 1.0)
    jumps = 2 * np.cumsum(np.append(0.0, size[crossing][order]))
    after = first + bend * at[:-1] + jumps[1:]  # the slope just behind each crossing
    stop = int(np.argmax(np.append(after, np.inf) >= 0))
    step = float(at[stop])
    if first + jumps[stop] + bend * step > SETTLED * terms:  # it turns before
        step = -(first + jumps[stop]) / bend
    passed = size[crossing][order][:stop] * (step - at[:stop])
    fall = step * (first + 0.5 * bend * step) + 2 * float(passed.sum())
    return fall, 1.0 if step > 1 - 1e-12 else step


def _move(x: Array, target: Array, step: float) -> Array:
    """x + step (target - x), with what the step has brought to 0 exactly there."""
    moved = x + step * (target - x)
    moved[np.abs(moved) <= 4 * np.finfo(float).eps * np.maximum(np.abs(x), np.abs(target))] = 0.0
    return moved
