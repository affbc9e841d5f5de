"""Rows on a cluster: the same answers, the same bits, and what goes wrong there."""

import gc
import os
import pickle
import signal
import time

import numpy as np
import pytest
from partitions import Drawn, Stored

from onelayer.blocks import Block
from onelayer.coordinates import measure_columns
from onelayer.errors import InputError
from onelayer.features.stack import stack_features
from onelayer.fitting import fit
from onelayer.loss import SigmoidLoss, SoftmaxLoss
from onelayer.objective import Objective
from onelayer.rows.memory import MemoryRows

pytest.importorskip("distributed", reason="Dask is not installed: extra [dask]")
from onelayer.rows.cluster import FAN
from onelayer.rows.held import HeldRows
from onelayer.rows.partitioned import ClusterRows


def gather(partitions):
    """The rows of partitions in memory."""
    blocks = [each.load() for each in partitions]
    return MemoryRows(
        Block(
            stack_features([block.features for block in blocks]),
            np.concatenate([block.labels for block in blocks], axis=1),
            np.concatenate([block.weights for block in blocks]),
        )
    )


def bits(solution):
    return solution.W.tobytes(), solution.b.tobytes(), solution.objective


CASES = {
    "few columns": ([Drawn(k) for k in range(3)], SigmoidLoss(1)),
    "a sample's Hessian": ([Drawn(k, 4000, 20) for k in range(10)], SigmoidLoss(1)),
    "three classes": ([Drawn(k, 1000, 5, classes=3) for k in range(3)], SoftmaxLoss(3)),
    "mixed columns": ([Drawn(k, codes=True) for k in range(3)], SigmoidLoss(1)),
    "few rows": ([Drawn(0, 60), Drawn(1, 30)], SigmoidLoss(1)),
    "unequal parts": ([Drawn(0, 10), Drawn(1, 0), Drawn(2, 3000), Drawn(3, 1)], SigmoidLoss(1)),
}


@pytest.mark.parametrize("case", CASES)
def test_the_answer_is_that_in_memory(client, case, monkeypatch):
    monkeypatch.setattr("onelayer.solvers.direct.MOST_VALUES", 0)  # of rows in memory alone
    partitions, loss = CASES[case]
    there = fit(ClusterRows.from_partitions(client, partitions), loss)
    here = fit(gather(partitions), loss)
    assert there.status == here.status == "optimal"
    assert there.certificate.rho <= 1e-4
    assert there.certificate.kind in (here.certificate.kind, "factored")
    assert np.abs(there.W - here.W).max() < 1e-6
    assert there.objective == pytest.approx(here.objective, rel=1e-9)


def test_a_source_far_from_its_scale_is_shifted_there(client):
    class Far(Drawn):
        def load(self):
            block = super().load()
            block.features.values[:, 0] += 1e5
            return block

    partitions = [Far(k) for k in range(3)]
    there = fit(ClusterRows.from_partitions(client, partitions), SigmoidLoss(1))
    here = fit(gather(partitions), SigmoidLoss(1))
    assert there.status == "optimal"
    assert there.objective == pytest.approx(here.objective, rel=1e-9)


@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
def test_an_l1_penalty_takes_rows_on_a_cluster(client, l1_ratio):
    partitions = [Drawn(k) for k in range(3)]
    options = {"C": 0.01, "l1_ratio": l1_ratio}
    there = fit(ClusterRows.from_partitions(client, partitions), SigmoidLoss(1), **options)
    here = fit(gather(partitions), SigmoidLoss(1), **options)
    assert there.objective == pytest.approx(here.objective, rel=1e-9)
    assert ((there.W == 0) == (here.W == 0)).all()


def test_rows_are_taken_by_their_numbers(client):
    partitions = [Drawn(0, 10), Drawn(1, 0), Drawn(2, 5)]
    rows, here = ClusterRows.from_partitions(client, partitions), gather(partitions)
    assert (rows.n_rows, rows.n_columns) == (15, 5)
    for numbers in ([14, 0, 9, 10, 10], [3], [], list(range(15))):
        taken = rows.take(np.array(numbers, dtype=np.intp))
        expected = here.take(np.array(numbers, dtype=np.intp))
        assert taken.features.values.tolist() == expected.features.values.tolist()
        assert taken.labels.tolist() == expected.labels.tolist()
    assert rows.sample(7).features.values.tolist() == here.sample(7).features.values.tolist()


def test_sums_keep_the_order_of_partitions(client):
    count = FAN * FAN + 3  # three levels
    rows = ClusterRows.from_partitions(client, [Drawn(k, 1, 1) for k in range(count)])
    first = [float(Drawn(k, 1, 1).load().features.values[0, 0]) for k in range(count)]
    assert rows.reduce(lambda block: block.features.values[:, 0].tolist()) == first
    assert list(rows.map(lambda block: block.features.values[0, 0])) == first


def test_the_bits_do_not_depend_on_who_is_slow(client):
    slow = [Drawn(k, 4000, 20, wait=0.3 * (k == 0)) for k in range(10)]
    quick = [Drawn(k, 4000, 20) for k in range(10)]
    answers = [
        bits(fit(ClusterRows.from_partitions(client, partitions), SigmoidLoss(1)))
        for partitions in (slow, quick)
    ]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("place", [1, 4, 8])
