"""docs/model.schema.json: what models are written as, and what the types in the code say."""

import dataclasses
import io
import json
import math
import types
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import jsonschema
import numpy as np
import polars as pl
import pytest
from loans import draw_loans

from onelayer.certificate import KINDS, Certificate
from onelayer.facts import Revision, TrainingFacts
from onelayer.judging.best_column import SingleColumn
from onelayer.judging.evaluate import Evaluation
from onelayer.model import Model, StoredParameters
from onelayer.model_file import SECTIONS
from onelayer.strength import StrengthChoice
from onelayer.summary_section import SummarySection
from onelayer.table.reference import Reference
from onelayer.table.schema import Schema
from onelayer.thresholds.choice import ThresholdChoice
from onelayer.training import train
from onelayer.updating import update

SCHEMA = json.loads(
    (Path(__file__).parent.parent / "docs" / "model.schema.json").read_text(encoding="utf-8")
)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
LOANS = draw_loans().with_columns(
    w=np.random.default_rng(0).uniform(0, 2, 400),
    share=pl.concat_str(pl.col("age"), pl.lit(" %")),
    opened=pl.col("since").dt.strftime("%d.%m.%Y"),
    things=pl.concat_list("age", "age"),
)
RARE = LOANS.with_columns(
    city=pl.when(pl.int_range(400) % 40 == 0).then(pl.col("note")).otherwise("city")
)


@cache
def plain() -> Model:
    return train(LOANS, target="approve")


def write(model: Model) -> Any:
    return json.loads(model.to_bytes())


MODELS: dict[str, dict[str, Any]] = {
    "plain": {},
    "nothing held out": {"holdout": 0},
    "no penalty": {"C": math.inf, "drop": ["note", "city", "since", "opened", "share", "sex"]},
    "survey": {"weight": "w", "weight_kind": "sampling"},
    "weighted": {"weight": "w", "protected": ["sex"], "na": ["n/k"]},
    "gradient descent": {"solver": "gradient_descent", "learning_rate": "safe"},
    "as the user says": {
        "roles": {"age": "categorical", "city": "text", "employed": "drop"},
        "keep": ["id", "verdict"],
        "drop": ["note"],
    },
    "judged on another table": {"test": LOANS},
    "strength chosen": {"C": "auto"},
}


def test_the_schema_is_one() -> None:
    VALIDATOR.check_schema(SCHEMA)


@pytest.mark.parametrize("name", MODELS)
def test_models_are_written_as_described(name: str) -> None:
    model = train(LOANS, target="approve", **MODELS[name])
    assert [error.message for error in VALIDATOR.iter_errors(write(model))] == []


def test_an_updated_model_is_written_as_described() -> None:
    model = update(plain(), LOANS)
    assert list(VALIDATOR.iter_errors(write(model))) == []


def test_pooled_levels_and_a_target_against_the_rest() -> None:
    model = train(RARE, target="approve", positive="yes", keep=["city"])
    assert list(VALIDATOR.iter_errors(write(model))) == []
    rest = train({"x": [*range(6)] * 10, "y": ["a", "b", "c"] * 20}, target="y", positive="b")
    assert list(VALIDATOR.iter_errors(write(rest))) == []


def test_every_section_is_described() -> None:
    assert SCHEMA["required"] == ["format", "format_version", *SECTIONS, "sha256"]
    model = write(plain())
    later = ("summary", "reference", "best_column")
    assert [key for key in model if key not in later] == SCHEMA["required"]


@pytest.mark.parametrize(
    ("section", "cls"),
    [
        ("training", TrainingFacts),
        ("evaluation", Evaluation | None),
        ("certificate", Certificate),
        ("threshold", float),
        ("protected", tuple[str, ...]),
        ("schema", Schema),
        ("parameters", StoredParameters),
        ("summary", SummarySection),
        ("strength", StrengthChoice),
        ("history", tuple[Revision, ...]),
        ("reference", Reference),
        ("best_column", SingleColumn),
        ("threshold_choice", ThresholdChoice),
    ],
)
def test_the_schema_says_what_the_types_say(section: str, cls: Any) -> None:
    compare(cls, SCHEMA["properties"][section], section)


def compare(hint: Any, node: dict[str, Any], place: str) -> None:
    """The description at `node` is that of the type, down to the last field."""
    while "$ref" in node:
        node = SCHEMA["$defs"][node["$ref"].removeprefix("#/$defs/")]
    origin, parts = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint):
        compare_record(hint, node, place)
    elif origin is Literal:
        assert node.get("enum", [node.get("const")]) == list(parts), place
    elif origin is Annotated:
        assert node["anyOf"][0]["type"] == "number", place
        assert node["anyOf"][1:] == [{"const": "inf"}], place
    elif origin is tuple:
        assert node["type"] == "array", place
        compare(parts[0], node["items"], f"{place}[]")
    elif origin in (Union, types.UnionType):
        compare_choices(parts, node, place)
    else:
        names = {str: "string", int: "integer", float: "number", bool: "boolean"}
        assert node["type"] == names[hint], place


def compare_record(cls: Any, node: dict[str, Any], place: str) -> None:
    fields = [field.name for field in dataclasses.fields(cls)]
    assert list(node["properties"]) == node["required"] == fields, place
    assert node["additionalProperties"] is False, place
    hints = get_type_hints(cls, include_extras=True)
    for name in fields:
        compare(hints[name], node["properties"][name], f"{place}.{name}")


def compare_choices(parts: tuple[Any, ...], node: dict[str, Any], place: str) -> None:
    if type(None) in parts:
        assert node["anyOf"][1:] == [{"type": "null"}], place
        rest = tuple(part for part in parts if part is not type(None))
        compare(rest[0] if len(rest) == 1 else Union[rest], node["anyOf"][0], place)  # noqa: UP007
        return
    assert len(node["oneOf"]) == len(parts), place
    for part, choice in zip(parts, node["oneOf"]):
        compare(part, choice, place)


def test_the_kinds_of_certificates() -> None:
    assert SCHEMA["$defs"]["certificate"]["properties"]["kind"]["enum"] == list(KINDS)


@pytest.mark.parametrize(
    ("section", "change"),
    [
        ("training", {"rows": -1}),
        ("training", {"later": 1}),
        ("evaluation", {"brier": 2}),
        ("certificate", {"rho": None}),
        ("certificate", {"kind": "sure"}),
        ("parameters", {"W": [[0.5], [0.5]]}),
        ("schema", {"columns": [{"name": "age"}]}),
    ],
)
def test_other_content_does_not_fit(section: str, change: dict[str, Any]) -> None:
    whole = write(plain())
    whole[section].update(change)
    assert list(VALIDATOR.iter_errors(whole))


def test_later_sections_are_no_error() -> None:
    model = plain()
    whole = {**write(model), "covariance": {}, "anything": 1}
    assert list(VALIDATOR.iter_errors(whole)) == []
    sections = {**model.to_dict(), "covariance": {}, "anything": 1}
    assert Model.from_dict(sections).to_dict() == model.to_dict()
    assert Model.load(io.BytesIO(model.to_bytes())).to_dict() == model.to_dict()
