"""The pushes add up, and say in words what they are."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onelayer.errors import InputError
from onelayer.explaining.explain import Explanation, Push, explain_row
from onelayer.network import sigmoid

numbers = st.floats(-1e6, 1e6)


@settings(deadline=None)
@given(st.lists(st.tuples(numbers, numbers), max_size=30), numbers)
def test_the_pushes_add_up(pairs: list[tuple[float, float]], bias: float) -> None:
    names = [f"x{i}" for i in range(len(pairs))]
    contributions, averages = [row for row, _ in pairs], [average for _, average in pairs]
    found = explain_row(names, names, names, contributions, averages, bias)
    scale = 1 + abs(bias) + sum(abs(number) for pair in pairs for number in pair)
    total = math.fsum([found.average_logit, *(push.push for push in found.pushes)])
    assert total == pytest.approx(found.logit, rel=0, abs=1e-12 * scale)
    assert found.logit == math.fsum([bias, *contributions])
    assert found.average_logit == math.fsum([bias, *averages])
    assert found.probability == float(sigmoid(found.logit))
    order = [push.push for push in found.pushes]
    assert order == sorted(order)
    assert sorted(push.column for push in found.pushes) == sorted(names)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-30, 30), st.floats(-30, 30)), min_size=1, max_size=20))
def test_the_pushes_add_up_to_1e_12(pairs: list[tuple[float, float]]) -> None:
    names = [str(i) for i in range(len(pairs))]
    found = explain_row(names, names, names, [c for c, _ in pairs], [a for _, a in pairs], -1.5)
    total = math.fsum([found.average_logit, *(push.push for push in found.pushes)])
    assert total == pytest.approx(found.logit, rel=0, abs=1e-12)


def test_against_a_matrix_of_training_rows() -> None:
    random = np.random.default_rng(0)
    X, W, b = random.normal(size=(200, 5)), random.normal(size=5), 0.3
    found = explain_row(list("abcde"), [""] * 5, [""] * 5, X[7] * W, X.mean(axis=0) * W, b)
    assert found.logit == pytest.approx(X[7] @ W + b, abs=1e-12)
    assert found.average_logit == pytest.approx((X @ W + b).mean(), abs=1e-12)


def test_equal_pushes_stay_in_the_order_of_the_columns() -> None:
    names = ["b", "a", "c"]
    found = explain_row(names, names, names, [1.0, 1.0, -2.0], [0.0, 0.0, 0.0], 0.0)
    assert [push.column for push in found.pushes] == ["c", "b", "a"]


@pytest.mark.parametrize(("sign", "first"), [(1, "debt"), (-1, "age")])
def test_what_speaks_against_the_wanted_value_comes_first(sign: Any, first: str) -> None:
    columns = ["income", "age", "debt"]
    found = explain_row(
        columns, columns, columns, [0.5, 2.0, -1.0], [0.0] * 3, 0.0, wanted="x", sign=sign
    )
    assert found.pushes[0].column == first
    assert found.wanted == "x"
    assert found.pushes[0].push == {"debt": -1.0, "age": 2.0}[first]


def test_it_speaks() -> None:
    found = explain_row(
        ["debt ratio", "age", "income", "rooms"],
        ["0.61", "missing", "4200", "3"],
        ["debt ratio 0.61 is above the average 0.34", "age is missing", "income 4200", "rooms 3"],
        [-1.0, 0.5, 0.0, -0.0049],
        [-0.2, 0.25, 0.0, 0.0],
        bias=0.0,
    )
    assert found.reasons() == [
        "debt ratio 0.61 is above the average 0.34: -0.8",
        "age is missing: +0.25",
    ]
    assert found.reasons(k=1) == ["debt ratio 0.61 is above the average 0.34: -0.8"]
    assert found.reasons(k=0) == []


def test_no_columns_at_all() -> None:
    assert explain_row([], [], [], [], [], 0.0) == Explanation(0.5, 0.0, 0.0, "1", ())


def test_it_is_plain_json() -> None:
    found = explain_row(["a"], ["1"], ["a is 1"], np.array([2.0]), np.array([0.5]), 0.0)
    assert found.to_dict() == {
        "probability": float(sigmoid(2.0)),
        "logit": 2.0,
        "average_logit": 0.5,
        "wanted": "1",
        "pushes": [{"column": "a", "value": "1", "push": 1.5, "words": "a is 1"}],
        "decision": None,
        "change": None,
        "unanswered": None,
    }
    assert json.loads(json.dumps(found.to_dict())) == found.to_dict()
    assert found.pushes == (Push("a", "1", 1.5, "a is 1"),)


@pytest.mark.parametrize(
    ("values", "contributions", "averages", "reason"),
    [
        (["1"], [1.0, 2.0], [0.0, 0.0], "2 columns, 1 values and 2 words: expected one for each"),
        (["1", "2"], [1.0], [0.0, 0.0], "2 columns and numbers of the shape (1,)"),
        (["1", "2"], [1.0, 2.0], [[0.0, 0.0]], "2 columns and numbers of the shape (1, 2)"),
        (
            ["1", "2"],
            [1.0, np.nan],
            [0.0, 0.0],
            "column 'b': its part in the log-odds is not finite",
        ),
        (
            ["1", "2"],
            [1.0, 0.0],
            [np.inf, 0.0],
            "column 'a': its part in the log-odds is not finite",
        ),
    ],
)
def test_mistakes_are_named(values: Any, contributions: Any, averages: Any, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        explain_row(["a", "b"], values, ["", ""], contributions, averages, 0.0)
    assert str(caught.value) == reason


def test_a_negative_number_of_reasons() -> None:
    with pytest.raises(InputError, match="expected how many reasons"):
        explain_row([], [], [], [], [], 0.0).reasons(k=-1)