def test_the_bits_do_not_depend_on_where_rows_lie_in_memory(place):
    """A partition that came over the network begins at any byte."""
    held, buffers = HeldRows(Drawn(0, 4000, 20).load()), []
    header = pickle.dumps(held, protocol=5, buffer_callback=buffers.append)
    moved = pickle.loads(header, buffers=[shift(buffer.raw(), place) for buffer in buffers])
    sums = [MemoryRows(each.block, 1).reduce(gradient) for each in (held, moved)]
    assert sums[0].tobytes() == sums[1].tobytes()


def shift(raw, place):
    """The same bytes, `place` bytes behind a border of 64."""
    room = np.zeros(raw.nbytes + 128, dtype=np.uint8)
    start = -room.ctypes.data % 64 + place
    room[start : start + raw.nbytes] = raw
    return room[start : start + raw.nbytes]


def gradient(block):
    rows, loss = MemoryRows(block, 1), SigmoidLoss(1)
    objective = Objective(rows, loss, 1.0, measure_columns(rows, True))
    return objective.evaluate(objective.start() + 0.1).gradient


def kill_one(client):
    pids = client.run(os.getpid)
    os.kill(next(iter(pids.values())), signal.SIGKILL)


def test_a_worker_killed_in_mid_training_changes_no_bit(client):
    partitions = [Drawn(k, 4000, 20) for k in range(10)]
    expected = bits(fit(ClusterRows.from_partitions(client, partitions), SigmoidLoss(1)))
    rows, steps = ClusterRows.from_partitions(client, partitions), []

    def watch(progress):
        steps.append(progress)
        if len(steps) == 2:
            kill_one(client)

    assert bits(fit(rows, SigmoidLoss(1), watch=watch)) == expected
    assert len(steps) > 2


def test_rows_stay_and_only_parameters_travel(client):
    partitions = [Drawn(k, 4000, 20) for k in range(4)]
    client.run_on_scheduler(steal, False)  # a worker with nothing to do would take some over
    try:
        rows = ClusterRows.from_partitions(client, partitions)
        objective = Objective(rows, SigmoidLoss(1), 1.0, measure_columns(rows, True))
        before, sizes = client.who_has(rows._held), []
        pickled = rows._pickle
        rows._pickle = lambda task: sizes.append(len(pickled(task))) or pickled(task)
        for _ in range(3):
            objective.evaluate(objective.start(), hessian=True)
            objective.multiply(objective.start(), objective.start())
        assert max(sizes) < 4000  # of 640,000 bytes of rows a partition
        assert client.who_has(rows._held) == before
    finally:
        client.run_on_scheduler(steal, True)


async def steal(may, dask_scheduler):
    stealing = dask_scheduler.extensions["stealing"]
    await (stealing.start() if may else stealing.stop())


def test_rows_that_do_not_fit_are_mapped_to_the_same_bits(client):
    partitions = [Drawn(k, 4000, 20) for k in range(6)]
    expected = bits(fit(ClusterRows.from_partitions(client, partitions), SigmoidLoss(1)))
    end = time.monotonic() + 30
    while any(client.run(count_kept).values()) and time.monotonic() < end:
        gc.collect()  # rows of before leave in their own time
        time.sleep(0.05)
    client.run(limit_rows, 1_000_000)  # one partition of 644,000 bytes a worker
    try:
        rows = ClusterRows.from_partitions(client, partitions)
        mapped = client.gather(client.map(lambda held: held[0].is_mapped, rows._held))
        assert 0 < sum(mapped) < len(mapped)
        assert bits(fit(rows, SigmoidLoss(1))) == expected
    finally:
        client.run(limit_rows, None)


def count_kept():
    """The partitions in a worker's memory."""
    from onelayer.rows import held

    gc.collect()
    return len(held._kept)


def limit_rows(size, dask_worker):
    """Give rows so many bytes of a worker's memory; None for what is usual."""
    from onelayer.rows import held

    held.SHARE = 0.4 if size is None else size / dask_worker.memory_manager.memory_limit


def test_a_broken_file_is_named(client, tmp_path):
    for k in range(3):
        np.save(tmp_path / f"{k}.npy", np.random.default_rng(k).normal(size=(50, 2)))
    (tmp_path / "1.npy").write_bytes(b"no array")
    with pytest.raises(InputError, match=r"partition 1 \(.*1\.npy\) cannot be read: ValueError"):
        ClusterRows.from_partitions(client, [Stored(tmp_path / f"{k}.npy") for k in range(3)])


def test_a_file_that_is_gone_after_a_death_is_named(client, tmp_path):
    for k in range(4):
        np.save(tmp_path / f"{k}.npy", np.random.default_rng(k).normal(size=(50, 2)))
    rows = ClusterRows.from_partitions(client, [Stored(tmp_path / f"{k}.npy") for k in range(4)])
    for k in range(4):
        (tmp_path / f"{k}.npy").unlink()
    kill_one(client)
    with pytest.raises(InputError, match=r"partition \d \(.*\.npy\) cannot be read: FileNotFound"):
        fit(rows, SigmoidLoss(1))


def test_other_columns_in_one_partition_are_named(client):
    partitions = [Drawn(0), Drawn(1, columns=6)]
    with pytest.raises(InputError, match=r"partition 1 \(drawn 1\) has 6 columns .*expected 5"):
        ClusterRows.from_partitions(client, partitions)


def test_what_needs_all_rows_in_one_memory_says_so(client):
    rows = ClusterRows.from_partitions(client, [Drawn(0), Drawn(1)])
    with pytest.raises(InputError, match="needs the rows in memory"):
        fit(rows, SigmoidLoss(1), solver="newton_cg")
