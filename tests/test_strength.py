"""C="auto": approximate leave-one-out against leaving every row out."""

import math

import numpy as np
import pytest
from scipy import sparse
from scipy.special import logsumexp
from sklearn import datasets

import onelayer
from onelayer.blocks import Block
from onelayer.coordinates import measure_columns
from onelayer.errors import DataWarning, InputError, ModelFileError
from onelayer.estimator import OneLayerClassifier
from onelayer.features.dense import DenseFeatures
from onelayer.features.mixed import MixedFeatures
from onelayer.features.sparse import SparseFeatures
from onelayer.fitting import fit
from onelayer.loss import SigmoidLoss, SoftmaxLoss
from onelayer.model import Model
from onelayer.objective import Objective
from onelayer.rows.memory import MemoryRows
from onelayer.solvers import second_order
from onelayer.solvers.newton import NEWTON
from onelayer.strength import choose_strength
from onelayer.strength.choice import StrengthChoice, Trial
from onelayer.strength.leave_one_out import leave_one_out
from onelayer.strength.search import propose, search

GRID = [1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0]


def rows_of(X, y, s=None):
    X = X if hasattr(X, "tile") else DenseFeatures(np.ascontiguousarray(X))
    s = np.ones(X.n_rows) if s is None else s
    return MemoryRows(Block(X, np.atleast_2d(y) * 1.0, s), 1)


def draw(seed, n, p, size=1.0, raw=False):
    generator = np.random.default_rng(seed)
    X, w = generator.normal(size=(n, p)), generator.normal(size=p) * size
    y = X @ w + generator.logistic(size=n) > 0
    if raw:
        X = X * 10 ** generator.uniform(-2, 2, p) + 5 * generator.normal(size=p)
    return X, y * 1.0


def minimise(X, Y, s, C, start):
    """The oracle's fit, (K, p + 1): a softmax, or a sigmoid where Y has one column."""
    K, D, theta = Y.shape[1], X.shape[1], start.copy()
    penalty = np.tile(np.append(np.full(D - 1, 1 / C), 0.0), K)

    def value(theta):
        return float(s @ losses(X @ theta.T, Y)) + 0.5 * float(penalty @ theta.ravel() ** 2)

    for _ in range(200):
        Z = X @ theta.T
        A = onelayer.sigmoid(Z) if K == 1 else np.exp(Z - logsumexp(Z, axis=1, keepdims=True))
        P = np.einsum("nk,kl->nkl", A, np.eye(K)) - A[:, :, None] * A[:, None]
        P = (A * (1 - A))[:, :, None] if K == 1 else P
        g = ((s[:, None] * (A - Y)).T @ X).ravel() + penalty * theta.ravel()
        H = np.einsum("n,nkl,ni,nj->kilj", s, P, X, X, optimize=True).reshape(K * D, K * D)
        d = np.linalg.lstsq(H + np.diag(penalty), g, rcond=1e-13)[0].reshape(K, D)
        length = 1.0
        while value(theta - length * d) > value(theta) + 1e-12 and length > 1e-6:
            length /= 2
        theta = theta - length * d
        if g @ d.ravel() < 1e-8:
            return theta
    raise AssertionError("the oracle has not arrived")


def losses(Z, Y):
    if Z.shape[1] == 1:
        return np.logaddexp(0, Z[:, 0]) - Y[:, 0] * Z[:, 0]
    return logsumexp(Z, axis=1) - (Y * Z).sum(axis=1)


def leave_each_out(X, y, C, s=None, copies=1.0, rows=None):
    """The oracle: a fit without each row, and the loss of the row under it."""
    classes = int(np.max(y)) + 1
    Y = np.asarray(y, dtype=float)[:, None] if classes == 2 else np.eye(classes)[y]
    s = np.ones(len(X)) if s is None else s
    scale = X.std(axis=0).max()  # in one unit for all, so that C keeps its meaning
    X1, C = np.column_stack([X / scale, np.ones(len(X))]), C * scale**2
    X1[:, :-1] -= X1[:, :-1].mean(axis=0)
    whole = minimise(X1, Y, s, C, np.zeros((Y.shape[1], X1.shape[1])))
    out = np.zeros(len(X))
    for i in np.flatnonzero(s) if rows is None else rows:
        left = s - np.where(np.arange(len(X)) == i, np.minimum(s, copies), 0)
        theta = minimise(X1, Y, left, C, whole)
        out[i] = losses(X1[i : i + 1] @ theta.T, Y[i : i + 1])[0]
    return float(s @ out) / (s.sum() if rows is None else len(rows))


