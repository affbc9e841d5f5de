"""Names of the parameters: numbers first, then the levels of each code, then words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.table.numerals import Floats
from onelayer.table.terms import Column, Flag, Levels, Missing, Raw, Scale, SignedLog, Term, Words

_KINDS: tuple[tuple[type, ...], ...] = ((Scale, Missing), (Levels,), (Words,))
_SAID = {"clip": "clipped", "signed log": "log"}


def name_features(columns: Sequence[Column]) -> tuple[tuple[str, str], ...]:
    """Return (feature, column) for every parameter, in the order of the parameters."""
    return tuple(
        (feature, column.name)
        for wanted in _KINDS
        for column in columns
        for term in column.terms
        if isinstance(term, wanted)
        for feature in _name_term(column.name, term)
    )


def find_units(columns: Sequence[Column]) -> tuple[tuple[float, float], ...]:
    """Return (scale, origin) for every parameter: the column's own number is scale * x + origin."""
    return tuple(
        (term.scale, term.center) if isinstance(term, Scale) else (1.0, 0.0)
        for wanted in _KINDS
        for column in columns
        for term in column.terms
        if isinstance(term, wanted)
        for _ in _name_term(column.name, term)
    )


def find_steps(columns: Sequence[Column]) -> tuple[float | None, ...]:
    """For each parameter, how many units of its column one unit of the feature is.

    1 for the flags of levels and words; None for a logarithm, which has no one unit.
    """
    numbers = [
        term for column in columns for term in column.terms if isinstance(term, Scale | Missing)
    ]
    units = [
        (None if isinstance(term.transform, SignedLog) else term.scale)
        if isinstance(term, Scale)
        else 1.0
        for term in numbers
    ]
    return (*units, *[1.0] * (len(name_features(columns)) - len(units)))


def find_spreads(columns: Sequence[Column], averages: NDArray[Any]) -> Floats:
    """The standard deviation of each feature over the training rows, from its mean.

    Numbers are scaled to 1; flags, levels and words are 0 or 1, so that the mean says all.
    """
    flags = np.sqrt(np.clip(averages * (1 - averages), 0, None))
    is_scaled = [
        isinstance(term, Scale) and not isinstance(column.reading, Flag)
        for wanted in _KINDS
        for column in columns
        for term in column.terms
        if isinstance(term, wanted)
        for _ in _name_term(column.name, term)
    ]
    return np.where(is_scaled, 1.0, flags)


def _name_term(column: str, term: Term) -> Iterator[str]:
    if isinstance(term, Scale):
        named = column if term.of == "value" else f"{column}: days"
        yield (
            named if isinstance(term.transform, Raw) else f"{named} ({_SAID[term.transform.kind]})"
        )
    elif isinstance(term, Missing):
        yield f"{column} is missing"
    elif isinstance(term, Levels):
        named = column if term.of == "value" else f"{column}: {term.of}"
        yield from (f"{named} = {level}" for level in term.levels)
        yield f"{named} is another"
        if term.missing:
            yield f"{named} is missing"
    else:
        yield from (f"{column} holds {word!r}" for word in term.words)
