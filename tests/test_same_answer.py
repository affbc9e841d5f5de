"""The same answer everywhere: to the bit for any number of threads, to `tol` in any layout."""

from itertools import pairwise

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse

from onelayer import OneLayerClassifier
from onelayer.blocks import Block
from onelayer.coordinates import plain_coordinates
from onelayer.features.dense import DenseFeatures
from onelayer.features.mixed import MixedFeatures
from onelayer.fitting import fit
from onelayer.loss import SigmoidLoss, SoftmaxLoss
from onelayer.objective import Objective
from onelayer.rows.memory import MemoryRows
from onelayer.solvers.descent import Descent

N, P, LEVELS = 2000, 18, (5, 9)
LOSSES = {"sigmoid": SigmoidLoss(1), "multi-label": SigmoidLoss(2), "softmax": SoftmaxLoss(3)}
SOLVERS = {
    "auto": {},
    "newton": {"solver": "newton"},
    "newton_cg": {"solver": "newton_cg"},
    "descent": {"solver": "gradient_descent", "learning_rate": "safe", "num_iterations": 4},
    "batches": {
        "solver": "gradient_descent",
        "optimizer": "adam",
        "learning_rate": 0.01,
        "num_iterations": 2,
        "batch_size": 300,
    },
    "lasso": {"l1_ratio": 0.7, "C": 0.1},
}
DESCENT = ("learning_rate", "num_iterations", "optimizer", "batch_size")
LAYOUTS = {
    "C": np.ascontiguousarray,
    "fortran": np.asfortranarray,
    "float32": lambda X: X.astype(np.float32),
    "csr": sparse.csr_array,
    "csc": sparse.csc_array,
    "csr32": lambda X: sparse.csr_array(X.astype(np.float32)),
}
TOL = 1e-4


@pytest.fixture(autouse=True)
def many_blocks(monkeypatch):
    """Blocks and tiles of few rows, and samples of small tables: long tables' ways, in no time."""
    monkeypatch.setattr("onelayer.blocks.TILE_VALUES", 1 << 13)
    monkeypatch.setattr("onelayer.rows.memory.TILE_VALUES", 1 << 13)
    monkeypatch.setattr("onelayer.solvers.direct.MOST_VALUES", 0)
    monkeypatch.setattr("onelayer.solvers.sampled_newton.LEAST_VALUES", 1 << 10)


def make_table(n=N, p=P):
    """Numbers of which half are 0, far apart in scale; some rows have no weight."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, p)) * (rng.random((n, p)) < 0.5) * 10.0 ** rng.uniform(-2, 2, p)
    return X.astype(np.float32).astype(np.float64), rng.integers(0, 3, n) * 1.0


def make_labels(X, loss):
    rng = np.random.default_rng(1)
    Z = X / X.std(axis=0) @ rng.normal(size=(X.shape[1], 3)) + rng.gumbel(size=(len(X), 3))
    if loss == "softmax":
        return Z.argmax(axis=1)
    labels = (Z[:, :2] > Z[:, 2:]) * 1
    return labels if loss == "multi-label" else labels[:, 0]


def train(layout, loss, n_jobs=1, **options):
    """The classifier's answer; that of the room below it for codes, which it cannot be given."""
    X, s = make_table()
    y = make_labels(X, loss)
    if layout != "mixed":
        network = OneLayerClassifier(n_jobs=n_jobs, random_state=0, **options)
        return network.fit(LAYOUTS[layout](X), y, sample_weight=s).solution_
    codes = np.random.default_rng(2).integers(0, LEVELS, (N, 2)).astype(np.int32)
    words = sparse.csr_array(X[:, 16:])
    features = MixedFeatures(X[:, :16], codes, LEVELS, words)
    block = Block(features, np.atleast_2d(y.T) * 1.0, s)
    given = {name: options.pop(name) for name in DESCENT if name in options}
    rng = np.random.default_rng(3)
    descent = Descent(
        **given, draw=lambda n_x, n_y: rng.normal(size=(n_y, n_x)), shuffle=rng.permutation
    )
    return fit(MemoryRows(block, n_jobs), LOSSES[loss], descent=descent, **options)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("layout", [*LAYOUTS, "mixed"])
def test_threads_change_no_bit(layout, loss, solver):
    first, *others = [train(layout, loss, n_jobs, **SOLVERS[solver]) for n_jobs in (1, 2, 7)]
    for other in others:
        assert other.W.tobytes() == first.W.tobytes()
        assert other.b.tobytes() == first.b.tobytes()
        assert other.certificate == first.certificate
        assert other.history == first.history


