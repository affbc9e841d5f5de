"""What a schema is made of: how a raw value is read, and the typed terms it becomes.

Plain data, no code: training, scoring, and every export interpret these same few classes. `kind`
names the class in the model file.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np

from onelayer.stored import ADDED, find_outside
from onelayer.table import rules

# --- how a raw value is read --------------------------------------------------------------------


@dataclass(frozen=True)
class Number:
    """Text to a number: `1,234.5` with decimal `.`, `1.234,5` with decimal `,`.

    `sign` ("%", "$", ...) is taken off; `words` count as missing, any other word is an error.
    """

    decimal: Literal[".", ","] = "."
    sign: str = ""
    words: tuple[str, ...] = ()
    kind: Literal["number"] = "number"


@dataclass(frozen=True)
class Flag:
    """Text, number or boolean to 1 (true, yes, y, t, on) or 0 (false, no, n, f, off)."""

    kind: Literal["flag"] = "flag"


@dataclass(frozen=True)
class Level:
    """Any value to its name: blanks stripped, `1`, `1.0` and `01` the same name."""

    kind: Literal["level"] = "level"


@dataclass(frozen=True)
class Moment:
    """Text, date or time to a moment in UTC.

    `order` is that of day and month where the year stands last; four digits in front are always
    the year. `origin` is the first training day, YYYY-MM-DD. `words` count as missing.
    """

    order: Literal["dmy", "mdy"] = "dmy"
    origin: str = "1970-01-01"
    words: tuple[str, ...] = ()
    kind: Literal["moment"] = "moment"

    def problem(self) -> str | None:
        return None if _is_day(self.origin) else f"origin is {self.origin!r:.40}, no day YYYY-MM-DD"


def _is_day(text: str) -> bool:
    try:
        np.datetime64(text, "D")
    except ValueError:
        return False
    return re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text) is not None


@dataclass(frozen=True)
class Text:
    """Free text: runs of two or more letters, digits or underscores, in lower case."""

    kind: Literal["text"] = "text"


Reading = Number | Flag | Level | Moment | Text

# --- what is done to a number -------------------------------------------------------------------


@dataclass(frozen=True)
class Raw:
    """t(x) = x."""

    kind: Literal["raw"] = "raw"


@dataclass(frozen=True)
class Clip:
    """t(x) = min(max(x, low), high)."""

    low: float
    high: float
    kind: Literal["clip"] = "clip"

    def problem(self) -> str | None:
        return None if self.low < self.high else "low must be below high"


@dataclass(frozen=True)
class SignedLog:
    """t(x) = sign(c) log(1 + |c| / unit), c = min(max(x, low), high)."""

    unit: float
    low: float
    high: float
    kind: Literal["signed log"] = "signed log"

    def problem(self) -> str | None:
        if not self.unit > 0:
            return "unit must be above 0"
        return None if self.low < self.high else "low must be below high"


Transform = Raw | Clip | SignedLog

# --- the terms ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scale:
    """One number: (t(x) - center) / scale; `fill` stands in for a missing value.

    x is the value itself, or with `of="days"` the whole days since the column's origin.
    """

    transform: Transform
    center: float
    scale: float
    fill: float = 0.0
    of: Literal["value", "days"] = "value"
    kind: Literal["scale"] = "scale"

    def problem(self) -> str | None:
        return None if self.scale > 0 else "scale must be above 0"


@dataclass(frozen=True)
class Missing:
    """One number: 1 where the value is missing, else 0."""

    kind: Literal["missing"] = "missing"


Part = Literal["value", "month", "weekday", "hour"]
CALENDAR: dict[Part, range] = {"month": range(1, 13), "weekday": range(1, 8), "hour": range(24)}


@dataclass(frozen=True)
class Levels:
    """One code a row: the place of the value in `levels`; then "other"; then "missing".

    The code of "other" is len(levels); it takes the pooled levels (`pooled` names them), levels
    never seen, and missing values where `missing` is false. Otherwise missing has the code after
    it. With `of` the value is a part of a date: month 1-12, ISO weekday 1-7, hour 0-23 in UTC.
    """

    levels: tuple[str, ...]
    missing: bool
    pooled: tuple[str, ...] = ()
    pooled_in_all: int = 0
    of: Part = "value"
    kind: Literal["levels"] = "levels"

    @property
    def count(self) -> int:
        """Return the number of codes, and so of parameters."""
        return len(self.levels) + 1 + self.missing

    def problem(self) -> str | None:
        if len({*self.levels, *self.pooled}) < len(self.levels) + len(self.pooled):
            return "a level stands twice"
        if self.of != "value" and not {*self.levels} <= {str(part) for part in CALENDAR[self.of]}:
            return f"levels must be numbers that a {self.of} can have"
        return None if self.pooled_in_all >= len(self.pooled) else "pooled_in_all is too small"


@dataclass(frozen=True)
class Words:
    """As many numbers as there are words: 1 where the text holds the word, else 0."""

    words: tuple[str, ...]
    kind: Literal["words"] = "words"

    def problem(self) -> str | None:
        return None if len(set(self.words)) == len(self.words) else "a word stands twice"


Term = Scale | Missing | Levels | Words

# --- what the training rows held ----------------------------------------------------------------


@dataclass(frozen=True)
class Range:
    """The numbers that the training rows held: extremes, mean, spread, and quantiles.

    `quantiles` are those at `rules.SEEN_QUANTILES`. `spread` is the standard deviation of the
    values held within `rules.CLIP_QUANTILES`, so that a few huge ones do not make it; `decimals`
    with how many all numbers are written, None for more than `rules.SEEN_DECIMALS`; `values` the
    different numbers where they are few. Models of an onelayer that had none of these lack them.
    """

    minimum: float
    maximum: float
    mean: float
    deviation: float
    quantiles: tuple[float, ...]
    spread: float | None = field(default=None, metadata=ADDED)
    decimals: int | None = field(default=None, metadata=ADDED)
    values: tuple[float, ...] = field(default=(), metadata=ADDED)

    def problem(self) -> str | None:
        wanted = len(rules.SEEN_QUANTILES)
        if len(self.quantiles) != wanted:
            return f"quantiles must be {wanted} numbers"
        if any(low >= high for low, high in pairwise(self.values)):
            return "values must rise"
        return find_outside(self, ["deviation", "spread", "decimals"], 0, math.inf)


@dataclass(frozen=True)
class LevelCount:
    """A level and the number of training rows that held it."""

    level: str
    rows: int

    def problem(self) -> str | None:
        return find_outside(self, ["rows"], 0, math.inf)


@dataclass(frozen=True)
class Seen:
    """What the training rows held in one column; later reports and drift compare with it."""

    rows: int
    missing: int
    distinct: int
    numbers: Range | None = None
    levels: tuple[LevelCount, ...] = ()
    first: str | None = None
    last: str | None = None

    def problem(self) -> str | None:
        return find_outside(self, ["rows", "missing", "distinct"], 0, math.inf)


# --- a column -----------------------------------------------------------------------------------

Role = Literal[
    "numeric",
    "boolean",
    "categorical",
    "date",
    "text",
    "constant",
    "identifier",
    "leak",
    "unsupported",
    "dropped",
    "protected",
    "target",
    "weight",
]
USED_ROLES = ("numeric", "boolean", "categorical", "date", "text")
"""The roles that become terms; columns of any other role are not learnt from."""


@dataclass(frozen=True)
class Column:
    """One column of the table: its role and why, how it is read, and what it becomes."""

    name: str
    role: Role
    reason: str
    reading: Reading | None = None
    terms: tuple[Term, ...] = ()
    seen: Seen | None = None

    def problem(self) -> str | None:
        if self.terms and (self.reading is None or self.role not in USED_ROLES):
            return f"a column of role {self.role!r} has no terms"
        if isinstance(self.reading, Level) and len(self.terms) > 1:
            return "levels are one term"
        for term in self.terms:
            if not isinstance(self.reading, _readings_of(term)):
                return f"a term {term.kind!r} does not go with how the column is read"
        return None


def _readings_of(term: Term) -> tuple[type, ...]:
    if isinstance(term, Words):
        return (Text,)
    if isinstance(term, Scale):
        return (Number, Flag) if term.of == "value" else (Moment,)
    if isinstance(term, Levels):
        return (Level,) if term.of == "value" else (Moment,)
    return (Number, Flag, Moment, Text)
