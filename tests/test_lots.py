"""Draws by row number: the same in any batches, even over the rows, apart by seed."""

import numpy as np
import pytest
from scipy import stats

from onelayer.rows.lots import draw_lots, hold_out


def test_lots_are_those_of_splitmix64():
    """The first outputs of the generator seeded with 1234567, as its authors publish them."""
    state, found = 1234567, []
    for _ in range(3):
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
        found.append(z ^ (z >> 31))
    assert found == [6457827717110365317, 3203168211198807973, 9817491932198370423]
    mixed = [mix(mix(0) + k * 0x9E3779B97F4A7C15) for k in range(3)]
    assert draw_lots(np.arange(3), seed=0).tolist() == mixed


def mix(state: int) -> int:
    z = (state + 0x9E3779B97F4A7C15) % 2**64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
    return z ^ (z >> 31)


def test_any_batches_give_the_same_rows():
    whole = hold_out(np.arange(10_000), 0.3, seed=5)
    starts = range(0, 10_000, 777)
    parts = [hold_out(np.arange(a, min(a + 777, 10_000)), 0.3, seed=5) for a in starts]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.2, 0.9])
def test_the_share_is_that_asked_for(share):
    held = hold_out(np.arange(200_000), share, seed=1)
    assert abs(held.sum() - share * 200_000) <= 5 * np.sqrt(200_000 * share * (1 - share))


def test_lots_are_even_and_seeds_apart():
    one, two = draw_lots(np.arange(50_000), 1), draw_lots(np.arange(50_000), 2)
    assert stats.kstest(one / 2.0**64, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(one.astype(float), two.astype(float))[0, 1]) < 0.02
    assert len(np.unique(one)) == 50_000