@pytest.mark.parametrize("n_jobs", [2, 3, 7])
@pytest.mark.parametrize("loss", LOSSES)
def test_threads_change_no_bit_where_columns_outnumber_rows(loss, n_jobs):
    X, _ = make_table(120, 400)
    y = make_labels(X, loss)
    first, other = [
        OneLayerClassifier(solver="gram", n_jobs=jobs).fit(X, y).solution_ for jobs in (1, n_jobs)
    ]
    assert other.W.tobytes() == first.W.tobytes()
    assert other.b.tobytes() == first.b.tobytes()


def apart(one, other, loss, C=1.0):
    """How far two answers are apart in standard errors: their difference in the norm of H."""
    X, s = make_table()
    labels = np.atleast_2d(make_labels(X, loss).T) * 1.0
    rows = MemoryRows(Block(DenseFeatures(X), labels, s), 1)
    objective = Objective(rows, LOSSES[loss], C, plain_coordinates(rows, True))
    theta, move = (
        np.column_stack([one.W, one.b]),
        np.column_stack([one.W - other.W, one.b - other.b]),
    )
    return float(np.sqrt((move * objective.multiply(theta, move)).sum()))


@pytest.mark.parametrize("solver", ["auto", "newton", "newton_cg"])
@pytest.mark.parametrize("loss", LOSSES)
def test_layouts_agree_to_tol(loss, solver):
    first, *others = [train(layout, loss, tol=TOL, **SOLVERS[solver]) for layout in LAYOUTS]
    for other in others:
        assert first.status == other.status == "optimal"
        assert apart(first, other, loss) <= 2 * TOL
        assert other.objective == pytest.approx(first.objective, rel=2e-9)


@pytest.mark.parametrize("layout", ["float32", "csr32"])
@pytest.mark.parametrize("loss", LOSSES)
def test_float32_gives_the_answer_of_the_same_numbers_in_float64(loss, layout):
    whole = {"float32": "C", "csr32": "csr"}[layout]
    one, other = train(layout, loss, tol=1e-8), train(whole, loss, tol=1e-8)
    assert one.W.dtype == np.float64
    np.testing.assert_allclose(one.W, other.W, rtol=1e-6, atol=1e-7 * np.abs(other.W).max())
    np.testing.assert_allclose(one.b, other.b, rtol=1e-6, atol=1e-9)


def lock(array):
    parts = (array,) if isinstance(array, np.ndarray) else (array.data, array.indices, array.indptr)
    for part in parts:
        part.flags.writeable = False
    return array


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_inputs_are_left_alone(layout, solver):
    """Arrays that cannot be written to are taken as they are."""
    X, s = make_table()
    given, y = lock(LAYOUTS[layout](X)), lock(make_labels(X, "softmax"))
    network = OneLayerClassifier(n_jobs=2, random_state=0, **SOLVERS[solver])
    network.fit(given, y, sample_weight=lock(s)).predict_proba(given)
    kept = given if isinstance(given, np.ndarray) else given.toarray()
    np.testing.assert_array_equal(kept, X)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_batches_change_no_bit_of_a_prediction(layout):
    X, s = make_table()
    y, given = make_labels(X, "softmax"), LAYOUTS[layout](X)
    network = OneLayerClassifier().fit(given, y, sample_weight=s)
    whole = network.predict_proba(given)
    rows = sparse.csr_array(given) if sparse.issparse(given) else given
    edges = [0, 1, 8, 700, N]
    parts = [network.predict_proba(rows[a:b]) for a, b in pairwise(edges)]
    assert np.concatenate(parts).tobytes() == whole.tobytes()


def test_frames_in_chunks_are_the_frame_in_one():
    X, s = make_table()
    y = make_labels(X, "sigmoid")
    columns = {f"x{j}": X[:, j] for j in range(P)}
    whole = pl.DataFrame(columns)
    chunked = pl.concat([whole[:7], whole[7:1500], whole[1500:]], rechunk=False)
    table = pa.table(columns)
    arrow = pa.concat_tables([table[:11], table[11:]])
    first, *others = [
        OneLayerClassifier().fit(frame, y, sample_weight=s).solution_
        for frame in (whole, chunked, table, arrow)
    ]
    for other in others:
        assert other.W.tobytes() == first.W.tobytes()
        assert other.b.tobytes() == first.b.tobytes()
