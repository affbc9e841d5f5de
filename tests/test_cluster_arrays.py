"""`OneLayerClassifier` on Dask arrays: the answers of arrays in memory."""

import numpy as np
import pytest

from onelayer import OneLayerClassifier
from onelayer.errors import InputError

pytest.importorskip("distributed", reason="Dask is not installed: extra [dask]")
import dask.array as da


def draw(n=3000, p=4, classes=2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) + 2
    y = (X @ rng.normal(size=(p, classes)) + rng.gumbel(size=(n, classes))).argmax(axis=1)
    return X, np.array(["no", "perhaps", "yes"])[y], rng.integers(0, 3, n).astype(float)


def spread(array, step=700):
    return da.from_array(array, chunks=(step, *array.shape[1:]))


def assert_same(there, here):
    assert there.solution_.status == here.solution_.status == "optimal"
    assert there.classes_.tolist() == here.classes_.tolist()
    assert there.coef_ == pytest.approx(here.coef_, abs=1e-6)
    assert there.intercept_ == pytest.approx(here.intercept_, abs=1e-6)
    assert there.solution_.objective == pytest.approx(here.solution_.objective, rel=1e-9)


@pytest.mark.parametrize(
    ("options", "classes", "weighted"),
    [
        ({}, 2, False),
        ({"C": np.inf}, 3, False),
        ({"class_weight": "balanced"}, 2, True),
        ({"class_weight": {"no": 2.0, "perhaps": 1.0}, "fit_intercept": False}, 2, False),
        ({"weight_kind": "sampling"}, 3, True),
        ({"l1_ratio": 1.0, "C": 0.02}, 2, False),
        ({"solver": "newton"}, 2, True),
    ],
)
def test_the_fit_is_that_of_arrays_in_memory(client, options, classes, weighted):
    X, y, weights = draw(classes=classes)
    given = {"sample_weight": weights} if weighted else {}
    here = OneLayerClassifier(**options).fit(X, y, **given)
    chunks = {name: spread(each) for name, each in given.items()}
    there = OneLayerClassifier(**options).fit(spread(X), spread(y), **chunks)
    assert_same(there, here)


def test_gradient_descent_takes_the_same_steps(client):
    X, y, _ = draw()
    options = {"solver": "gradient_descent", "random_state": 3, "learning_rate": "safe"}
    here = OneLayerClassifier(**options).fit(X, y)
    there = OneLayerClassifier(**options).fit(spread(X), spread(y))
    assert there.coef_ == pytest.approx(here.coef_, rel=1e-9)


def test_a_long_table_is_solved_with_a_sample(client):
    X, y, _ = draw(60_000, 20)
    here = OneLayerClassifier().fit(X, y)
    there = OneLayerClassifier().fit(spread(X, 9000), spread(y, 9000))
    assert here.solution_.certificate.kind == there.solution_.certificate.kind == "sampled"
    assert_same(there, here)


def test_chunks_may_be_cut_otherwise(client):
    X, y, _ = draw()
    expected = OneLayerClassifier().fit(X, y)
    by_columns = da.from_array(X, chunks=(1000, 2))
    assert_same(OneLayerClassifier().fit(by_columns, spread(y, 300)), expected)
    kept = spread(X)[da.from_array(np.ones(len(X), bool), chunks=700)]  # sizes are not known
    labels = spread(y)[da.from_array(np.ones(len(X), bool), chunks=700)]
    assert_same(OneLayerClassifier().fit(kept, labels), expected)
    assert_same(OneLayerClassifier().fit(spread(X), spread(y[:, None])), expected)


def test_whole_numbers_are_numbers(client):
    X, y, _ = draw()
    X = (X * 10).astype(np.int16)
    assert_same(OneLayerClassifier().fit(spread(X), spread(y)), OneLayerClassifier().fit(X, y))


@pytest.mark.parametrize("classes", [2, 3])
def test_predictions_are_lazy_and_the_same_to_the_bit(client, classes):
    X, y, _ = draw(classes=classes)
    fitted = OneLayerClassifier().fit(X, y)
    for name in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        lazy = getattr(fitted, name)(da.from_array(X, chunks=(700, 2)))
        expected = getattr(fitted, name)(X)
        assert isinstance(lazy, da.Array)
        assert (lazy.shape, lazy.dtype) == (expected.shape, expected.dtype)
        assert lazy.compute().tolist() == expected.tolist()


def test_a_summary_takes_the_rows_once_more(client):
    X, y, _ = draw()
    far = spread(X), spread(y)
    fitted = OneLayerClassifier(C=np.inf).fit(*far)
    with pytest.raises(InputError, match="rows"):
        fitted.summary()
    here = OneLayerClassifier(C=np.inf).fit(X, y)
    for errors in ("model", "robust"):
        there, expected = fitted.summary(*far, errors=errors), here.summary(errors=errors)
        assert [each.error for each in there.coefficients] == pytest.approx(
            [each.error for each in expected.coefficients], rel=1e-6
        )


def break_third(block, block_info=None):
    if block_info and block_info[0]["chunk-location"][0] == 2:
        raise OSError("no such bucket")
    return block


X, Y, W = draw()
LAST = np.arange(3000) >= 2900


@pytest.mark.parametrize(
    ("X", "y", "weights", "options", "message"),
    [
        (spread(X), Y, None, {}, r"y: expected a one-dimensional Dask array beside X, got ndarray"),
        (spread(X), spread(Y[:-1]), None, {}, "3000 rows in 5 chunks, y has 2999"),
        (spread(X), spread(Y), None, {"C": "auto"}, "C='auto' is not for Dask arrays"),
        (spread(X), spread(np.full(3000, "no")), None, {}, "y holds 1 classes"),
        (spread(X), spread(Y), spread(W - 9 * LAST), {}, r"a weight is -\d.0 in chunk 4 of X"),
        (spread(X), spread(np.where(LAST, np.nan, W)), None, {}, "y holds nan in chunk 4 of X"),
        (spread(X.astype(str)), spread(Y), None, {}, "expected a Dask array of numbers"),
        (
            spread(np.where(np.arange(3000)[:, None] == 2100, np.nan, X)),
            spread(Y),
            None,
            {},
            "row 2100, column 0 of the table holds NaN",
        ),
        (
            spread(X).map_blocks(break_third, dtype=float, meta=X[:0]),
            spread(Y),
            None,
            {},
            r"chunk 2 of X \(rows 1400 to 2099\) cannot be read: OSError: no such bucket",
        ),
    ],
)
def test_what_is_wrong_is_named(client, X, y, weights, options, message):
    with pytest.raises(InputError, match=message):
        OneLayerClassifier(**options).fit(X, y, weights)


def test_without_a_client_the_error_says_how_to_get_one():
    from distributed import default_client

    try:
        default_client()
    except ValueError:
        with pytest.raises(InputError, match=r"from dask\.distributed import Client"):
            OneLayerClassifier().fit(spread(X), spread(Y))
