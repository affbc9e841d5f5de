"""How the rows that a schema encodes lie in a cache."""

from onelayer.rows.cache import Layout
from onelayer.table.schema import Schema
from onelayer.table.terms import Column, Flag, Levels, Missing, Scale, Words


def lay_out(schema: Schema) -> Layout:
    """Return the layout of rows that `schema.encode` gives, with a label and maybe a weight."""
    columns = [column for column in schema.columns if column.terms]
    levels = [term for column in columns for term in column.terms if isinstance(term, Levels)]
    words = [term for column in columns for term in column.terms if isinstance(term, Words)]
    return Layout(
        bits=tuple(bit for column in columns for bit in _find_bits(column)),
        level_counts=tuple(term.count for term in levels),
        n_words=sum(len(term.words) for term in words),
        weighted=schema.weight is not None,
    )


def _find_bits(column: Column) -> list[bool]:
    """For each number of the column, whether it can only be 0 or 1."""
    terms = [term for term in column.terms if isinstance(term, Scale | Missing)]
    # A flag that may be missing is the mean there, which is neither.
    whole = isinstance(column.reading, Flag) and not any(isinstance(t, Missing) for t in terms)
    return [isinstance(term, Missing) or whole for term in terms]
