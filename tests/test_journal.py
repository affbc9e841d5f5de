"""Sums kept on disk: given back bit for bit to who asks the same, and to nobody else."""

import os
import pickle
from functools import partial

import numpy as np
import pytest

from onelayer.rows.journal import Journal
from onelayer.sums import Sums


def fail():
    raise AssertionError("added up again")


def task_of(W, scale=1.0):
    return lambda block: scale * (W @ block)


def test_sums_come_back_with_their_bits_and_layout(tmp_path):
    random = np.random.default_rng(0)
    second = np.asfortranarray(random.normal(size=(3, 5)))
    sums = Sums(*random.normal(size=(6, 2)), second=second)
    first = Journal(tmp_path / "a").once("all", lambda: (sums, np.float64(0.1), None))
    again = Journal(tmp_path / "a").once("all", fail)
    for each, _, _ in (first, again):
        assert each.second.flags.f_contiguous
        assert each.second.flags.writeable
        np.testing.assert_array_equal(each.second, second)
        np.testing.assert_array_equal(each.least_margin, sums.least_margin)
    assert again[1:] == (0.1, None)


def test_another_question_has_another_answer(tmp_path):
    W = np.array([1.0, 2.0])
    journal = Journal(tmp_path / "a")
    assert journal.once((task_of(W), max), lambda: 1.0) == 1.0
    assert Journal(tmp_path / "a").once((task_of(W.copy()), max), fail) == 1.0
    others = [(task_of(W + 1e-16), max), (task_of(W * (1 + 2**-52)), max)]
    others += [(task_of(W, 2.0), max), (task_of(W), min), (lambda block: block, max)]
    assert journal.once(others[0], fail) == 1.0, "the same number"
    for k, other in enumerate(others[1:]):
        assert journal.once(other, partial(float, k)) == k


def test_functions_of_one_line_that_differ_in_a_number_are_told_apart(tmp_path):
    asked = [lambda block: block * 2.0, lambda block: block * 3.0]
    asked += [lambda block: [2 * v for v in block], lambda block: [3 * v for v in block]]
    asked += [lambda block, *, by=2.0: block * by, lambda block, *, by=3.0: block * by]
    for k, task in enumerate(asked):
        assert Journal(tmp_path / "a").once(task, partial(float, k)) == k
    assert Journal(tmp_path / "a").once(asked[2], fail) == 2


@pytest.mark.parametrize("asked", [open, "lock"])
def test_what_has_no_value_is_asked_again(tmp_path, asked):
    import threading

    lock = threading.Lock()
    question = (lambda block: lock) if asked == "lock" else iter([1])
    for k in range(2):
        assert Journal(tmp_path / "a").once((question, k), lambda k=k: k) == k


def test_a_damaged_record_is_added_up_again(tmp_path):
    journal = Journal(tmp_path / "a")
    journal.once("all", lambda: 2.0)
    (path,) = journal.folder.iterdir()
    whole = path.read_bytes()
    for damaged in (b"", whole[:-1], whole[:70] + b"x" + whole[71:]):
        path.write_bytes(damaged)
        assert Journal(tmp_path / "a").once("all", lambda: 2.0) == 2.0
        assert path.read_bytes() == whole


class Evil:
    def __reduce__(self):
        return os.mkdir, ("made",)


def test_a_record_runs_no_code(tmp_path, monkeypatch):
    import hashlib

    monkeypatch.chdir(tmp_path)
    journal = Journal(tmp_path / "a")
    journal.once("all", lambda: 2.0)
    (path,) = journal.folder.iterdir()
    encoded = pickle.dumps(Evil())
    path.write_bytes(hashlib.sha256(encoded).hexdigest().encode() + b"\n" + encoded)
    assert Journal(tmp_path / "a").once("all", lambda: 3.0) == 3.0
    assert not (tmp_path / "made").exists()
