"""What several test files share: a cluster is started once."""

import pytest


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
