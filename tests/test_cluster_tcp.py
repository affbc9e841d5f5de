"""A cluster started by the command line, over TCP: what may happen to it from outside."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from mixed_tables import make_mixed
from partitions import Deadly, Drawn

from onelayer import train
from onelayer.errors import InputError
from onelayer.fitting import fit
from onelayer.loss import SigmoidLoss
from onelayer.table import survey

pytest.importorskip("distributed", reason="Dask is not installed: extra [dask]")
from onelayer.rows import cluster
from onelayer.rows.partitioned import ClusterRows

PARTITIONS = [Drawn(k, 4000, 20) for k in range(10)]
OTHER_VERSION = "import numpy\nnumpy.__version__ = '1.26.4'\n"


def start(command, *options):
    """`dask scheduler` or `dask worker`, a process of its own."""
    paths = os.pathsep.join(path for path in sys.path if path)
    return subprocess.Popen(
        [sys.executable, "-m", "dask", command, *map(str, options), "--no-dashboard"],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def stop(*processes):
    for process in processes:
        process.kill()
    for process in processes:
        process.wait()


@pytest.fixture
def scheduler(tmp_path):
    """A scheduler's process, its file, its address, and a worker's process."""
    file = tmp_path / "scheduler.json"
    process = start("scheduler", "--host", "127.0.0.1", "--port", 0, "--scheduler-file", file)
    worker = add_worker(file)
    try:
        yield process, file, wait_for(file), worker
    finally:
        stop(process, worker)


def add_worker(file, *options):
    folder = file.parent / f"worker-{time.monotonic_ns()}"
    folder.mkdir()
    options = ("--nthreads", 1, "--no-nanny", "--local-directory", folder, *options)
    return start("worker", "--scheduler-file", file, *options)


def wait_for(file, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if file.exists() and file.read_text():
            return json.loads(file.read_text())["address"]
        time.sleep(0.05)
    raise AssertionError("the scheduler has not started")


def wait_for_leaving(client, seconds=30):
    """Until one worker is left."""
    end = time.monotonic() + seconds
    while len(client.scheduler_info(n_workers=-1)["workers"]) > 1:
        assert time.monotonic() < end, "the other worker is still there"
        time.sleep(0.05)


def after_two_steps(act):
    """A watch that acts once, in mid-training."""
    steps = []

    def watch(progress):
        steps.append(progress)
        if len(steps) == 2:
            act()

    return watch


def answer(client, **options):
    solution = fit(ClusterRows.from_partitions(client, PARTITIONS), SigmoidLoss(1), **options)
    return solution.W.tobytes(), solution.b.tobytes(), solution.objective


def test_the_bits_are_those_of_other_workers_and_a_lost_scheduler_is_named(
    client, scheduler, tmp_path, monkeypatch
):
    process, _, address, _ = scheduler
    monkeypatch.setattr(survey, "SAMPLE_ROWS", 1_000)
    monkeypatch.setattr(survey, "LEAST_ROWS", 1_000)
    make_mixed(4_000).write_parquet(tmp_path / "loans.parquet", row_group_size=1_500)
    lost = []

    def kill(stage):
        if stage.progress is not None and not lost:
            process.send_signal(signal.SIGKILL)
            lost.append(time.monotonic())

    with cluster.connect(address) as far:
        assert answer(far) == answer(client)
        options = {"target": "granted", "client": far}
        assert train(tmp_path / "loans.parquet", **options).certificate.rho <= 1e-4
        with pytest.raises(InputError, match=f"the scheduler at {address} went away"):
            train(tmp_path / "loans.parquet", tell=kill, **options)
    assert time.monotonic() - lost[0] < 30


def test_a_worker_of_another_version_is_named_and_the_death_of_all_said(
    scheduler, tmp_path, monkeypatch
):
    _, file, address, worker = scheduler
    preload = tmp_path / "other.py"
    preload.write_text(OTHER_VERSION)
    other = add_worker(file, "--preload", preload)
    with cluster.connect(address) as far:
        try:
            far.wait_for_workers(2, timeout=30)
            with pytest.raises(InputError, match=r"worker tcp://.* has numpy 1\.26\.4, and here"):
                ClusterRows.from_partitions(far, PARTITIONS)
        finally:
            stop(other)
        wait_for_leaving(far)
        monkeypatch.setattr(cluster, "PATIENCE", 1.0)
        monkeypatch.setattr(cluster, "CHECK", 0.2)
        with pytest.raises(InputError, match=f"{address} has no workers left"):
            answer(far, watch=after_two_steps(worker.kill))
        with pytest.raises(InputError, match=f"{address} has no workers: start some"):
            ClusterRows.from_partitions(far, PARTITIONS)


def test_a_worker_that_says_nothing_is_named(scheduler, monkeypatch):
    _, _, address, worker = scheduler
    monkeypatch.setattr(cluster, "ANSWER", 1.0)
    with cluster.connect(address) as far:
        far.wait_for_workers(1, timeout=30)
        worker.send_signal(signal.SIGSTOP)
        try:
            with pytest.raises(InputError, match=r"worker tcp://.* does not answer within 1 sec"):
                ClusterRows.from_partitions(far, PARTITIONS)
        finally:
            worker.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("address", ["local:none", "local:0", "nowhere", "tcp://127.0.0.1:9"])
def test_an_address_that_is_none_is_refused(address, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 1.0)
    began = time.monotonic()
    with pytest.raises(InputError, match=address), cluster.connect(address):
        pass
    assert time.monotonic() - began < 30


def test_a_client_that_does_not_start_is_closed():
    """Left to the garbage collector it would be closed while another holds the lock it needs."""
    before = set(threading.enumerate())
    for address, said in [("nowhere", "missing port number"), ("tls://127.0.0.1:9", "TLS expects")]:
        with pytest.raises(InputError, match=f"no scheduler answers at {address}: {said}"):
            cluster.connect(address).__enter__()
        assert set(threading.enumerate()) <= before


def test_a_machine_too_busy_to_start_dask_is_tried_again_and_said(monkeypatch):
    """Dask asserts, without a word, that its own thread begins within 10 seconds."""
    import distributed

    starts, client = [], distributed.Client

    def start(self, **options):
        starts.append(self)
        assert len(starts) == 2
        begin(self, **options)

    begin = client.start
    monkeypatch.setattr(client, "start", start)
    monkeypatch.setattr(cluster, "PATIENCE", 1.0)
    with pytest.raises(InputError, match=r"no scheduler answers at tcp://127\.0\.0\.1:9"):
        cluster.connect("tcp://127.0.0.1:9").__enter__()
    with pytest.raises(InputError, match="Dask has not started here within 20 seconds"):
        cluster.connect("tcp://127.0.0.1:9").__enter__()


def test_versions_are_looked_at_where_tasks_run():
    ours = cluster.own_versions()
    cluster.require_versions("tcp://there", ours, dict(ours))
    with pytest.raises(InputError, match=r"worker tcp://there has onelayer 9\.9, and here it is"):
        cluster.require_versions("tcp://there", {**ours, "onelayer": "9.9"}, ours)


def test_a_partition_that_kills_its_workers_is_named(client):
    # One death more than is forgiven: here each worker's first, so that no restart is waited for.
    client.run_on_scheduler(forgive, 1)
    partitions = [Drawn(0), Drawn(1), Deadly(), Drawn(3)]
    began = time.monotonic()
    try:
        with pytest.raises(
            InputError, match=r"partition 2 \(deadly\.parquet\).* 2 workers .* died"
        ):
            ClusterRows.from_partitions(client, partitions)
        assert time.monotonic() - began < 30
    finally:
        client.run_on_scheduler(forgive, 2)


def forgive(deaths, dask_scheduler):
    dask_scheduler.allowed_failures = deaths
