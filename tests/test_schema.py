"""Inferring a schema: what is asked for, what comes of the training rows, and the stored form."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tables import as_text, draw_labels, text_table, typed_table

from onelayer.errors import InputError, ModelFileError
from onelayer.table.schema import Schema, infer_schema

RNG = np.random.default_rng(3)
N = 300

COLUMNS = {
    "income": as_text(np.exp(RNG.normal(8, 1, N)).round(2)),
    "job": [f"job {v}" for v in RNG.integers(0, 5, N)],
    "sex": [("f", "m")[v] for v in RNG.integers(0, 2, N)],
    "w": as_text(RNG.uniform(0.5, 2, N)),
    "since": [f"2024-{1 + i % 12:02}-{1 + i % 28:02}" for i in range(N)],
    "id": as_text(range(N)),
    "y": draw_labels(N),
}
TABLE = text_table(COLUMNS)


def full_schema() -> Schema:
    return infer_schema(TABLE, target="y", weight="w", protected=["sex"], roles={"id": "drop"})


def test_every_column_has_a_role_and_a_reason_in_the_order_of_the_table() -> None:
    schema = full_schema()
    assert [(c.name, c.role) for c in schema.columns] == [
        ("income", "numeric"),
        ("job", "categorical"),
        ("sex", "protected"),
        ("w", "weight"),
        ("since", "date"),
        ("id", "dropped"),
        ("y", "target"),
    ]
    assert all(c.reason for c in schema.columns)
    assert schema.protected == ("sex",)
    assert schema.weight == "w"
    sex = schema.columns[2].seen
    assert sex is not None
    counts = {level.level: level.rows for level in sex.levels}
    assert counts == {value: COLUMNS["sex"].count(value) for value in "fm"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "Y"}, "no column 'Y'; did you mean 'y'"),
        ({"target": "y", "weight": "W"}, "no column 'W'"),
        ({"target": "y", "drop": ["incom"]}, "no column 'incom'; did you mean 'income'"),
        ({"target": "y", "keep": ["a", "b"]}, "no columns 'a', 'b'; the columns are 'income'"),
        ({"target": "y", "protected": ["race"]}, "no column 'race'"),
        ({"target": "y", "roles": {"jobs": "text"}}, "no column 'jobs'; did you mean 'job'"),
        ({"target": "y", "roles": {"job": "word"}}, "no role 'word'; use 'numeric'"),
        ({"target": "y", "drop": ["y"]}, "'y' is given both as target and as drop"),
        ({"target": "y", "weight": "y"}, "both as target and as weight"),
        ({"target": "y", "keep": ["sex"], "protected": ["sex"]}, "both as keep and as protected"),
        ({"target": "y", "drop": [c for c in COLUMNS if c != "y"]}, "no column is left to learn"),
    ],
)
def test_what_is_asked_for_must_be_there_and_agree(options: Any, message: Any) -> None:
    with pytest.raises(InputError, match=message) as caught:
        infer_schema(TABLE, **options)
    assert "\n" not in str(caught.value)


def test_statistics_come_from_the_training_rows() -> None:
    training = np.arange(N) < N // 2
    schema = infer_schema(TABLE, target="y", training=training)
    half = infer_schema(text_table({k: v[: N // 2] for k, v in COLUMNS.items()}), target="y")
    assert [c.terms for c in schema.columns] == [c.terms for c in half.columns]
    assert [c.seen for c in schema.columns] == [c.seen for c in half.columns]


def test_types_are_settled_over_all_rows() -> None:
    columns = {**COLUMNS, "income": [*COLUMNS["income"][:-20], *["none"] * 20]}
    training = np.arange(N) < N // 2
    schema = infer_schema(text_table(columns), target="y", training=training)
    assert schema.columns[0].role != "numeric"


def test_rows_without_target_or_weight_are_no_training_rows() -> None:
    columns = {k: [*v, *v[:50]] for k, v in COLUMNS.items()}
    columns["y"][N:] = ["?"] * 50
    schema = infer_schema(text_table(columns), target="y", roles={"id": "drop"})
    plain = infer_schema(TABLE, target="y", roles={"id": "drop"})
    assert [c.terms for c in schema.columns] == [c.terms for c in plain.columns]
    assert np.isnan(schema.labels(text_table(columns))).sum() == 50
    columns = {k: [*v, *v[:50]] for k, v in COLUMNS.items()}
    columns["w"][N:] = ["0"] * 50
    options: dict[str, Any] = {"target": "y", "weight": "w", "roles": {"id": "drop"}}
    weighted, plain = infer_schema(text_table(columns), **options), infer_schema(TABLE, **options)
    assert [c.terms for c in weighted.columns] == [c.terms for c in plain.columns]


def test_weights_enter_means_and_deviations() -> None:
    schema = infer_schema(TABLE, target="y", weight="w", roles={"income": "numeric"})
    weights = np.array(COLUMNS["w"], float)
    encoded = schema.encode(TABLE).numeric[:, 0]
    assert np.average(encoded, weights=weights) == pytest.approx(0, abs=1e-12)
    assert np.average(encoded**2, weights=weights) == pytest.approx(1, rel=1e-12)


def test_one_class_among_the_training_rows_is_refused() -> None:
    training = np.array([label == "yes" for label in COLUMNS["y"]])
    with pytest.raises(InputError, match="training rows hold only class 1; both are needed"):
        infer_schema(TABLE, target="y", training=training)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (["1", "-1", "1"], "line 3, column 'w': '-1' is no weight"),
        (["1", "NA", "1"], "line 3, column 'w': 'NA' is no weight"),
        (["1", "1", "much"], "line 4, column 'w': 'much' is no weight"),
        (["0", "0", "0"], "all weights are 0"),
    ],
)
def test_weights_that_are_none(weights: Any, message: Any) -> None:
    rest = len(COLUMNS["y"]) - 3
    columns = {**COLUMNS, "w": weights + (["0"] * rest if weights[0] == "0" else ["1"] * rest)}
    with pytest.raises(InputError, match=message):
        infer_schema(text_table(columns), target="y", weight="w")


def test_weights_and_labels_of_another_table() -> None:
    schema = full_schema()
    table = typed_table({"w": [1, 2], "y": ["no", "yes"]})
    np.testing.assert_array_equal(schema.weights(table), [1, 2])
    assert schema.labels(table).tolist() == [0, 1]
    assert infer_schema(TABLE, target="y").weights(table) is None


def test_descriptions_are_short() -> None:
    lines = {d.column: d for d in full_schema().describe()}
    assert (lines["job"].role, lines["job"].done) == ("categorical", "5 levels")
    assert lines["since"].done == "trend in days, month, weekday"
    assert lines["id"].done == "left out"
    assert all(len(d.done) <= 40 for d in lines.values())


# --- the stored form ----------------------------------------------------------------------------


def stored() -> dict[str, Any]:
    text = json.dumps(full_schema().to_dict(), allow_nan=False)
    data: dict[str, Any] = json.loads(text)
    return data


def test_stored_schema_comes_back_equal_and_encodes_alike() -> None:
    schema, back = full_schema(), Schema.from_dict(stored())
    assert back == schema
    first, second = schema.encode(TABLE), back.encode(TABLE)
    np.testing.assert_array_equal(first.numeric, second.numeric)
    np.testing.assert_array_equal(first.codes, second.codes)


def test_stored_schema_is_read_strictly() -> None:
    changes: list[tuple[Callable[[dict[str, Any]], object], str]] = [
        (lambda d: d.update(surprise=1), r"schema: unknown field 'surprise'"),
        (lambda d: d.pop("target"), r"schema: field 'target' is absent"),
        (lambda d: d.update(weight="income"), "role 'weight' is not the weight named"),
        (lambda d: d["target"].update(name="z"), "role 'target' is not the target named"),
        (lambda d: d["columns"].append(d["columns"][0]), "a column stands twice"),
        (lambda d: d["target"].update(negative=["yes"]), "positive is also negative"),
        (lambda d: d.update(columns=None), r"schema\.columns: None stands where a list"),
    ]
    for change, message in changes:
        data = stored()
        change(data)
        with pytest.raises(ModelFileError, match=message):
            Schema.from_dict(data)
    with pytest.raises(ModelFileError, match="stands where an object was expected"):
        Schema.from_dict([])
