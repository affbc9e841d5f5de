"""What was done with each column, in texts short enough for 80 columns."""

from __future__ import annotations

from dataclasses import dataclass

from onelayer.table.terms import Clip, Column, Levels, Missing, Raw, Scale, SignedLog, Words


@dataclass(frozen=True)
class Description:
    """A column, its role, what was done with it (empty where it is left out), and why."""

    column: str
    role: str
    done: str
    reason: str


def describe_column(column: Column) -> Description:
    """Return the column's line for a table of all columns."""
    parts = [_say(term) for term in column.terms]
    calendar = [term.of for term in column.terms if isinstance(term, Levels) and term.of != "value"]
    parts = [part for part in parts if part]
    if calendar:
        parts.append(", ".join(calendar))
    if any(isinstance(term, Missing) for term in column.terms):
        parts.append("missing flagged")
    done = ", ".join(parts) if column.terms else "left out"
    return Description(column.name, column.role, done, column.reason)


def _say(term: object) -> str:
    if isinstance(term, Scale):
        if term.of == "days":
            return "trend in days"
        return {Raw: "as is", Clip: "clipped", SignedLog: "signed log"}[type(term.transform)]
    if isinstance(term, Words):
        return f"{len(term.words):,} words"
    if isinstance(term, Levels) and term.of == "value":
        pooled = " + others" if term.pooled_in_all else ""
        return f"{len(term.levels):,} levels{pooled}{' + missing' if term.missing else ''}"
    return ""
