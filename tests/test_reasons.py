"""Reasons in words: what each kind of column says, for one row as for many."""

import io
from typing import Any

import numpy as np
import polars as pl
import pytest
from cli_run import refused, run
from loans import draw_loans

from onelayer.batch_scoring import explain_batches
from onelayer.errors import DataWarning, InputError
from onelayer.model import Model
from onelayer.table.reading import cut_batches, read_table
from onelayer.table.stream import Batch
from onelayer.table.wording import write_number, write_share
from onelayer.training import train

ROWS = 600
RANDOM = np.random.default_rng(3)


def _make_table() -> pl.DataFrame:
    """A column of each kind, with tails that are clipped and logged, gaps and rare values."""
    debt = np.round(np.abs(RANDOM.normal(0.35, 0.2, ROWS)), 2)
    debt[:3] = [40.0, 90.0, 80.0]
    income = np.round(np.exp(RANDOM.normal(7, 2, ROWS)))
    income[3] = 1e7
    city = RANDOM.choice(["Aachen", "Bonn", "Celle"], ROWS, p=[0.6, 0.3, 0.1]).tolist()
    city[5:8] = ["Emden", "Fulda", "Gotha"]
    start = np.datetime64("2020-01-01T08:30")
    opened = start + RANDOM.integers(0, 365 * 3 * 24, ROWS) * np.timedelta64(1, "h")
    employed = RANDOM.random(ROWS) < 0.7
    words = RANDOM.choice(["car", "house", "roof", "garden", "boat", "debt"], (ROWS, 4))
    note = [" ".join(row) for row in words]
    age = RANDOM.integers(18, 80, ROWS).astype(float)
    logit = -3 * np.clip(debt, 0, 1) + 0.4 * np.log1p(income / 1000) + employed
    logit += 1.0 * (np.array(city) == "Bonn") - 1.2 * np.array(["debt" in n for n in note])
    logit += 0.02 * (age - 45) + 0.8 * (opened.astype("datetime64[M]").astype(int) % 12 == 4)
    rank = logit + RANDOM.logistic(size=ROWS)
    missing = RANDOM.random(ROWS) < 0.1
    return pl.DataFrame(
        {
            "debt ratio": debt,
            "income": income,
            "city": city,
            "opened": pl.Series(opened.astype("datetime64[us]")),
            "employed": np.where(employed, "yes", "no"),
            "note": note,
            "age": pl.Series(age).set(pl.Series(missing), None),
            "granted": np.where(rank > np.median(rank), "yes", "no"),
        }
    )


TABLE = _make_table()
MODEL = train(TABLE, target="granted", holdout=0, roles={"note": "text"})
ROW: dict[str, Any] = {
    "debt ratio": 0.61,
    "income": 1500,
    "city": "Bonn",
    "opened": "2021-03-10T10:00:00",
    "employed": "yes",
    "note": "a debt and a car",
    "age": 30,
}


def say(**changes: Any) -> dict[str, str]:
    row = {**ROW, **{name.replace("_", " "): value for name, value in changes.items()}}
    return {push.column: push.words for push in MODEL.explain(row).pushes}


def test_numbers_stand_beside_the_average() -> None:
    mean = TABLE["age"].mean()
    assert say()["age"] == f"age 30 is below the average {mean:.3g}"
    assert say(age=70)["age"] == f"age 70 is above the average {mean:.3g}"
    assert say(age=float(f"{mean:.3g}"))["age"] == f"age {mean:.3g} is about average"
    share = TABLE["age"].null_count() / ROWS
    assert say(age=None)["age"] == f"age is missing ({100 * share:.0f}% of the rows)"


def test_a_clipped_value_says_what_it_counts_as() -> None:
    high = np.quantile(TABLE["debt ratio"], 0.99)
    said = say(debt_ratio=50)["debt ratio"]
    assert said.startswith(f"debt ratio 50 (counted as {high:.3g}) is above the ")
    assert "counted" not in say()["debt ratio"]


def test_a_logarithm_stands_beside_what_is_typical() -> None:
    logged = np.log1p(
        np.clip(TABLE["income"], *np.quantile(TABLE["income"], [0.01, 0.99]))
        / np.median(TABLE["income"])
    )
    typical = np.median(TABLE["income"]) * np.expm1(logged.mean())
    assert say()["income"] == f"income 1500 is below the typical {typical:.0f}"
    assert "as in no row of the training: taken as the typical" in said_quietly(income=None)


def said_quietly(**changes: Any) -> str:
    with pytest.warns(DataWarning):
        return say(**changes)[next(iter(changes)).replace("_", " ")]


def test_levels_say_how_common_they_are() -> None:
    share = (TABLE["city"] == "Bonn").mean()
    assert say()["city"] == f"city is Bonn ({100 * share:.0f}% of the rows)"
    assert say(city="Fulda")["city"] == "city is Fulda (a rare value: counted as another)"
    assert said_quietly(city="Halle") == "city is Halle (new to the model: counted as another)"
    assert said_quietly(city="x" * 50).startswith(f"city is {'x' * 37}... (new")


