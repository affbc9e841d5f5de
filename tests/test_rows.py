"""Rows in memory: every row once, sums in one order, the same bits for any number of threads."""

import threading
import time

import numpy as np
import pytest
from fresh import run_python
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from threadpoolctl import threadpool_info

from onelayer.blocks import TILE_VALUES, Block
from onelayer.features.dense import DenseFeatures
from onelayer.features.mixed import MixedFeatures
from onelayer.features.sparse import SparseFeatures
from onelayer.rows.blas import single_threaded_blas
from onelayer.rows.memory import BLOCKS, MemoryRows, available_cores

LONG = 40_000


def numbered(n, p=30):
    """Rows that know their number: label and weight say it too."""
    X = np.zeros((n, p))
    X[:, 0] = np.arange(n)
    return Block(DenseFeatures(X), np.arange(n)[None] * 1.0, np.arange(n) + 1.0)


def random_block(n, p=12, layout="dense"):
    rng = np.random.default_rng(n)
    X = rng.normal(size=(n, p)) * 10.0 ** rng.uniform(-5, 5, p)
    if layout == "sparse":
        features = SparseFeatures(sparse.csr_array(X * (rng.random((n, p)) < 0.3)))
    elif layout == "mixed":
        codes = rng.integers(0, 5, (n, 3)).astype(np.int32)
        features = MixedFeatures(X, codes, (5, 5, 5))
    else:
        features = DenseFeatures(X)
    return Block(features, rng.integers(0, 2, (1, n)) * 1.0, rng.exponential(size=n))


def blas_threads():
    import scipy.linalg  # noqa: F401 - brings a BLAS of its own

    return [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]


@pytest.mark.parametrize("n_jobs", [1, 2, 5])
@pytest.mark.parametrize("n", [1, 2, 63, 64, 5_000, LONG, LONG + 17])
def test_every_row_once_in_order(n, n_jobs):
    rows = MemoryRows(numbered(n), n_jobs)
    seen = list(rows.map(lambda b: (b.features.values[:, 0], b.labels[0], b.weights - 1)))
    assert len(seen) <= BLOCKS
    for part in zip(*seen, strict=True):
        np.testing.assert_array_equal(np.concatenate(part), np.arange(n))


@pytest.mark.parametrize("n", [1, 100, LONG])
def test_tiles_cut_a_block_in_order_and_fit_in_cache(n):
    block = numbered(n)
    tiles = list(block.tiles())
    assert all(t.n_rows * 30 <= TILE_VALUES for t in tiles)
    np.testing.assert_array_equal(
        np.concatenate([t.features.values[:, 0] for t in tiles]), range(n)
    )
    np.testing.assert_array_equal(np.concatenate([t.labels[0] for t in tiles]), np.arange(n))
    np.testing.assert_array_equal(np.concatenate([t.weights for t in tiles]), np.arange(n) + 1.0)


@pytest.mark.parametrize("n_jobs", [1, 2, 5])
def test_results_merge_in_the_order_of_the_blocks(n_jobs):
    rows = MemoryRows(numbered(LONG), n_jobs)

    def name(block):
        time.sleep(0.002 * (int(block.weights[0]) % 3))  # late ones must not be overtaken
        return f"{int(block.weights[0])} "

    merged = rows.reduce(name)
    assert merged == "".join(rows.map(name))
    assert [int(v) for v in merged.split()] == sorted(int(v) for v in merged.split())
    assert rows.reduce(lambda b: float(b.weights.max()), max) == LONG


@pytest.mark.parametrize("layout", ["dense", "sparse", "mixed"])
def test_the_same_bits_for_any_number_of_threads(layout):
    block = random_block(LONG, layout=layout)

    def gram(part):
        return sum(t.features.curvature(t.weights) for t in part.tiles())

    with single_threaded_blas():
        first, *others = [MemoryRows(block, k).reduce(gram).tobytes() for k in (1, 2, 5)]
    assert all(other == first for other in others)


