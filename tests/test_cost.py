"""What a cluster would take: the closed form beside a simulation, message by message."""

import pytest

from benchmarks.cluster.cost import Job, Speeds, cost_of_pass, cost_of_training, count_tasks
from benchmarks.cluster.simulate import simulate_pass

JOBS = {
    "even work": Job(rows=1e9, columns=100, parts=2_000, workers=250, cores=8),
    "many parts": Job(rows=1e8, columns=20, parts=10_000, workers=1_000, cores=8),
    "many columns": Job(rows=1e8, columns=10_000, parts=4_000, workers=1_000, cores=4),
    "a single worker": Job(rows=1e7, columns=50, parts=16, workers=1, cores=1),
}


@pytest.mark.parametrize("hessian", [False, True])
@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
def test_the_closed_form_is_near_the_simulation(job, hessian):
    predicted, speeds = cost_of_pass(job, Speeds(), hessian), Speeds()
    assert simulate_pass(job, speeds, hessian) == pytest.approx(predicted, rel=0.2)


def test_a_pass_never_beats_its_bounds():
    """The scheduler's work, the cores' work, and the last sum's way are each a lower bound."""
    speeds = Speeds()
    for job in JOBS.values():
        simulated = simulate_pass(job, speeds)
        assert simulated > job.parts * speeds.scheduler
        work = job.rows * job.columns / speeds.values / (job.workers * job.cores)
        assert simulated > 0.9 * work
        assert count_tasks(job.parts) >= job.parts


def test_twice_the_machines_at_the_same_price_take_half_the_time_of_work():
    one, two = (
        cost_of_training(Job(1e10, 100, 4_000, workers, 8), Speeds(), price=1.0)
        for workers in (50, 100)
    )
    assert one.read == pytest.approx(2 * two.read)
    assert one.gradient == pytest.approx(2 * two.gradient, rel=0.1)
    assert two.price == pytest.approx(one.price, rel=0.1)