def _small_sets():
    cancer, wine, iris = datasets.load_breast_cancer(), datasets.load_wine(), datasets.load_iris()
    two = iris.target[50:][::2] == 2
    return {
        "30 x 3": draw(0, 30, 3),
        "40 x 8": draw(1, 40, 8, 1.5),
        "raw scales": draw(2, 60, 5, raw=True),
        "few rows": draw(3, 25, 10, 0.7),
        "nothing to learn": draw(4, 60, 4, 0.0),
        "more columns than rows": draw(5, 20, 30),
        "breast cancer, 6 columns": (cancer.data[:60, :6], cancer.target[:60]),
        "breast cancer, 30 columns": (cancer.data[100:150], cancer.target[100:150]),
        "iris, two classes": (iris.data[50:][::2], two),
        "iris": (iris.data[::4], iris.target[::4]),
        "wine": (wine.data[::4, :5], wine.target[::4]),
    }


SETS = _small_sets()


@pytest.mark.parametrize("name", SETS)
def test_the_same_c_as_leaving_every_row_out(name):
    X, y = SETS[name]
    classes = int(y.max()) + 1
    loss = SigmoidLoss(1) if classes == 2 else SoftmaxLoss(classes)
    choice, _ = choose_strength(rows_of(X, y), loss, values=GRID)
    exact = np.array([leave_each_out(X, y, C) for C in GRID])
    best = int(exact.argmin())
    # The same C on the grid, or one whose exact loss is within 0.1 % of the best one's.
    assert exact[GRID.index(choice.C)] <= exact[best] * 1.001
    found = np.array([trial.loss for trial in choice.tried])
    assert found[best] == pytest.approx(exact[best], rel=1e-3)
    assert found[: best + 1] == pytest.approx(exact[: best + 1], rel=5e-3)


def test_every_row_and_not_their_sum_alone():
    X, y = draw(6, 40, 4)
    rows = rows_of(X, y)
    objective = Objective(rows, SigmoidLoss(1), 1.0, measure_columns(rows, True))
    state = second_order.init(NEWTON, objective, 0.0, objective.start())
    while max(point.rho for point in state.points) > 0.1:
        state = second_order.step(NEWTON, objective, state, 0.0)
    for i in range(40):
        own = (np.arange(40) == i)[None] * 1.0
        found = leave_one_out(objective, state, np.ones(40), own)
        assert found == pytest.approx(leave_each_out(X, y, 1.0, rows=[i]), rel=0.03, abs=2e-3)


def test_a_weight_of_k_is_the_row_k_times():
    X, y = draw(7, 40, 3)
    s = np.random.default_rng(7).integers(0, 4, 40).astype(float)
    weighted, _ = choose_strength(rows_of(X, y, s), SigmoidLoss(1), values=GRID)
    times = np.repeat(np.arange(40), s.astype(int))
    written, _ = choose_strength(rows_of(X[times], y[times]), SigmoidLoss(1), values=GRID)
    a, b = ([trial.loss for trial in each.tried] for each in (weighted, written))
    assert a == pytest.approx(b, rel=2e-3)
    assert weighted.C == written.C
    exact = leave_each_out(X, y, 1.0, s)
    assert a[GRID.index(1.0)] == pytest.approx(exact, rel=1e-3)


def test_a_weight_that_is_no_count_goes_as_a_whole():
    """Class weights: the row counts three times as much, and is still one row."""
    X, y = draw(8, 40, 3)
    s = np.where(y == 1, 3.0, 0.5)
    choice, _ = choose_strength(rows_of(X, y, s), SigmoidLoss(1), copies=s, values=[1.0])
    assert choice.loss == pytest.approx(leave_each_out(X, y, 1.0, s, s), rel=2e-3)
    network = OneLayerClassifier(C="auto", class_weight={0: 0.5, 1: 3.0}).fit(X, y)
    again, _ = choose_strength(rows_of(X, y, s), SigmoidLoss(1), copies=s)
    assert network.C_ == again.C


