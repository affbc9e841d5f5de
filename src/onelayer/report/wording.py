"""What the page says of a column's values, as `table/wording.py` says it."""

from typing import Any

import numpy as np

from onelayer.table.effects import Effect
from onelayer.table.terms import Flag, Levels, Number, Seen
from onelayer.table.wording import find_reference, write_number, write_share


def describe_words(effect: Effect) -> dict[str, Any]:
    """The parts of a column's sentences that are the same for all rows.

    `missing` is how many rows lacked a value; `reference` and what it is called, and `limits`
    beyond which the model counts no further, are those of numbers; `shares` says of each level, or
    of no and yes, how many rows held it.
    """
    column, seen = effect.column, effect.column.seen
    said: dict[str, Any] = {"missing": _say_missing(seen)}
    if isinstance(column.reading, Number) and effect.scales:
        reference, called = find_reference(effect)
        said["reference"] = [reference, f"{called} {write_number(reference, column.reading)}"]
        said["limits"] = [
            [limit, write_number(limit, column.reading)] if np.isfinite(limit) else None
            for limit in effect.limits
        ]
    elif isinstance(column.reading, Flag) and seen is not None and seen.numbers is not None:
        there = (seen.rows - seen.missing) / max(seen.rows, 1)
        ones = seen.numbers.mean * there
        said["shares"] = [write_share(there - ones, 1), write_share(ones, 1)]
    elif seen is not None:
        rows = {each.level: each.rows for each in seen.levels}
        levels = next((p.term.levels for p in effect.parts if isinstance(p.term, Levels)), ())
        said["shares"] = [
            write_share(rows[level], seen.rows) if level in rows else None for level in levels
        ]
    return said


def _say_missing(seen: Seen | None) -> str | None:
    return write_share(seen.missing, seen.rows) if seen is not None and seen.missing else None
