"""Rows ranked in memory and over runs on disk are one sequence, and leave nothing behind."""

import errno
import math
import os
import tempfile
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onelayer.errors import InputError
from onelayer.exact_sums import sum_in_units, units_to_float
from onelayer.judging import ranking as rooms
from onelayer.judging.evaluate import evaluate, evaluate_batches
from onelayer.judging.ranking import Ranking
from onelayer.spill import Spill

quick = settings(deadline=None, max_examples=60)


@st.composite
def rows(draw):
    """Labels, logits with ties of all sizes, weights over many scales with zeros among them."""
    n = draw(st.integers(1, 300))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    levels = draw(st.sampled_from([1, 2, 7, 10**6]))
    logits = random.integers(-levels, levels, n) * draw(st.sampled_from([1e-3, 1.0, 1e300]))
    weights = {
        "none": None,
        "counts": random.integers(0, 3, n) * 1.0,
        "any": random.random(n) * 10.0 ** random.integers(-20, 20, n),
    }[draw(st.sampled_from(["none", "counts", "any"]))]
    if draw(st.booleans()):
        logits = np.sort(logits)  # each run lies wholly before the next
    return (random.random(n) < random.random()).astype(float), logits, weights


def batches(columns, size):
    for start in range(0, len(columns[0]), size):
        yield tuple(None if each is None else each[start : start + size] for each in columns)


@settings(quick, max_examples=20)
@given(rows(), st.sampled_from([1, 7, 50, 1000]), st.sampled_from([1, 9, 40, 250]))
def test_the_same_bits_in_memory_and_over_runs(columns, size, run_rows):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rooms, "BLOCK_ROWS", 16)
        patch.setattr(rooms, "_FEWEST_ROWS", 3)
        if columns[2] is not None:
            columns[2][0] += 1
        whole = evaluate(*columns)
        assert evaluate_batches(batches(columns, size), run_rows=run_rows) == whole
        shuffled = np.random.default_rng(1).permutation(len(columns[0]))
        other = [None if each is None else each[shuffled] for each in columns]
        assert evaluate(*other) == whole


@quick
@given(rows(), st.sampled_from([1, 7, 50]), st.sampled_from([1, 9, 40]))
def test_blocks_are_the_sorted_rows(columns, size, run_rows):
    labels, logits, weights = columns
    weights = np.ones(len(labels)) if weights is None else weights + 1
    with pytest.MonkeyPatch.context() as patch, Ranking(run_rows) as ranking:
        patch.setattr(rooms, "BLOCK_ROWS", 16)
        patch.setattr(rooms, "_FEWEST_ROWS", 3)
        for y, z, s in batches((labels, logits, weights), size):
            ranking.add(z, y, s)
        found = [tuple(block) for block in ranking.blocks()]
    assert [len(keys) for keys, _ in found[:-1]] == [16] * (len(found) - 1)
    keys, signed = (np.concatenate(column).tolist() for column in zip(*found))
    expected = sorted(zip((-logits).tolist(), np.where(labels == 1, weights, -weights).tolist()))
    assert list(zip(keys, signed)) == expected


def test_many_rows_in_two_runs_and_in_one():
    random, n = np.random.default_rng(0), 250_000
    columns = random.random(n) < 0.3, random.normal(size=n), random.exponential(size=n)
    assert evaluate_batches(batches(columns, 75_000), run_rows=100_000) == evaluate(*columns)


# Exact sums


@quick
@given(st.lists(st.floats(0, 1e300, allow_subnormal=True), min_size=1, max_size=50))
def test_sums_are_exact(values):
    cells = np.arange(len(values)) % 3
    found = sum_in_units(np.array(values), cells, 3)
    for cell in range(3):
        exact = sum((Fraction(v) for v, c in zip(values, cells) if c == cell), Fraction(0))
        assert found[cell] == exact * 2**1074
        assert units_to_float(found[cell]) == float(exact)


def test_a_sum_beyond_the_largest_float_is_infinite():
    assert math.isinf(units_to_float(2 * sum_in_units(np.array([1.7e308]), np.array([0]), 1)[0]))


# The temporary file


def spill_much():
    random = np.random.default_rng(0)
    columns = random.random(1000) < 0.5, random.normal(size=1000), None
    return evaluate_batches(batches(columns, 100), run_rows=100)


class Faulty:
    """A temporary file whose `step` fails the second time."""

    def __init__(self, step, fault):
        self.file, self.step, self.fault = tempfile.TemporaryFile(buffering=0), step, fault  # noqa: SIM115
        self.calls = 0
        self.closed = False

    def __getattr__(self, name):
        call = getattr(self.file, name)

        def counted(*arguments):
            self.calls += name == self.step
            if self.calls > 1 and name == self.step:
                raise self.fault
            return call(*arguments)

        return counted

    def close(self):
        self.closed = True
        self.file.close()


@pytest.mark.parametrize("step", ["write", "seek", "readinto"])
@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), InputError),
        (OSError(errno.EIO, "Input/output error"), InputError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (MemoryError(), MemoryError),
    ],
)
def test_a_fault_ends_the_file(monkeypatch, step, fault, seen):
    file = Faulty(step, fault)
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: file)
    with pytest.raises(seen) as caught:
        spill_much()
    assert file.closed
    if seen is InputError:
        assert str(caught.value) == (
            f"cannot put scores aside in a temporary file in {tempfile.gettempdir()}: "
            f"{fault.strerror.lower()}; make room there, or name another folder in TMPDIR"
        )


def test_writes_that_take_a_part_at_a_time(monkeypatch):
    expected = spill_much()
    file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115

    class Slow:
        def __getattr__(self, name):
            return getattr(file, name)

        def write(self, content):
            return file.write(content[:1001])

        def readinto(self, place):
            return file.readinto(place[:777])

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Slow())
    assert spill_much() == expected


def test_nothing_is_left_in_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    spill_much()
    assert os.listdir(tmp_path) == []

    def interrupted():
        yield [0, 1] * 100, np.arange(200.0), None
        assert os.listdir(tmp_path) == [] or os.name == "nt"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate_batches(interrupted(), run_rows=100)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_not_there(tmp_path):
    with (
        Spill(2, str(tmp_path / "gone")) as spill,
        pytest.raises(InputError, match="gone: no such"),
    ):
        spill.append(np.ones((1, 2)))


def test_a_file_cut_short_is_said():
    with Spill(2) as spill:
        spill.append(np.ones((10, 2)))
        spill._file.truncate(100)
        with pytest.raises(InputError, match="cut short"):
            spill.read(0, 10)
