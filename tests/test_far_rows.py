"""Separation and dependence among rows on disk: what is found among the same rows in memory."""

import numpy as np
import pytest

from onelayer.blocks import Block
from onelayer.coordinates import measure_columns
from onelayer.dependence import find_dependences
from onelayer.far_rows import hold_dependent, separate_far
from onelayer.features.mixed import MixedFeatures
from onelayer.fitting import fit
from onelayer.loss import SigmoidLoss, SoftmaxLoss
from onelayer.rows import files
from onelayer.rows.cache import Cache, CacheWriter, Layout
from onelayer.rows.files import FileRows
from onelayer.rows.memory import MemoryRows
from onelayer.separation import find_separation
from onelayer.solvers.sample import draw_sample

N = 20_000
LOSS = SigmoidLoss(1)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(files, "BLOCK_VALUES", 1 << 14)


def make(n_columns=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, n_columns))
    return X, (X[:, 0] + rng.logistic(size=N) > 0).astype(np.int8), rng


def store(folder, X, y):
    """The same rows in memory and on disk, behind a column of three levels."""
    codes = (np.arange(N) % 3)[:, None].astype(np.int32)
    block = Block(MixedFeatures(X, codes, (3,)), y[None], np.broadcast_to(1.0, N))
    layout = Layout((False,) * X.shape[1], (3,))
    with CacheWriter(folder, layout) as writer:
        writer.append(block)
    return MemoryRows(block), FileRows(Cache(folder, layout, N))


def separate(rows, start=None):
    where = measure_columns(rows, fit_intercept=True)
    options = {"fit_intercept": True, "output": 0, "start": start, "where": where}
    return separate_far(rows, LOSS, **options)


@pytest.mark.parametrize("rare", [False, True])
@pytest.mark.parametrize("case", ["one column", "all together", "but for one row", "overlap"])
def test_with_a_penalty_complete_separation_is_remarked(tmp_path, monkeypatch, case, rare):
    X, _, rng = make()
    way = np.array([3.0, -2.0, 1.0, 2.0] if case == "all together" else [1.0, 0.0, 0.0, 0.0])
    logit = X @ way + (rng.logistic(size=N) if case == "overlap" else 0.0)
    y = logit > (np.sort(logit)[-6] if rare else 0.0)
    X += np.where(y, 1.0, -1.0)[:, None] * way / (way @ way)  # a gap between the classes
    if case == "but for one row":
        y[np.argmax(logit)] = False
    y = y.astype(np.int8)
    held, far = store(tmp_path, X, y)
    options = {"C": 1e4, "where": measure_columns(held, True)}
    whole, plain = fit(held, LOSS, remarks=True, **options), fit(far, LOSS, **options)
    passes = []
    for name in ("map", "reduce"):
        own = getattr(far, name)
        monkeypatch.setattr(far, name, lambda *task, own=own: passes.append(1) or own(*task))
    found = fit(far, LOSS, remarks=True, **options)
    assert found.remarks == whole.remarks
    if not rare:
        assert bool(found.remarks) == (case in ("one column", "all together"))
    assert found.objective == plain.objective
    if case == "overlap" and not rare:
        assert len(passes) <= plain.passes + 2, "the sample's rare rows, and ranges: no more"


def make_case(name):
    X, y, rng = make()
    if name == "rare column":
        X[:, 3] = np.where(rng.random(N) < 0.003, rng.uniform(1, 2, N), 0.0)
        y[X[:, 3] > 0] = 1
    elif name == "two columns together":
        X[:, 1:3] = rng.integers(-2, 3, (N, 2))
        y = np.where(X[:, 1] + X[:, 2] > 1, 1, y).astype(np.int8)
        y = np.where(X[:, 1] + X[:, 2] < 1, 0, y).astype(np.int8)
    elif name == "complete":
        y = (X @ [1.0, -2.0, 0.5, 0.1] > 0.3).astype(np.int8)
    elif name == "but for three rows":
        y = (X[:, 0] > 0).astype(np.int8)
        y[[7, 9_000, 19_999]] ^= 1
    return X, y


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("rare column", "quasi-complete"),
        ("two columns together", "quasi-complete"),
        ("complete", "complete"),
        ("but for three rows", "none"),
        ("overlap", "none"),
    ],
)
def test_separation_is_what_it_is_in_memory(tmp_path, name, kind):
    held, far = store(tmp_path, *make_case(name))
    known, found = find_separation(held), separate(far)
    assert found.kind == known.kind == kind
    assert found.n_rows == N
    assert found.columns == known.columns or kind == "complete"
    if known.found:
        assert found.count == len(known.rows)
        margins = held.block.features.linear(found.direction[:, :-1])[0] + found.direction[0, -1]
        margins *= 2 * held.block.labels[0] - 1
        assert margins.min() > -1e-9
        assert f"{found.count:,} " in found.sentence()


def test_several_classes_are_not_looked_into(tmp_path):
    _, far = store(tmp_path, *make_case("overlap"))
    where = measure_columns(far, fit_intercept=True)
    options = {"fit_intercept": True, "output": 0, "start": None, "where": where}
    assert separate_far(far, SoftmaxLoss(2), **options).kind == "undecided"


def test_a_sample_is_drawn_once_for_a_fit(tmp_path):
    _, far = store(tmp_path, *make_case("overlap"))
    first = draw_sample(far, LOSS)
    assert draw_sample(far, LOSS) is first
    assert draw_sample(far.by_class((1.0, 2.0)), LOSS) is not first
    fit(far, LOSS, C=1.0, remarks=True)
    assert far.drawn is None


@pytest.mark.parametrize("refuted", [(), (3, 11_111)])
def test_dependences_hold_in_all_rows(tmp_path, refuted):
    X, y, _ = make()
    X[:, 3] = X[:, 1] - 2 * X[:, 2] + 1
    X[list(refuted), 3] += 0.5
    held, far = store(tmp_path, X, y)
    known = [each.sentence() for each in find_dependences(held)]
    part = hold_dependent(far, LOSS, fit_intercept=True)
    assert part.n_rows < N
    assert [each.sentence() for each in find_dependences(part)] == known
    assert len(known) == (0 if refuted else 1)


def test_a_fit_without_a_penalty_says_the_same(tmp_path):
    X, y, _ = make(n_columns=20)
    X[:, 19] = X[:, 1] + X[:, 2]
    held, far = store(tmp_path, X, y)
    one, other = fit(held, LOSS, C=np.inf), fit(far, LOSS, C=np.inf)
    assert other.remarks == one.remarks
    assert (other.unique, len(other.dependencies)) == (False, 1)
    np.testing.assert_allclose(other.W, one.W, atol=1e-5)