def test_yes_and_no_say_how_common_they_are() -> None:
    share = (TABLE["employed"] == "yes").mean()
    assert say()["employed"] == f"employed is yes ({100 * share:.0f}% of the rows)"
    assert (
        say(employed="no")["employed"] == f"employed is no ({100 - 100 * share:.0f}% of the rows)"
    )
    assert "neither yes nor no" in said_quietly(employed="maybe")


def test_dates_say_what_pushes_most() -> None:
    assert "falls in May" in say(opened="2021-05-12T10:00:00")["opened"]
    assert "as in no row of the training" in said_quietly(opened=None)


def test_texts_name_the_words_that_push() -> None:
    assert say()["note"] == "note holds 'debt'"
    assert "lacks 'debt'" in say(note="a roof")["note"]
    assert "taken as holding none" in say(note=None)["note"]


def test_many_rows_are_worded_like_one() -> None:
    ranked = MODEL.reasons(TABLE, k=7)
    for row in (0, 5, 77):
        assert ranked[row] == MODEL.explain(TABLE, row).reasons(7)


def test_what_is_wanted_comes_last() -> None:
    yes, no = MODEL.explain(ROW), MODEL.explain(ROW, wanted="no")
    assert [push.push for push in no.pushes] == [push.push for push in yes.pushes][::-1]
    assert (yes.wanted, no.wanted) == ("yes", "no")
    with pytest.raises(InputError, match="granted is 'yes' or 'no'"):
        MODEL.explain(ROW, wanted="maybe")


def test_reasons_of_a_file_are_the_same_in_batches_and_add_up() -> None:
    raw = read_table(TABLE)
    batches = [Batch(first, part) for first, part in cut_batches(raw, 77)]
    parts = list(explain_batches(MODEL, batches, 3))
    whole = next(iter(explain_batches(MODEL, [Batch(0, raw)], 3)))
    for name, column in whole.items():
        assert pl.concat([part[name] for part in parts]).equals(column), name
    named = ["reason", "column", "push"]
    assert list(whole)[3:] == [*(f"{n}_{k}" for k in (1, 2, 3) for n in named), "others"]
    pushes = sum(whole[f"push_{k}"].to_numpy() for k in (1, 2, 3)) + whole["others"].to_numpy()
    average = MODEL.explain(TABLE, 0).average_logit
    np.testing.assert_allclose(average + pushes, MODEL.predict_logits(TABLE), atol=1e-12)


def test_the_command_line_writes_reasons(tmp_path: Any) -> None:
    table, model = tmp_path / "loans.csv", tmp_path / "model.json"
    draw_loans(120).write_csv(table)
    run("train", table, "--target", "approve", "-o", model)
    out = run("predict", model, table, "--reasons", "2")
    rows = pl.read_csv(io.StringIO(out.stdout))
    assert rows.columns[-2:] == ["reason_1", "reason_2"]
    loaded = Model.load(model)
    assert rows["reason_1"].to_list() == [each[0] for each in loaded.reasons(table, 1)]
    other = run("predict", model, table, "--reasons", "1", "--wanted", "no", "--json")
    assert '"reason_1"' in other.stdout
    assert "--wanted is the order of reasons" in refused(
        run("predict", model, table, "--wanted", "no")
    )
    assert "approve is 'yes' or 'no'" in refused(run("explain", model, table, "--wanted", "x"))
    written = tmp_path / "reasons.parquet"
    run("explain", model, table, "--top", "2", "-o", written)
    found = pl.read_parquet(written)
    assert found["reason_1"].to_list() == rows["reason_1"].to_list()
    assert found.columns[-1] == "others"
    for kind in ("explain", "predict"):
        whole, parts = tmp_path / f"{kind}.csv", tmp_path / f"{kind}.parts.csv"
        options = ["--top", "4"] if kind == "explain" else ["--reasons", "4"]
        run(kind, model, table, *options, "-o", whole)
        run(kind, model, table, *options, "-o", parts, "--memory", "150MB")
        assert whole.read_bytes() == parts.read_bytes()


def test_numbers_for_people() -> None:
    assert write_number(1234.5) == "1234"
    assert write_number(0.000012345) == "1.23e-05"
    assert write_share(2, 3) == "67%"


def test_the_largest_numbers_are_learnt_from_and_worded_without_a_warning() -> None:
    """Such as a damaged page of a file may hold; NumPy's own rounding overflows there."""
    random = np.random.default_rng(0)
    usual = pl.DataFrame({"x": random.normal(size=500), "z": random.normal(size=500)})
    usual = usual.with_columns(y=pl.col("x") + pl.Series(random.normal(size=500)) > 0)
    largest = pl.DataFrame({"x": [1.7e308, -1.7e308], "z": [0.0, 1.0], "y": [True, False]})
    model = train(pl.concat([usual, largest]), target="y")
    assert model.certificate.proved
    plain = train(usual, target="y")
    assert not any("inf" in text for row in model.reasons(largest) for text in row)
    assert [row[0][:2] for row in plain.reasons(largest)] == ["x "] * 2
