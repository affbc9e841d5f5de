"""Rows on disk: what is written is what is read, and fits are those of the rows in memory."""

import errno
import gc
import threading
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy import sparse

from onelayer.blocks import Block
from onelayer.errors import InputError
from onelayer.features.mixed import MixedFeatures
from onelayer.fitting import fit
from onelayer.loss import SigmoidLoss
from onelayer.rows import files
from onelayer.rows.ahead import make_ahead
from onelayer.rows.cache import Cache, CacheWriter, Layout
from onelayer.rows.files import FileRows, ReadRows
from onelayer.rows.memory import MemoryRows

LEVELS = (5, 300)


def make_block(n=30_000, words=7, seed=0):
    rng = np.random.default_rng(seed)
    numeric = rng.normal(size=(n, 14))
    numeric[:, 3] = rng.random(n) < 0.2
    codes = np.column_stack([rng.integers(0, k, n) for k in LEVELS]).astype(np.int32)
    texts = sparse.csr_array((rng.random((n, words)) < 0.2).astype(float)) if words else None
    X = MixedFeatures(numeric, codes, LEVELS, texts)
    z = X.linear(rng.normal(size=(1, X.n_columns)) * 0.4)[0]
    labels = (z + rng.logistic(size=n) > 0).astype(np.int8)
    return Block(X, labels[None], rng.integers(1, 4, n).astype(float))


def layout_of(block):
    words = 0 if block.features.words is None else block.features.words.shape[1]
    return Layout(tuple(j == 3 for j in range(14)), LEVELS, words, weighted=True)


def write(folder, block, step=7_001):
    with CacheWriter(folder, layout_of(block)) as writer:
        for start in range(0, block.n_rows, step):
            writer.append(block.rows(start, start + step))
    return Cache(folder, layout_of(block), block.n_rows)


def assert_same(found, block):
    X, Y = found.features, block.features
    np.testing.assert_array_equal(X.numeric, Y.numeric)
    np.testing.assert_array_equal(X.codes, Y.codes)
    np.testing.assert_array_equal(found.labels, block.labels)
    np.testing.assert_array_equal(found.weights, block.weights)
    if Y.words is not None:
        np.testing.assert_array_equal(X.words.toarray(), Y.words.toarray())


@pytest.mark.parametrize("words", [0, 7])
def test_windows_hold_what_was_written(tmp_path, words):
    block = make_block(2_000, words)
    cache = write(tmp_path, block, 333)
    for start, stop in ((0, 2_000), (0, 1), (1_999, 2_000), (332, 1_001), (700, 700)):
        assert_same(cache.read(start, stop), block.rows(start, stop))


def test_codes_take_the_smallest_integers():
    kinds = [Layout((), (most,)).widths["codes"][0] for most in (256, 257, 65_536)]
    assert kinds == [np.uint16, np.uint16, np.int32]
    assert Layout((), (255,)).widths["codes"][0] == np.uint8


def test_a_writer_goes_on_where_it_stood(tmp_path):
    """What was appended beyond the rows noted is cut off."""
    block = make_block(1_000)
    with CacheWriter(tmp_path, layout_of(block)) as writer:
        writer.append(block.rows(0, 400))
        noted = writer.n_rows, writer.n_words
        writer.append(block.rows(400, 500))
    with CacheWriter(tmp_path, layout_of(block), *noted) as writer:
        writer.append(block.rows(400, 1_000))
    assert_same(Cache(tmp_path, layout_of(block), 1_000).read(0, 1_000), block)


def test_rows_are_taken_in_the_order_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "BLOCK_VALUES", 1 << 12)
    block = make_block(3_000)
    rows = FileRows(write(tmp_path, block), 2)
    assert len(rows.borders) > 10
    chosen = np.random.default_rng(0).permutation(3_000)[:500]
    assert_same(rows.take(chosen), block.take(chosen))
    again = ReadRows(lambda: read(block, 411), rows.layout, 3_000, 2)
    assert_same(again.take(chosen), block.take(chosen))