def test_a_softmax_of_two_is_a_sigmoid_of_twice_the_penalty():
    """Two classes of weights v and -v: |v|^2 + |v|^2 over 2 C is |2 v|^2 over 2 (2 C)."""
    X, y = draw(9, 60, 4)
    two, _ = choose_strength(rows_of(X, y), SoftmaxLoss(2), values=GRID)
    one, _ = choose_strength(rows_of(X, y), SigmoidLoss(1), values=[2 * C for C in GRID])
    a, b = ([trial.loss for trial in each.tried] for each in (two, one))
    assert a == pytest.approx(b, rel=1e-3)


def test_several_outputs_share_one_c():
    X, y = draw(10, 80, 4)
    both = np.stack([y, (X[:, 0] + np.random.default_rng(1).normal(size=80) > 0) * 1.0])
    together, _ = choose_strength(rows_of(X, both), SigmoidLoss(2), values=GRID)
    apart = [choose_strength(rows_of(X, each), SigmoidLoss(1), values=GRID)[0] for each in both]
    sums = [sum(choice.tried[k].loss for choice in apart) for k in range(len(GRID))]
    assert [trial.loss for trial in together.tried] == pytest.approx(sums, rel=2e-3)
    assert OneLayerClassifier(C="auto").fit(X, both.T).C_ > 0


def test_layouts_threads_and_no_bias():
    generator = np.random.default_rng(11)
    numbers, codes = generator.normal(size=(300, 2)), generator.integers(3, size=(300, 1))
    X = np.hstack([numbers, np.eye(3)[codes[:, 0]]])
    y = (X @ [1.0, -1.0, 0.5, 0.0, -1.0] + generator.logistic(size=300) > 0) * 1.0
    layouts = [
        DenseFeatures(X),
        DenseFeatures(np.asfortranarray(X)),
        SparseFeatures(sparse.csr_array(X)),
        MixedFeatures(numbers, codes.astype(np.int32), (3,)),
    ]
    for fit_intercept in (True, False):
        options = {"fit_intercept": fit_intercept, "values": GRID}
        found = [choose_strength(rows_of(each, y), SigmoidLoss(1), **options) for each in layouts]
        first = [trial.loss for trial in found[0][0].tried]
        for choice, start in found:
            assert [trial.loss for trial in choice.tried] == pytest.approx(first, rel=1e-6)
            assert bool(start[1]) is fit_intercept
    long = np.tile(X, (300, 1)) + generator.normal(size=(90_000, 5))
    block = Block(DenseFeatures(long), np.tile(y, 300)[None], np.ones(90_000))
    one, two = (choose_strength(MemoryRows(block, n), SigmoidLoss(1))[0] for n in (1, 4))
    assert one == two


def test_the_best_c_does_not_depend_on_the_number_of_rows():
    """A sample of a long table chooses for the whole: the prior is the same for both."""
    generator = np.random.default_rng(12)
    p = 40
    lost = []
    for _ in range(3):
        X, w = generator.normal(size=(20_000, p)) / 5, generator.normal(size=p)
        y = (X @ w + generator.logistic(size=20_000) > 0) * 1.0
        part, _ = choose_strength(rows_of(X[:1000], y[:1000]), SigmoidLoss(1))
        test = generator.normal(size=(20_000, p)) / 5
        z = test @ w

        def risk(C, X=X, y=y, test=test, z=z):
            found = fit(rows_of(X[:8000], y[:8000]), SigmoidLoss(1), C=C)
            Z, A = (found.W @ test.T + found.b)[0], onelayer.sigmoid(z)
            losses = (onelayer.network.log_loss(Z, label) for label in (1, 0))
            return float(np.mean(A * next(losses) + (1 - A) * next(losses)))

        # As good as the variance of the weights, and better than C scaled by the rows.
        lost.append([risk(C) for C in (part.C, 1.0, part.C / 8, part.C * 8)])
    chosen, prior, stronger, weaker = np.mean(lost, axis=0)
    assert chosen <= prior * 1.0005
    assert chosen < stronger
    assert chosen < weaker * 1.0001


def test_a_long_table_is_judged_on_a_part_of_its_rows():
    X, y = draw(13, 60_000, 5)
    choice, start = choose_strength(rows_of(X, y), SigmoidLoss(1))
    assert choice.rows == 10_000
    warm = fit(rows_of(X, y), SigmoidLoss(1), C=choice.C, start=start, solver="newton")
    assert warm.status == "optimal"
    rare = (np.arange(60_000) % 500 == 0) * 1.0  # 120 positives: no row can be spared
    assert choose_strength(rows_of(X, rare), SigmoidLoss(1), values=[1.0])[0].rows == 60_000


