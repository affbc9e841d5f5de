"""What one column adds to the log-odds: its terms beside the weights of their features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from onelayer.table.encode import compute_numbers
from onelayer.table.features import name_features
from onelayer.table.moments import Moments, count_days, take_part
from onelayer.table.numerals import Floats
from onelayer.table.terms import Column, Levels, Missing, Moment, Raw, Scale, Term, Words


@dataclass(frozen=True)
class Part:
    """A term of a column, the weights of its features and their means over the training rows."""

    term: Term
    weights: Floats
    averages: Floats

    @property
    def average(self) -> float:
        """What the term adds to the log-odds of the average row."""
        return float(self.weights @ self.averages)


@dataclass(frozen=True)
class Effect:
    """A column that is learnt from, with the parts of what it adds to the log-odds."""

    column: Column
    parts: tuple[Part, ...]

    @property
    def scales(self) -> tuple[Scale, ...]:
        """The numbers that the column's values become."""
        return tuple(part.term for part in self.parts if isinstance(part.term, Scale))

    @property
    def limits(self) -> tuple[float, float]:
        """The values beyond which the column adds no more and no less; infinite where it does."""
        transforms = [term.transform for term in self.scales]
        bounds = [(each.low, each.high) for each in transforms if not isinstance(each, Raw)]
        if not transforms or len(bounds) < len(transforms):
            return -np.inf, np.inf
        return min(low for low, _ in bounds), max(high for _, high in bounds)

    def add_numbers(self, values: Floats) -> Floats:
        """What numbers (or days) add by their scaled and missing terms, (n,); nan is missing.

        Sums as `contribute` does, part after part, so that the bits are the same.
        """
        total = np.zeros(len(values))
        for part in self.parts:
            if isinstance(part.term, Scale | Missing):
                total += part.weights[0] * compute_numbers(part.term, values)
        return total

    def split_moments(self, moments: Moments) -> list[tuple[Part | None, Floats]]:
        """What moments add by the trend (None), and by month, weekday and hour, each (n,)."""
        reading = self.column.reading
        assert isinstance(reading, Moment)
        found: list[tuple[Part | None, Floats]] = [
            (None, self.add_numbers(count_days(moments, reading.origin)))
        ]
        for part in self.parts:
            if isinstance(part.term, Levels):
                places = np.full(25, len(part.term.levels))  # missing, -1, is the last
                places[[int(level) for level in part.term.levels]] = np.arange(
                    len(part.term.levels)
                )
                found.append((part, part.weights[places[take_part(moments, part.term.of)]]))
        return found


def find_effects(
    columns: Sequence[Column], weights: ArrayLike, averages: ArrayLike
) -> tuple[Effect, ...]:
    """The effects of the columns learnt from, in the order in which their features first stand.

    Arguments
    ---------
    weights, averages : (n_features,)
        In the order of `name_features`.
    """
    w, mean = np.asarray(weights, dtype=np.float64), np.asarray(averages, dtype=np.float64)
    owners = np.array([column for _, column in name_features(columns)])
    by_name = {column.name: column for column in columns}
    found = []
    for name in dict.fromkeys(owners.tolist()):
        own, column = np.flatnonzero(owners == name), by_name[name]
        parts = tuple(
            Part(term, w[own[a:b]], mean[own[a:b]]) for term, a, b in _place_terms(column)
        )
        found.append(Effect(column, parts))
    return tuple(found)


def _place_terms(column: Column) -> Iterator[tuple[Term, int, int]]:
    """Each term with the place of its features among the column's own: numbers stand first."""
    first = 0
    for term in sorted(column.terms, key=lambda term: isinstance(term, Levels | Words)):
        last = first + _count_features(term)
        yield term, first, last
        first = last


def _count_features(term: Term) -> int:
    if isinstance(term, Levels):
        return term.count
    return len(term.words) if isinstance(term, Words) else 1
