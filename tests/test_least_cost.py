"""The cheapest offers, against every combination there is."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onelayer.explaining.least_cost import Answer, Front, _relax, find_cheapest, make_front

offer = st.tuples(st.integers(1, 30), st.integers(-3, 30))
offers = st.lists(st.lists(offer, min_size=1, max_size=5), min_size=1, max_size=5)


def build(lists: list[list[tuple[int, int]]]) -> list[Front]:
    fronts = []
    for each in lists:
        cost, gain = np.array(each, dtype=float).T
        fronts.append(make_front(cost, gain, np.arange(len(cost))))
    return fronts


def solve(fronts: list[Front], need: float) -> Answer | None:
    most = np.array([front.gain[-1] if front.gain.size else 0.0 for front in fronts])
    return find_cheapest(most, lambda j: fronts[j], need)


def brute_force(fronts: list[Front], need: float) -> tuple[int, float] | None:
    """The fewest fronts, and the least cost with so many."""
    for count in range(1, len(fronts) + 1):
        found = [
            sum(fronts[j].cost[i] for j, i in zip(chosen, picks))
            for chosen in combinations(range(len(fronts)), count)
            for picks in product(*(range(len(fronts[j].cost)) for j in chosen))
            if sum(fronts[j].gain[i] for j, i in zip(chosen, picks)) >= need
        ]
        if found:
            return count, min(found)
    return None


@settings(deadline=None, max_examples=300)
@given(offers, st.integers(1, 100))
def test_nothing_is_cheaper(lists: list[list[tuple[int, int]]], need: int) -> None:
    fronts = build(lists)
    found, wanted = solve(fronts, need), brute_force(fronts, need)
    if wanted is None:
        assert found is None
        return
    assert found is not None
    assert found.proved
    assert (len(found.picks), found.cost) == (wanted[0], pytest.approx(wanted[1]))
    assert sum(fronts[j].gain[i] for j, i in found.picks) >= need
    assert sum(fronts[j].cost[i] for j, i in found.picks) == pytest.approx(found.cost)


def draw_fronts(seed: int, sizes: list[int]) -> list[Front]:
    random = np.random.default_rng(seed)
    fronts = []
    for size in sizes:
        cost = np.sort(random.random(size)) * random.uniform(1, 5)
        gain = [np.sort(random.random(size)), 2 * cost, np.log1p(9 * cost), cost**2][
            random.integers(4)
        ]
        fronts.append(make_front(cost, gain * random.uniform(0.5, 2), np.arange(size)))
    return fronts


@pytest.mark.parametrize("seed", range(20))
def test_long_fronts(seed: int) -> None:
    """Three fronts of hundreds of offers, of every shape: against all their combinations."""
    fronts = draw_fronts(seed, [60, 70, 80])
    most = sum(front.gain[-1] for front in fronts)
    two = np.sort([front.gain[-1] for front in fronts])[1:].sum()
    need = two + 0.5 * (most - two)
    found = solve(fronts, need)
    assert found is not None
    assert found.proved
    a, b, c = fronts
    gain = a.gain[:, None, None] + b.gain[:, None] + c.gain
    cost = a.cost[:, None, None] + b.cost[:, None] + c.cost
    assert found.cost == pytest.approx(cost[gain >= need].min(), rel=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_the_bound_lies_under_every_choice(seed: int) -> None:
    fronts = draw_fronts(seed, [500, 400])
    a, b = fronts
    gain, cost = (np.add.outer(x, y).ravel() for x, y in ((a.gain, b.gain), (a.cost, b.cost)))
    bound = _relax(fronts)(gain)
    assert (bound <= cost * (1 + 1e-12)).all()
    assert np.min(cost - bound) < 0.05 * cost.max()


def test_many_long_fronts_are_quick_and_proved() -> None:
    fronts = draw_fronts(0, [20_000] * 12)
    most = np.sort([front.gain[-1] for front in fronts])[::-1]
    found = solve(fronts, most[:3].sum() - 0.3 * most[2])
    assert found is not None
    assert found.proved
    assert len(found.picks) == 3


def test_nothing_that_gains_is_no_front() -> None:
    front = make_front(np.array([1.0, 2.0]), np.array([-1.0, 0.0]), np.arange(2))
    assert not front.cost.size
    assert solve([front], 1.0) is None