def test_folds_where_the_hessian_is_too_large(monkeypatch):
    X, y = draw(14, 300, 6)
    whole, _ = choose_strength(rows_of(X, y), SigmoidLoss(1))
    monkeypatch.setattr("onelayer.solvers.direct.MOST_COLUMNS", 5)
    monkeypatch.setattr("onelayer.strength.LARGEST_FACTORED", 5)
    monkeypatch.setattr("onelayer.strength.scale.LARGEST_FACTORED", 5)
    for loss in (SigmoidLoss(1), SoftmaxLoss(2)):
        folded, start = choose_strength(rows_of(X, y), loss)
        assert folded.method == "2 folds"
        assert folded.loss == pytest.approx(whole.loss, rel=0.05)
        assert start[0].shape == (loss.n_outputs, 6)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("classes", [2, 3])
def test_fewer_rows_than_columns_are_as_many_columns(classes, fit_intercept, monkeypatch):
    generator = np.random.default_rng(20)
    X = generator.normal(size=(30, 50)) * (generator.random((30, 50)) < 0.4)
    y = generator.integers(classes, size=30)
    X[y == 0, :5] += 1
    loss = SigmoidLoss(1) if classes == 2 else SoftmaxLoss(3)
    options = {"fit_intercept": fit_intercept, "values": GRID}
    layouts = (DenseFeatures(X + 1e5), SparseFeatures(sparse.csr_array(X)))
    for features in layouts if fit_intercept else layouts[1:]:
        turned, start = choose_strength(rows_of(features, y), loss, **options)
        with monkeypatch.context() as context:
            context.setattr("onelayer.strength.rotate", lambda objective: None)
            plain, _ = choose_strength(rows_of(features, y), loss, **options)
        assert turned.method == plain.method == "leave-one-out"
        a, b = ([trial.loss for trial in each.tried] for each in (turned, plain))
        assert a == pytest.approx(b, rel=1e-2)  # fewer columns leave time for more exact fits
        rows = rows_of(features, y)
        found = fit(rows, loss, C=turned.C, fit_intercept=fit_intercept, tol=1e-8)
        near = fit(rows, loss, C=turned.C, fit_intercept=fit_intercept, tol=1e-8, start=start)
        assert near.history[0].objective <= found.objective * 1.001
        np.testing.assert_allclose(near.W, found.W, rtol=1e-6, atol=1e-9)


def test_a_row_that_is_all_there_is_of_its_class():
    X, y = draw(15, 30, 2)
    y[:] = 0
    y[0] = 1
    for values in (None, GRID):
        with_one, _ = choose_strength(rows_of(X, y), SigmoidLoss(1), values=values)
        assert 0 < with_one.loss < 0.2


def test_the_borders_are_said():
    X, y = draw(4, 80, 4, 0.0)
    with pytest.warns(DataWarning, match="the columns tell next to nothing"):
        network = OneLayerClassifier(C="auto").fit(X, y)
    assert network.strength_.border == "strong"
    apart = np.array([-2.0, -1.0, 1.0, 2.0])[:, None] + np.zeros((4, 1))
    with pytest.warns(DataWarning, match="the loss still falls there"):
        network = OneLayerClassifier(C="auto").fit(
            np.repeat(apart, 10, axis=0), [0] * 20 + [1] * 20
        )
    assert network.strength_.border == "weak"
    told = X[:, :1] + np.random.default_rng(0).logistic(size=(80, 1)) > 0
    inside = OneLayerClassifier(C="auto").fit(X, told[:, 0])
    assert (inside.strength_.border, inside.strength_.message) == ("", "")


def test_constant_columns_only():
    choice, _ = choose_strength(rows_of(np.ones((20, 2)), np.arange(20) % 2), SigmoidLoss(1))
    assert choice.C == 1.0


# The search


def test_the_search_finds_a_minimum_with_few_values():
    for where in (-3.3, 0.0, 1.7):
        tried = []

        def loss_at(k, where=where, tried=tried):
            tried.append(k)
            return 0.5 + 0.01 * (math.sqrt(1 + (k - where) ** 2) - 1)

        curve = search(loss_at, -5.0, 4.0)
        assert len(tried) == len(set(tried)) <= 10
        assert min(curve.values()) <= 0.5 * (1 + 1e-3)


