"""Of which shapes the records of a text are: numbers of fields, and quotes left open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from onelayer.table.malformed import LeftOut
from onelayer.table.records import Records

Shape = tuple[int, bool]


@dataclass(frozen=True)
class Shapes:
    """Of each shape, (number of fields, whether a quote is left open): records, and first line.

    >>> shapes = Shapes.of_rows(3, 5, line=2) + Shapes.of_rows(2, 1, line=9)
    >>> shapes.find_common(), shapes.find_malformed(3)
    ((3, 5), (LeftOut(line=9, reason='2 fields, expected 3'), 1))
    """

    found: Mapping[Shape, tuple[int, int]] = field(default_factory=dict)

    @staticmethod
    def of_rows(n_fields: int, rows: int, line: int) -> Shapes:
        """Rows that are all alike, from a line on."""
        return Shapes({(n_fields, False): (rows, line)} if rows else {})

    @staticmethod
    def of_records(records: Records, chosen: NDArray[np.bool_]) -> Shapes:
        """The shapes of the chosen records."""
        signed = np.where(records.broken, -records.counts, records.counts)[chosen]
        values, firsts, rows = np.unique(signed, return_index=True, return_counts=True)
        lines = records.lines[chosen][firsts]
        each = zip(values.tolist(), rows.tolist(), lines.tolist(), strict=True)
        return Shapes({(abs(value), value < 0): (n, line) for value, n, line in each})

    def __add__(self, other: Shapes) -> Shapes:
        both = dict(self.found)
        for shape, (rows, line) in other.found.items():
            n, first = both.get(shape, (0, line))
            both[shape] = (n + rows, min(first, line))
        return Shapes(both)

    @property
    def total(self) -> int:
        """How many records there are."""
        return sum(rows for rows, _ in self.found.values())

    def find_common(self) -> tuple[int, int]:
        """The commonest number of fields, the least of several, and its records; (0, 0) of none."""
        rows: dict[int, int] = {}
        for (n_fields, _), (n, _) in self.found.items():
            rows[n_fields] = rows.get(n_fields, 0) + n
        return max(rows.items(), key=lambda pair: (pair[1], -pair[0]), default=(0, 0))

    def find_malformed(self, width: int) -> tuple[LeftOut | None, int]:
        """The first record that is no row of `width` fields, and how many there are."""
        wrong = {shape: at for shape, at in self.found.items() if shape[0] != width or shape[1]}
        if not wrong:
            return None, 0
        shape = min(wrong, key=lambda shape: wrong[shape][1])
        return LeftOut(wrong[shape][1], say_shape(*shape, width)), sum(n for n, _ in wrong.values())


def say_shape(n_fields: int, broken: bool, width: int) -> str:
    """What is wrong with a record of this shape."""
    if broken:
        return "a quote is opened and not closed"
    return f"{n_fields} field{'s' * (n_fields > 1)}, expected {width}"
