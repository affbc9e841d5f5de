"""Reasons in words: what a column holds in a row, beside what the training rows held.

All rows of a table are worded at once: each sentence is put together from columns of text.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from onelayer.table.effects import Effect, Part
from onelayer.table.levels import read_flags, read_levels
from onelayer.table.moments import Moments, read_moments, take_part
from onelayer.table.numerals import Floats, read_numbers
from onelayer.table.terms import Flag, Level, Levels, Moment, Number, Raw, SignedLog, Words
from onelayer.table.words import find_words, read_texts

LONGEST_VALUE = 40
LONG_NUMBER = 8  # characters; a longer one is shown to so many digits:
DIGITS = 6
MOST_WORDS = 2  # of a text
MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def word_reasons(effect: Effect, raw: pl.Series, pushes: Floats, na: Sequence[str]) -> pl.Series:
    """Say for each row what the column holds there, and how it pushes.

    Arguments
    ---------
    raw
        The column's values.
    pushes : (n,)
        What each adds to the log-odds beyond that of the average row.
    na
        Words that mean missing.

    Returns
    -------
    Texts such as "debt ratio 0.61 is above the average 0.34: -0.8".
    """
    said = word_values(effect, raw, pushes, na)
    frame = pl.DataFrame({"said": said, "push": write_pushes(pushes)})
    return frame.select(pl.concat_str("said", pl.lit(": "), "push").alias("reason"))["reason"]


def round_push(pushes: Floats) -> Floats:
    """Round to two decimals.

    >>> round_push(np.array([3.356, 1e308])).tolist()
    [3.36, 1e+308]
    """
    has_decimals = np.abs(pushes) < 1 << 53  # larger ones would overflow on the way
    return np.where(has_decimals, np.round(np.where(has_decimals, pushes, 0.0), 2), pushes)


def write_pushes(pushes: Floats) -> pl.Series:
    """Write pushes with their sign and at most two decimals.

    >>> write_pushes(np.array([-0.8, 3.356, 0.001])).to_list()
    ['-0.8', '+3.36', '0.0']
    """
    rounded = pl.Series(round_push(pushes) + 0.0)  # -0.0 becomes 0.0
    text = rounded.cast(pl.String)
    return (pl.Series([""] * len(text)).set(rounded > 0, "+") + text).alias("push")


def word_values(effect: Effect, raw: pl.Series, pushes: Floats, na: Sequence[str]) -> pl.Series:
    """Say what the column holds in each row; see `word_reasons`."""
    reading = effect.column.reading
    if isinstance(reading, Number):
        return _word_numbers(effect, reading, raw, na)
    if isinstance(reading, Flag):
        return _word_flags(effect, raw, na)
    if isinstance(reading, Level):
        return _word_levels(effect, raw, na)
    if isinstance(reading, Moment):
        return _word_moments(effect, reading, raw, na)
    return _word_texts(effect, raw, pushes, na)


def show_values(raw: pl.Series, na: Sequence[str]) -> pl.Series:
    """Values as names, cut to `LONGEST_VALUE` characters; null where missing."""
    text = pl.col("text")
    cut = pl.concat_str(text.str.slice(0, LONGEST_VALUE - 3), pl.lit("..."))
    shown = pl.when(text.str.len_chars() > LONGEST_VALUE).then(cut).otherwise(text)
    return (
        _one_line(read_levels(raw, na)).alias("text").to_frame().select(shown.alias("text"))["text"]
    )


def _one_line(texts: pl.Series) -> pl.Series:
    return texts.str.replace_all(r"\s+", " ")


def write_number(value: float, reading: object = None) -> str:
    """A number that the model holds, for people: three digits, or all that stand before the point.

    >>> write_number(0.34217), write_number(41203.4), write_number(-0.0)
    ('0.342', '41203', '0')
    """
    text = f"{value:.0f}" if 1000 <= abs(value) < 1e15 else f"{value + 0.0:.3g}"
    return text.replace(".", ",") if getattr(reading, "decimal", ".") == "," else text


def write_share(rows: float, of: float) -> str:
    """How many of the training rows, in percent.

    >>> write_share(1, 3), write_share(1, 10_000), write_share(9_999, 10_000), write_share(0, 5)
    ('33%', 'under 1%', 'over 99%', 'none')
    """
    if not rows:
        return "none"
    share = 100 * rows / max(of, 1)
    if share < 1:
        return "under 1%"
    return "over 99%" if 99 < share < 100 else f"{share:.0f}%"


def _put(*parts: str | pl.Expr) -> pl.Expr:
    """Text and columns of text one behind the other."""
    return pl.concat_str([pl.lit(part) if isinstance(part, str) else part for part in parts])


def _word_missing(effect: Effect, taken_as: str) -> str:
    seen, name = effect.column.seen, effect.column.name
    if seen is not None and seen.missing:
        return f"{name} is missing ({write_share(seen.missing, seen.rows)} of the rows)"
    return f"{name} is missing, as in no row of the training: {taken_as}"


# --- numbers ------------------------------------------------------------------------------------


def find_reference(effect: Effect) -> tuple[float, str]:
    """The number that a value is compared with, and what it is called.

    It is the mean of the training rows, of clipped values where the column is clipped. Where the
    logarithm counts and the value itself does not, or only clipped, it is the value whose logarithm
    is the mean one: a mean that a few huge values make is like no row at all.
    """
    logs = [term for term in effect.scales if isinstance(term.transform, SignedLog)]
    if logs and not any(isinstance(term.transform, Raw) for term in effect.scales):
        transform, centre = logs[0].transform, logs[0].center
        assert isinstance(transform, SignedLog)
        return float(np.sign(centre) * transform.unit * np.expm1(abs(centre))), "typical"
    return effect.scales[0].center, "average"


def _word_numbers(effect: Effect, reading: Number, raw: pl.Series, na: Sequence[str]) -> pl.Series:
    name = effect.column.name
    values = read_numbers(raw, reading, na)
    frame = pl.DataFrame({"text": _show_numbers(raw, values, reading, na), "x": values})
    x, text = pl.col("x"), pl.col("text")
    if not effect.scales:  # only whether it is missing counts
        missing = pl.lit(_word_missing(effect, ""))
        return _select(
            frame, pl.when(x.is_nan()).then(missing).otherwise(_put(f"{name} is ", text))
        )
    reference, called = find_reference(effect)
    shown = write_number(reference, reading)
    low, high = effect.limits
    counted = (
        pl.when(x > high)
        .then(pl.lit(f" (counted as {write_number(high, reading)})"))
        .when(x < low)
        .then(pl.lit(f" (counted as {write_number(low, reading)})"))
        .otherwise(pl.lit(""))
    )
    how = (
        pl.when(text == shown)
        .then(pl.lit(f" is about {called}"))
        .when(x > reference)
        .then(pl.lit(f" is above the {called} {shown}"))
        .otherwise(pl.lit(f" is below the {called} {shown}"))
    )
    missing = pl.lit(_word_missing(effect, f"taken as the {called} {shown}"))
    return _select(
        frame, pl.when(x.is_nan()).then(missing).otherwise(_put(f"{name} ", text, counted, how))
    )


def _show_numbers(raw: pl.Series, values: Floats, reading: Number, na: Sequence[str]) -> pl.Series:
    """Numbers as the table has them, long ones to six digits."""
    texts = show_values(raw, na)
    long = (texts.str.len_chars() > LONG_NUMBER).fill_null(False) & pl.Series(np.isfinite(values))
    if not long.any():
        return texts
    numbers = values[long.to_numpy()].tolist()
    short = [f"{x:.0f}" if abs(x) >= 10**DIGITS else f"{x:.{DIGITS}g}" for x in numbers]
    rounded = pl.Series(short, dtype=pl.String)
    if reading.decimal == ",":
        rounded = rounded.str.replace(".", ",", literal=True)
    return texts.scatter(long.arg_true(), rounded)


def _select(frame: pl.DataFrame, said: pl.Expr) -> pl.Series:
    return frame.select(said.alias("said"))["said"]


# --- yes and no, levels -------------------------------------------------------------------------


def _word_flags(effect: Effect, raw: pl.Series, na: Sequence[str]) -> pl.Series:
    name, seen = effect.column.name, effect.column.seen
    values = read_flags(raw, na)
    frame = pl.DataFrame({"text": show_values(raw, na), "x": values})
    x = pl.col("x")
    share = seen.numbers.mean if seen is not None and seen.numbers is not None else 0.0
    there = 1.0 if seen is None else (seen.rows - seen.missing) / max(seen.rows, 1)
    rows = (
        pl.when(x == 1)
        .then(pl.lit(f" ({write_share(share * there, 1)} of the rows)"))
        .otherwise(pl.lit(f" ({write_share((1 - share) * there, 1)} of the rows)"))
    )
    said = (
        pl.when(x.is_nan())
        .then(pl.lit(_word_missing(effect, f"taken as {write_number(share)}")))
        .when(x.is_infinite())
        .then(_put(f"{name} is ", pl.col("text"), ", neither yes nor no: taken as missing"))
        .otherwise(_put(f"{name} is ", pl.col("text"), rows))
    )
    return _select(frame, said)


def _word_levels(effect: Effect, raw: pl.Series, na: Sequence[str]) -> pl.Series:
    name, seen = effect.column.name, effect.column.seen
    term = effect.parts[0].term
    assert isinstance(term, Levels)
    names = read_levels(raw, na)
    counts = {} if seen is None else {each.level: each.rows for each in seen.levels}
    of = 0 if seen is None else seen.rows
    told = {
        level: f" ({write_share(counts[level], of)} of the rows)"
        for level in term.levels
        if level in counts
    }
    told |= dict.fromkeys(term.pooled, " (a rare value: counted as another)")
    known = len(term.pooled) == term.pooled_in_all
    other = (
        " (new to the model: counted as another)" if known else " (rare or new: counted as another)"
    )
    rest = names.replace_strict(
        list(told), list(told.values()), default=other, return_dtype=pl.String
    )
    frame = pl.DataFrame({"text": show_values(raw, na), "rest": rest})
    missing = pl.lit(_word_missing(effect, "counted as another"))
    said = pl.when(pl.col("text").is_null()).then(missing)
    return _select(frame, said.otherwise(_put(f"{name} is ", pl.col("text"), pl.col("rest"))))


# --- dates --------------------------------------------------------------------------------------


def _word_moments(effect: Effect, reading: Moment, raw: pl.Series, na: Sequence[str]) -> pl.Series:
    """The part of the date that pushes most: how late it is, its month, weekday or hour."""
    moments, _ = read_moments(raw, reading, na)
    split = effect.split_moments(moments)
    trend = sum(part.average for part in effect.parts if not isinstance(part.term, Levels))
    pushes = np.stack([adds - (trend if part is None else part.average) for part, adds in split])
    largest = np.abs(pushes).argmax(axis=0)
    texts = [_word_trend(effect, reading, moments)]
    texts += [_word_part(part, moments) for part, _ in split if part is not None]
    chosen = pl.concat(texts).gather(largest * len(raw) + np.arange(len(raw)))
    frame = pl.DataFrame(
        {"text": show_values(raw, na), "chosen": chosen, "gone": np.isnat(moments)}
    )
    missing = pl.lit(_word_missing(effect, "taken as the average day"))
    said = _put(f"{effect.column.name} ", pl.col("text"), pl.col("chosen"))
    return _select(frame, pl.when(pl.col("gone")).then(missing).otherwise(said))


def _word_trend(effect: Effect, reading: Moment, moments: Moments) -> pl.Series:
    if not effect.scales:
        return pl.Series([" is a day like any other"] * len(moments))
    day = np.datetime64(reading.origin, "D") + np.int64(round(effect.scales[0].center))
    later = moments.astype("datetime64[D]") > day
    words = np.array([f" is before the average {day}", f" is after the average {day}"])
    return pl.Series(words[later.astype(np.intp)])


def _word_part(part: Part, moments: Moments) -> pl.Series:
    assert isinstance(part.term, Levels)
    kind = part.term.of
    if kind == "month":
        words = [*(f" falls in {month}" for month in MONTHS), ""]
        places = take_part(moments, "month") - 1
    elif kind == "weekday":
        words = [*(f" falls on a {day}" for day in WEEKDAYS), ""]
        places = take_part(moments, "weekday") - 1
    else:
        words = [*(f" falls between {h:02}:00 and {h + 1:02}:00" for h in range(24)), ""]
        places = take_part(moments, "hour")
    places = np.where(np.isnat(moments), len(words) - 1, places)
    return pl.Series(np.array(words)[places])


# --- texts --------------------------------------------------------------------------------------


def _word_texts(effect: Effect, raw: pl.Series, pushes: Floats, na: Sequence[str]) -> pl.Series:
    """The words that push most in the direction in which the whole text pushes."""
    name, texts = effect.column.name, read_texts(raw, na)
    part = next(part for part in effect.parts if isinstance(part.term, Words))
    assert isinstance(part.term, Words)
    held = find_words(texts, part.term.words)
    missing, said = _word_missing(effect, "taken as holding none of its words"), []
    for row, gone in enumerate(texts.is_null().to_list()):
        own = held.indices[held.indptr[row] : held.indptr[row + 1]]
        said.append(missing if gone else f"{name} {_name_words(part, part.term, own, pushes[row])}")
    return pl.Series(said, dtype=pl.String)


def _name_words(part: Part, term: Words, held: NDArray[np.int32], push: float) -> str:
    there = np.zeros(len(term.words), dtype=bool)
    there[held] = True
    by_word = part.weights * (there - part.averages) * (1 if push >= 0 else -1)
    first = np.argsort(-by_word, kind="stable")[:MOST_WORDS]
    first = first[by_word[first] > 0.5 * by_word[first[0]]] if by_word[first[0]] > 0 else first[:0]
    said = []
    for has, verb in ((True, "holds"), (False, "lacks")):
        if words := [f"'{term.words[k]}'" for k in first if there[k] == has]:
            said.append(f"{verb} {' and '.join(words)}")
    return " and ".join(said) or "holds words like those of any row"