def test_the_weak_end_is_left_out_once_the_loss_rises():
    curve = search(lambda k: 0.5 + max(k, 0.0), -4.0, 12.0)
    assert max(curve) <= 4.0


def test_beyond_the_weak_end_where_the_loss_falls_there():
    curve = search(lambda k: 1 / (10 + k), -4.0, 4.0)
    assert max(curve) > 4.0
    assert propose({0.0: 0.5}) is None


# Through the doors


def test_the_classifier_sets_c_and_the_curve():
    X, y = draw(17, 100, 4)
    network = OneLayerClassifier(C="auto").fit(X, y)
    assert network.C_ == network.strength_.C
    assert network.solution_.certificate.rho <= 1e-4
    same = OneLayerClassifier(C=network.C_).fit(X, y)
    np.testing.assert_allclose(network.coef_, same.coef_, rtol=1e-6)
    assert (same.C_, same.strength_) == (network.C_, None)
    by_hand = OneLayerClassifier(C="auto", solver="gradient_descent", learning_rate="safe")
    assert by_hand.fit(X, y).C_ == network.C_
    with pytest.raises(InputError, match="'auto'"):
        OneLayerClassifier(C="best").fit(X, y)


@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
def test_an_l1_penalty_is_judged_in_halves(l1_ratio):
    X, y = draw(21, 300, 10)
    network = OneLayerClassifier(C="auto", l1_ratio=l1_ratio).fit(X, y)
    choice = network.strength_
    assert choice.method == "2 folds"
    # The first value leaves no weight standing: there the loss is that of the base rate.
    rate = y.mean()
    null = -(rate * math.log(rate) + (1 - rate) * math.log(1 - rate))
    assert choice.tried[0].loss == pytest.approx(null, rel=0.01)
    assert choice.loss < 0.95 * null
    assert network.solution_.certificate.proved


def test_training_keeps_the_curve_in_the_file(tmp_path):
    X, y = draw(18, 200, 3)
    table = {"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "y": y}
    model = onelayer.train(table, target="y", C="auto")
    assert model.strength is not None
    assert model.training.C == model.strength.C
    model.save(tmp_path / "model.json")
    assert Model.load(tmp_path / "model.json").strength == model.strength
    assert "strength" not in onelayer.train(table, target="y").to_dict()
    for wrong in ("best", 0, -1):
        with pytest.raises(InputError, match="C is"):
            onelayer.train(table, target="y", C=wrong)


def test_a_choice_that_is_none_is_refused():
    X, y = draw(19, 100, 2, 3.0)
    model = onelayer.train({"a": X[:, 0], "b": X[:, 1], "y": y}, target="y", C="auto")
    sections = model.to_dict()
    for wrong in ({"C": 0.123}, {"rows": 0}, {"border": "left"}, {"tried": []}):
        with pytest.raises(ModelFileError, match="strength"):
            Model.from_dict({**sections, "strength": {**sections["strength"], **wrong}})


@pytest.mark.parametrize("values", [[0.0], [1.0, math.inf], [-1.0]])
def test_values_that_are_none_are_refused(values):
    with pytest.raises(InputError, match="above 0"):
        choose_strength(rows_of(*draw(0, 20, 2)), SigmoidLoss(1), values=values)


def test_the_words_of_a_choice():
    flat = StrengthChoice(10.0, (Trial(1.0, 0.5), Trial(10.0, 0.5)), "leave-one-out", 5, "flat")
    assert "C=inf" in flat.message
    assert flat.loss == 0.5


def test_rows_that_pull_hard_on_a_small_table():
    """Too many for one step; in heavy tails, three of four, more than are fitted again."""
    iris, generator = datasets.load_iris(), np.random.default_rng(1)
    heavy = generator.standard_t(2, size=(200, 5))
    yes = (heavy @ generator.normal(size=5) + generator.logistic(size=200) > 0) * 1.0
    for X, y, C in ((heavy, yes, 1.0), (iris.data[50:], iris.target[50:] == 2, 30.0)):
        choice, _ = choose_strength(rows_of(X, y), SigmoidLoss(1), values=[C])
        assert choice.loss == pytest.approx(leave_each_out(X, y, C), rel=1e-4)
