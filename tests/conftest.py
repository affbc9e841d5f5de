"""What several test files share: a cluster is started once, and a file's fixtures in one worker."""

import pytest


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Half of the files each, in order, so that a model is trained by one; the first to end helps.

    Without it every worker gets a part of every file, and makes what the file's tests share.
    """
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)


@pytest.fixture(scope="session")
def cluster():
    """A client of two workers in processes of their own."""
    pytest.importorskip("distributed", reason="Dask is not installed: extra [dask]")
    from onelayer.rows.cluster import connect

    with connect("local:2") as client:
        yield client


@pytest.fixture
def client(cluster):
    """The same; workers that a test before has killed are back."""
    cluster.wait_for_workers(2, timeout=120)
    return cluster