def test_n_jobs_counts_threads():
    block = numbered(LONG)
    names = set()

    def note(part):
        names.add(threading.current_thread().name)
        time.sleep(0.005)
        return 0

    MemoryRows(block, 3).reduce(note)
    assert 1 < len(names) <= 3
    assert MemoryRows(block).n_jobs == MemoryRows(block, -1).n_jobs == available_cores()


def test_a_task_s_error_comes_through_and_the_rows_stay_usable():
    rows = MemoryRows(numbered(LONG), 2)

    def fail(part):
        if part.weights[0] > 1:
            raise ZeroDivisionError("block")
        return 0

    with pytest.raises(ZeroDivisionError, match="block"):
        rows.reduce(fail)
    assert rows.reduce(lambda part: part.n_rows) == LONG


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_threads_keep_the_caller_s_floating_point_rules(n_jobs):
    rows = MemoryRows(numbered(LONG), n_jobs)
    with np.errstate(over="ignore"):  # warnings are errors here, in every thread
        assert np.isinf(rows.reduce(lambda part: float(np.square(part.weights * 1e300).sum())))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 3))
def test_a_sample_takes_one_row_of_each_stretch(n, k, seed):
    rows = MemoryRows(numbered(n, 2))
    drawn = rows.sample(k, seed)
    picked = drawn.features.values[:, 0].astype(int)
    np.testing.assert_array_equal(picked, rows.sample(k, seed).features.values[:, 0])
    np.testing.assert_array_equal(drawn.labels[0], picked)
    np.testing.assert_array_equal(drawn.weights, picked + 1)
    assert len(picked) == min(n, k)
    assert len(set(picked)) == len(picked)
    assert (np.diff(picked) < 2 * np.ceil(n / k)).all()


def test_a_sample_does_not_follow_a_period():
    """Every 10th row is a 1: a sample of every 10th row would hold all of them, or none."""
    drawn = MemoryRows(numbered(50_000, 2)).sample(5_000).labels[0]
    assert 0.07 < (drawn % 10 == 0).mean() < 0.13


def test_blas_is_held_at_one_thread_and_let_go():
    before = blas_threads()
    with single_threaded_blas():
        assert set(blas_threads()) == {1}
        with single_threaded_blas():
            assert set(blas_threads()) == {1}
        assert set(blas_threads()) == {1}
    assert blas_threads() == before


def test_an_error_lets_blas_go():
    before = blas_threads()
    with pytest.raises(KeyError), single_threaded_blas():
        raise KeyError
    assert blas_threads() == before


def test_holds_side_by_side_do_not_undo_each_other():
    """The first hold ends first, in a thread of its own; the main thread has held before."""
    with single_threaded_blas():
        pass
    before = blas_threads()
    first_holds, second_holds, first_is_over, seen = *(threading.Event() for _ in range(3)), []

    def hold_first():
        with single_threaded_blas():
            first_holds.set()
            second_holds.wait(30)
            seen.append(set(blas_threads()))
        first_is_over.set()

    def hold_second():
        first_holds.wait(30)
        with single_threaded_blas():
            second_holds.set()
            first_is_over.wait(30)
            seen.append(set(blas_threads()))

    threads = [threading.Thread(target=task) for task in (hold_first, hold_second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert seen == [{1}, {1}]
    assert blas_threads() == before


def test_a_blas_loaded_late_is_held_too():
    """SciPy brings its own BLAS, which may be loaded after the first hold."""
    printed = run_python(
        "from onelayer.rows.blas import single_threaded_blas\n"
        "with single_threaded_blas(): pass\n"
        "import scipy.linalg, threadpoolctl\n"
        "with single_threaded_blas():\n"
        "    print({lib['num_threads'] for lib in threadpoolctl.threadpool_info()"
        " if lib['user_api'] == 'blas'})\n",
        OPENBLAS_NUM_THREADS="2",
    )
    assert printed.strip() == "{1}"
