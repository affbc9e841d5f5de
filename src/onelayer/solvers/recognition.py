"""Telling a call of the same rows, in any order, from a call of new ones.

Rows that come in calls, pass after pass, are not more rows than there are: the penalty is to count
once for all of them, however often they are shown. What is kept of a call are its number of rows,
its weight, and the sums of s cos(z) and s sin(z), z a random projection of a row and its labels.
Calls of the same rows agree in these to rounding; others differ like random walks do.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block
from onelayer.coordinates import Coordinates
from onelayer.rows.memory import MemoryRows

Array = NDArray[Any]
Digest = tuple[int, float, float, float]

FEWEST = 32  # rows: in a table of few values, shorter calls are alike without being the same rows
REMEMBERED = 1000  # calls; those before the last so many are forgotten
ALIKE = 1e-7  # of the weight: far above rounding, far below chance


@dataclass(frozen=True)
class Recognition:
    """The projection, (n_columns,) with its offset, and the digests of the last calls."""

    probe: Array
    offset: float
    known: tuple[Digest, ...] = ()

    @classmethod
    def init(cls, where: Coordinates) -> "Recognition":
        """A projection in which columns of any scale weigh alike."""
        directions = np.random.default_rng(0).standard_normal(len(where.spread))
        probe = directions / where.spread
        return cls(probe, -float(probe @ where.centre))

    def look(self, rows: MemoryRows) -> tuple["Recognition", bool]:
        """The recognition with this call in mind, and whether its rows are new."""
        if rows.n_rows < FEWEST:
            return self, True
        digest = self._digest(rows)
        near = ALIKE * digest[1]
        for other in self.known:
            apart = max(abs(a - b) for a, b in zip(digest[1:], other[1:], strict=True))
            if other[0] == digest[0] and apart <= near:
                return self, False
        return replace(self, known=(*self.known, digest)[-REMEMBERED:]), True

    def _digest(self, rows: MemoryRows) -> Digest:
        def turn(block: Block) -> Array:
            return np.asarray(sum(self._turn_tile(tile) for tile in block.tiles()))

        weight, cosines, sines = rows.reduce(turn)
        return rows.n_rows, float(weight), float(cosines), float(sines)

    def _turn_tile(self, tile: Block) -> Array:
        z = tile.features.linear(self.probe[None])[0] + self.offset
        z += np.sqrt(np.arange(2, 2 + len(tile.labels))) @ tile.labels
        s = tile.weights
        return np.array([s.sum(), np.dot(s, np.cos(z)), np.dot(s, np.sin(z))])
