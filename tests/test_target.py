"""The target: which value is 1, labels, and every way in which it cannot be learnt."""

import math
from typing import Any

import numpy as np
import pytest
from tables import as_text, text_table, typed_table

from onelayer.errors import InputError
from onelayer.table.target import Target, infer_target


def target_of(values: list[str], positive: object = None) -> Target:
    return infer_target(text_table({"y": values}), "y", positive)


@pytest.mark.parametrize(
    ("values", "positive", "reason"),
    [
        (["0", "1", "1"], "1", "'1' is 1, of 0 and 1"),
        (["No", "Yes", "Yes"], "Yes", "'Yes' is 1, of No and Yes"),
        (["TRUE", "FALSE"], "true", "'true' is 1, of false and true"),
        (["y", "n"], "y", "'y' is 1, of n and y"),
        (["T", "F"], "T", "'T' is 1, of F and T"),
        (["good", "good", "bad"], "bad", "'bad' is 1, the rarer value: 1 of 3 rows"),
        (["a", "b"], "b", "'b' is 1, the later of two equally rare values: 1 of 2 rows"),
        (["1", "2", "1.0"], "2", "'2' is 1, the rarer value: 1 of 3 rows"),
        ([" <=50K", " >50K", " <=50K"], ">50K", "'>50K' is 1, the rarer value: 1 of 3 rows"),
    ],
)
def test_the_positive_value_and_why(values: Any, positive: Any, reason: Any) -> None:
    target = target_of(values)
    assert (target.positive, target.reason, target.rest) == (positive, reason, False)


@pytest.mark.parametrize("given", ["1", 1, 1.0, True, "1.0", np.int64(1)])
@pytest.mark.parametrize("values", [["0", "1"], [0, 1], [0.0, 1.0], [False, True]])
def test_positive_is_matched_by_value(values: Any, given: Any) -> None:
    table = text_table({"y": values}) if isinstance(values[0], str) else typed_table({"y": values})
    target = infer_target(table, "y", given)
    assert target.labels(table).tolist() == [0, 1]


def test_positive_in_another_case_when_only_one_fits() -> None:
    assert target_of(["Paid", "Late"], "late").positive == "Late"


def test_labels_of_text_and_typed_tables_agree() -> None:
    target = target_of(["0", "1", "?"])
    expected = [0, 1, math.nan]
    for table in (
        text_table({"y": ["0", "1.0", "NA"]}),
        typed_table({"y": [0, 1, None]}),
        typed_table({"y": [0.0, 1.0, math.nan]}),
        typed_table({"y": [False, True, None]}),
        text_table({"y": ["false", "True", ""]}),
    ):
        np.testing.assert_array_equal(target.labels(table), expected)


def test_one_value_against_the_rest() -> None:
    values = ["paid", "late", "default", "?"]
    target = target_of(values, "default")
    assert target.rest
    assert "against the rest (2 other values)" in target.reason
    labels = target.labels(text_table({"y": [*values, "new"]}))
    np.testing.assert_array_equal(labels, [0, 0, 1, math.nan, 0])


def test_a_value_never_seen_is_refused_by_line() -> None:
    target = target_of(["good", "bad"])
    with pytest.raises(InputError, match=r"loans.csv, line 3, column 'y': 'ugly' is no value"):
        target.labels(text_table({"y": ["good", "ugly"]}))


@pytest.mark.parametrize(
    ("values", "positive", "message"),
    [
        (["yes", "yes"], None, "one class only, 'yes' \\(2\\)"),
        (["?", ""], None, "the target has no value in any row"),
        (["a", "b", "c", "c"], None, r"3 values, 'c' \(2\), 'a' \(1\), 'b' \(1\).*--positive a"),
        (["0", "1", "1", "N"], None, "--positive 1"),
        (["a", "b"], "c", r"no value 'c' to count as positive; its values are 'a' \(1\)"),
        (["yes", "Yes", "no"], None, r"'Yes' and 'yes' look like one.*'Yes' \(1\)"),
        (["yes", "Yes", "no"], "yes", "until then no value can be the positive one"),
        (["no", "no ", "yes"], None, "'no' and 'no ' look like one value"),
        (["<=50K", ">50K", "<=50K."], None, "'<=50K' and '<=50K.' look like one"),
        (as_text(np.arange(30) / 7), None, "numbers, not classes"),
    ],
)
def test_what_cannot_be_learnt(values: Any, positive: Any, message: Any) -> None:
    with pytest.raises(InputError, match=message) as caught:
        target_of(values, positive)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("loans.csv, column 'y'")


def test_no_such_target_suggests_names() -> None:
    with pytest.raises(InputError, match="no column 'aprove'; did you mean 'approve'"):
        infer_target(text_table({"approve": ["0", "1"]}), "aprove")