@pytest.mark.parametrize("words", [0, 7])
def test_few_of_many_rows_are_the_same_rows(tmp_path, words):
    block = make_block(9_000, words)
    rows = FileRows(write(tmp_path, block), 2).by_class((0.5, 3.0))
    chosen = np.array([8_999, 3, 4_500])
    expected = block.take(chosen)
    weights = expected.weights * np.where(expected.labels[0] > 0, 3.0, 0.5)
    assert_same(rows.take(chosen), replace(expected, weights=weights))


def read(block, step):
    return (block.rows(start, start + step) for start in range(0, block.n_rows, step))


def test_a_fit_is_that_in_memory_and_its_bits_depend_on_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "BLOCK_VALUES", 1 << 16)
    block = make_block()
    cache = write(tmp_path, block)
    whole = fit(MemoryRows(block), SigmoidLoss(1))
    sources = [FileRows(cache, 1), FileRows(cache, 3)]
    steps = (900, 40_000)
    sources += [ReadRows(partial(read, block, k), cache.layout, block.n_rows, 2) for k in steps]
    found = [fit(rows, SigmoidLoss(1)) for rows in sources]
    for one in found:
        np.testing.assert_array_equal(one.W, found[0].W)
        assert one.certificate == found[0].certificate
    assert whole.certificate.kind == found[0].certificate.kind == "sampled"
    np.testing.assert_allclose(found[0].W, whole.W, atol=1e-4)
    assert found[0].objective == pytest.approx(whole.objective, rel=1e-12)


def test_a_table_that_changed_between_passes_is_refused(tmp_path):
    block = make_block(2_000)
    rows = ReadRows(lambda: read(block.rows(0, 1_990), 500), layout_of(block), 2_000)
    with pytest.raises(InputError, match="changed since this training began"):
        rows.reduce(lambda part: float(part.weights.sum()))


def test_a_cache_that_was_cut_is_refused(tmp_path):
    block = make_block(2_000)
    cache = write(tmp_path, block)
    with (tmp_path / "numbers").open("r+b") as stream:
        stream.truncate(1_000)
    with pytest.raises(InputError, match="shorter than its rows"):
        cache.read(1_000, 2_000)


def test_a_full_disk_is_one_clear_line(tmp_path, monkeypatch):
    block = make_block(100)

    class Full:
        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self):
            pass

    writer = CacheWriter(tmp_path, layout_of(block))
    writer.close()
    monkeypatch.setattr(writer, "_files", {"numbers": Full()})
    with pytest.raises(InputError, match="the disk is full: free some space"):
        writer.append(block)


def test_sums_of_weights_and_labels_read_no_features(tmp_path):
    block, read = make_block(3_000), []
    rows = FileRows(write(tmp_path, block), watch=lambda start, stop: read.append(start))
    assert rows.reduce(lambda part: float(part.weights.sum())) == block.weights.sum()
    assert rows.reduce(lambda part: int(part.labels.sum())) == block.labels.sum()
    assert not read
    rows.reduce(lambda part: part.features.back(part.weights[None]))
    assert read[0] == 0


def test_items_are_made_ahead_in_one_thread_and_closed_there():
    threads, made = set(), []

    def make():
        try:
            for k in range(5):
                threads.add(threading.get_ident())
                made.append(k)
                yield k
            raise InputError("the end is missing")
        finally:
            threads.add(threading.get_ident())

    ahead = make_ahead(make())
    assert [next(ahead) for _ in range(5)] == made
    with pytest.raises(InputError, match="the end is missing"):
        next(ahead)
    ahead = make_ahead(make())
    assert next(ahead) == 0
    ahead.close()
    assert threading.get_ident() not in threads


def test_items_that_are_forgotten_are_closed_by_the_collector():
    """As after an error, whose traceback holds the iterator in a cycle."""
    closed = threading.Event()

    def make():
        try:
            yield from range(5)
        finally:
            closed.set()

    held = [make_ahead(make())]
    assert next(held[0]) == 0
    held.append(held)
    del held
    collecting = threading.Thread(target=gc.collect, daemon=True)
    collecting.start()
    collecting.join(10)
    assert not collecting.is_alive()
    assert closed.is_set()
