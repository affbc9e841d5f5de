"""The columns of the table: what each was taken as, what was done with it, what training held."""

from dataclasses import dataclass

from onelayer.markup.words import percent, short, shown
from onelayer.model import Model
from onelayer.table.describe import describe_column
from onelayer.table.rules import SEEN_QUANTILES
from onelayer.table.terms import USED_ROLES, Column, Flag, Seen

NAMED_LEVELS = 3


@dataclass(frozen=True)
class Line:
    """One column in the page's table; `held` is what the training rows held."""

    column: str
    role: str
    done: str
    reason: str
    held: str
    missing: str


def list_columns(model: Model) -> tuple[list[Line], list[Line]]:
    """The columns learnt from, and those left out, both in the order of the table."""
    lines = [_describe(column) for column in model.schema.columns if column.role != "target"]
    used = [line for line in lines if line.role in USED_ROLES]
    return used, [line for line in lines if line.role not in USED_ROLES]


def _describe(column: Column) -> Line:
    said, seen = describe_column(column), column.seen
    held = "" if seen is None else _say_held(column, seen)
    missing = "" if seen is None or not seen.missing else percent(seen.missing / seen.rows)
    return Line(column.name, said.role, said.done, said.reason, held, missing)


def _say_held(column: Column, seen: Seen) -> str:
    if isinstance(column.reading, Flag) and seen.numbers is not None:
        return f"{percent(seen.numbers.mean)} yes"
    if seen.numbers is not None:
        at = dict(zip(SEEN_QUANTILES, map(short, seen.numbers.quantiles)))
        return f"median {at[0.5]}, nine in ten within {at[0.05]} to {at[0.95]}"
    if seen.first is not None and seen.last is not None:
        return f"{seen.first[:10]} to {seen.last[:10]}"
    if seen.levels:
        named = [
            f"{shown(each.level, 20)} {percent(each.rows / seen.rows, 0)}"
            for each in seen.levels[:NAMED_LEVELS]
        ]
        more = seen.distinct - len(named)
        return ", ".join(named) + (f", {more:,} more" if more > 0 else "")
    return f"{seen.distinct:,} different"
