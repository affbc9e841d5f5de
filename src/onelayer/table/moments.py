"""Columns to moments in UTC, and moments to their calendar parts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from onelayer.table.levels import written
from onelayer.table.numerals import few_words
from onelayer.table.terms import Moment, Part
from onelayer.table.values import map_texts, missing_words

Order = Literal["dmy", "mdy"]
Moments = NDArray[np.datetime64]

UTC = pl.Datetime("us")
SAMPLE = 20
_NAT = np.iinfo(np.int64).min
_REJECTED = _NAT + 1
_HOUR = 3_600_000_000

_DATES = (
    (re.compile(r"\d{4}([-/.])\d{1,2}\1\d{1,2}"), "%Y{s}%m{s}%d", "%Y{s}%m{s}%d"),
    (re.compile(r"\d{1,2}([-/.])\d{1,2}\1\d{4}"), "%d{s}%m{s}%Y", "%m{s}%d{s}%Y"),
    (re.compile(r"\d{1,2}([-/.])\d{1,2}\1\d{2}"), "%d{s}%m{s}%y", "%m{s}%d{s}%y"),
    (re.compile(r"\d{1,2}([-/. ])[A-Za-z]{3,9}\1\d{4}"), "%d{s}%B{s}%Y", "%d{s}%B{s}%Y"),
    (re.compile(r"[A-Za-z]{3,9}( )\d{1,2}, \d{4}"), "%B %d, %Y", "%B %d, %Y"),
    (re.compile(r"()\d{8}"), "%Y%m%d", "%Y%m%d"),
)
_TIME = re.compile(
    r"(?P<gap>T|t| |, )(?P<hour>\d{1,2}):\d{2}(?P<second>:\d{2}(?P<part>[.]\d+)?)?"
    r"(?P<noon> ?[AaPp][Mm])?(?P<zone> ?Z| ?UTC| ?[+-]\d{2}:?\d{2})?"
)
_CLOCK = re.compile(r"\d{1,2}:\d{2}(?P<second>:\d{2}(?P<part>[.]\d+)?)?(?P<noon> ?[AaPp][Mm])?")

_SHAPES = {
    **dict.fromkeys(("%d", "%m", "%H", "%I"), "[0-9]{1,2}"),
    **dict.fromkeys(("%y", "%M", "%S"), "[0-9]{2}"),
    "%Y": "[0-9]{4}",
    "%B": "[A-Za-z]{3,9}",
    "%p": "[AaPp][Mm]",
    "%z": "[+-][0-9]{2}:?[0-9]{2}",
}


def guess_format(text: str, order: Order) -> str | None:
    """Return the format that one text is written in, or None where it is no date or time.

    >>> guess_format("31/01/2024 09:30", "dmy")
    '%d/%m/%Y %H:%M'
    >>> guess_format("2024-01-31T09:30:00Z", "dmy")
    '%Y-%m-%dT%H:%M:%SZ'
    """
    if clock := _CLOCK.fullmatch(text):
        return _format_time(clock, "")
    for shape, day_first, month_first in _DATES:
        if found := shape.match(text):
            form = (day_first if order == "dmy" else month_first).replace("{s}", found[1])
            rest = text[found.end() :]
            if not rest:
                return form
            if time := _TIME.fullmatch(rest):
                return form + _format_time(time, time["gap"]) + _format_zone(time["zone"] or "")
    return None


def _format_time(found: re.Match[str], gap: str) -> str:
    second = "%S" if found["second"] else ""
    part = "%.f" if found["part"] else ""
    noon = found["noon"] or ""
    hour = "%I" if noon else "%H"
    return f"{gap}{hour}:%M{':' if second else ''}{second}{part}{noon[:-2]}{'%p' if noon else ''}"


def _format_zone(zone: str) -> str:
    return (
        zone if zone.strip() in ("", "Z", "UTC") else zone[: len(zone) - len(zone.strip())] + "%z"
    )


def read_moments(
    raw: pl.Series, reading: Moment, na: Sequence[str]
) -> tuple[Moments, NDArray[np.bool_]]:
    """Return a column's moments (NaT where missing), and which rows hold what is none.

    Most columns are written in one way, so all is read in the way of the first value; what is
    left is looked at once for each different text, and may be written in any known way. An
    offset or a time zone is applied: everything is UTC.
    """
    if raw.dtype.is_temporal() or raw.dtype == pl.Null:
        moments: Moments = _from_typed(raw).to_numpy()
        return moments, np.zeros(len(raw), dtype=bool)
    texts = raw.alias("value").to_frame().select(written("value", raw.dtype))["value"]
    moments = _read_like_the_first(texts, reading.order).to_numpy().copy()
    rejected = np.zeros(len(raw), dtype=bool)
    if (rows := np.flatnonzero(np.isnat(moments) & texts.is_not_null().to_numpy())).size:
        words = [*missing_words(na), *reading.words]

        def find(different: pl.Series) -> NDArray[np.int64]:
            return _read_different(different.str.strip_chars(), reading.order, words)

        read = map_texts(texts.gather(rows), find, null=_NAT).astype(np.int64)
        rejected[rows] = read == _REJECTED
        moments[rows] = np.where(read == _REJECTED, _NAT, read).astype("datetime64[us]")
    return moments, rejected


def _read_like_the_first(texts: pl.Series, order: Order) -> pl.Series:
    place = texts.is_not_null().arg_max()
    first = texts[place] if place is not None and len(texts) else None
    form = guess_format(first, order) if first else None
    if form is None:
        return pl.Series("value", [None], dtype=UTC).new_from_index(0, len(texts))
    # polars would also read 31/01/24 as of the year 24: what a text means must not hang on others.
    alike = texts.str.contains(f"^{_shape_of(form)}$")
    return _parse(texts.set(~alike, None), form)


def _shape_of(form: str) -> str:
    """The texts for which `guess_format` gives this format.

    >>> _shape_of("%d.%m.%Y")
    '[0-9]{1,2}[.][0-9]{1,2}[.][0-9]{4}'
    """
    whole = form.startswith("%Y%m")
    shape = form.replace(".", "[.]").replace("%[.]f", "[.][0-9]+")
    for token, pattern in _SHAPES.items():
        if whole and token in ("%d", "%m"):
            pattern = "[0-9]{2}"
        shape = shape.replace(token, pattern)
    return shape


def _read_different(texts: pl.Series, order: Order, words: list[str]) -> NDArray[np.int64]:
    found = np.full(len(texts), _REJECTED, dtype=np.int64)
    found[texts.is_in(words).to_numpy()] = _NAT
    written_so: dict[str, list[int]] = {}
    for place, text in enumerate(texts):
        if form := guess_format(text, order):
            written_so.setdefault(form, []).append(place)
    for form, places in written_so.items():
        moments = _parse(texts.gather(places), form)
        found[places] = moments.to_physical().fill_null(_REJECTED).to_numpy()
    return found


def _parse(texts: pl.Series, form: str) -> pl.Series:
    if form.startswith(("%H", "%I")):
        return _from_typed(texts.str.to_time(form, strict=False))
    if "%H" not in form and "%I" not in form:
        return texts.str.to_date(form, strict=False).cast(UTC)
    return _from_typed(texts.str.to_datetime(form, strict=False, time_unit="us"))


def _from_typed(raw: pl.Series) -> pl.Series:
    if raw.dtype == pl.Time:
        return (raw.cast(pl.Int64) // 1_000).cast(UTC)
    if isinstance(raw.dtype, pl.Datetime) and raw.dtype.time_zone is not None:
        raw = raw.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return raw.cast(UTC)


def find_moment(
    different: pl.Series, rows: NDArray[np.int64], na: Sequence[str], any_share: bool = False
) -> tuple[Moment, str] | None:
    """Return how texts are read as dates, and why so; None where they are none.

    `different` are the texts of a column and `rows` how many rows hold each. Day or month first
    is settled by the whole column: the order that leaves fewer words.
    """
    stripped = different.str.strip_chars()
    there = ~stripped.is_in(missing_words(na))
    if not any(guess_format(text, "dmy") for text in stripped.filter(there).head(SAMPLE)):
        return None
    orders, matters = _possible_orders(stripped)
    tried = [(order, *read_moments(different, Moment(order), na)) for order in orders]
    lost = [int(rows[rejected].sum()) for _, _, rejected in tried]
    order, moments, rejected = tried[lost.index(min(lost))]
    words = stripped.filter(pl.Series(rejected)).unique().sort()
    read = int(rows[~np.isnat(moments)].sum())
    if not read or not few_words(0 if any_share else min(lost), read + min(lost), len(words)):
        return None
    said = _say_order(order, draw=lost[0] == lost[-1]) if matters else "dates"
    return Moment(order, words=tuple(words)), said


def _possible_orders(different: pl.Series) -> tuple[list[Order], bool]:
    """Return the orders to try, the one that wins a draw first, and whether order matters.

    With points between them days come first; else months, as most programs read them.
    """
    if not different.str.contains(r"^\d{1,2}[-/.]\d{1,2}[-/.]\d").any():
        return ["dmy"], False
    dotted = different.str.contains(r"^\d{1,2}\.\d").any()
    return (["dmy", "mdy"] if dotted else ["mdy", "dmy"]), True


def _say_order(order: Order, draw: bool) -> str:
    said = "dates, day first" if order == "dmy" else "dates, month first"
    return f"{said} (either order fits)" if draw else said


def count_days(moments: Moments, origin: str) -> NDArray[np.float64]:
    """Return the whole days since `origin` (YYYY-MM-DD), nan where missing.

    >>> count_days(np.array(["2024-01-31T23:00", "NaT"], dtype="datetime64[us]"), "2024-01-01")
    array([30., nan])
    """
    days = (moments.astype("datetime64[D]") - np.datetime64(origin, "D")).astype(np.float64)
    return np.where(np.isnat(moments), np.nan, days)


def take_part(moments: Moments, part: Part) -> NDArray[np.int64]:
    """Return the month 1-12, ISO weekday 1-7 or hour 0-23 of each moment, -1 where missing.

    >>> take_part(np.array(["2024-01-31T23:00", "NaT"], dtype="datetime64[us]"), "weekday")
    array([ 3, -1])
    """
    if not moments.size:
        return np.empty(0, dtype=np.int64)
    missing = np.isnat(moments)
    ticks = np.where(missing, 0, moments.astype(np.int64))
    if part == "hour":
        return np.where(missing, -1, ticks // _HOUR % 24)
    days = ticks // (24 * _HOUR)
    first = int(days.min())
    calendar = np.arange(first, int(days.max()) + 1)  # few days for many moments: look them up
    if part == "month":
        parts = calendar.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12 + 1
    else:  # 1970-01-01 was a Thursday
        parts = (calendar + 3) % 7 + 1
    return np.where(missing, -1, parts[days - first])
