"""Rows from the highest logit to the lowest, also where they do not fit in memory.

Rows come in batches. Sorted runs of them are put aside in a temporary file; at the end the runs are
merged, a window of each at a time, by NumPy and never row by row. Rows are sorted by logit, label
and weight together, so that rows that could change places are the same in everything: what comes
out is one sequence, in the same blocks, however many batches and runs it came in.
"""

from collections.abc import Iterator
from types import TracebackType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from onelayer.spill import Spill

Array = NDArray[np.float64]

RUN_ROWS = 1 << 18  # 4 MiB; to sort one takes about four times that
BLOCK_ROWS = 1 << 16
_FEWEST_ROWS = 256  # of a window: fewer would make a merge of very many runs all calls


class Ranked(NamedTuple):
    """Rows: `keys` are the logits times -1, ascending; `weights` are below 0 for a label of 0."""

    keys: Array
    weights: Array

    def rows(self, start: int, stop: int | None = None) -> "Ranked":
        """Rows `start` to `stop - 1`, or to the end."""
        return Ranked(self.keys[start:stop], self.weights[start:stop])


class Ranking:
    """Takes rows in batches and gives them back ranked.

    Args:
        run_rows: How many rows are held and sorted at a time; None for all of them, in memory.
        folder: Where a temporary file may lie; None for the system's own place (TMPDIR).

    >>> with Ranking() as ranking:
    ...     ranking.add(np.array([1.0, 3.0]), np.array([1.0, 0.0]), np.ones(2))
    ...     ranking.add(np.array([2.0]), np.array([1.0]), np.array([5.0]))
    ...     [(-block.keys).tolist() for block in ranking.blocks()]
    [[3.0, 2.0, 1.0]]
    """

    def __init__(self, run_rows: int | None = None, folder: str | None = None) -> None:
        self._run_rows = run_rows
        self._held: list[Ranked] = []
        self._held_rows = 0
        self._spill = Spill(2, folder)
        self._ends: list[int] = []  # of the runs in the file

    def __enter__(self) -> "Ranking":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._spill.__exit__(kind, error, trace)

    def add(self, logits: Array, labels: Array, weights: Array) -> None:
        """Take rows: (n,) finite logits, labels 0 or 1, and weights above 0.

        Raises:
            InputError: The disk of the temporary file is full, or cannot be written.
        """
        # Minus zero and zero are the same logit; 0 - z makes them the same bits.
        self._held.append(Ranked(0.0 - logits, np.where(labels > 0, weights, -weights)))
        self._held_rows += len(logits)
        if self._run_rows is not None and self._held_rows >= self._run_rows:
            self._put_aside()

    def blocks(self) -> Iterator[Ranked]:
        """All rows ranked, in blocks of `BLOCK_ROWS`, the last one shorter."""
        if not self._ends:
            return _cut(iter([self._sort_held()]))
        if self._held_rows:
            self._put_aside()
        return _cut(merge_runs(self._spill, self._ends, self._run_rows or RUN_ROWS))

    def _put_aside(self) -> None:
        self._spill.append(np.column_stack(self._sort_held()))
        self._ends.append(self._spill.n_rows)

    def _sort_held(self) -> Ranked:
        joined = _join([Ranked(np.empty(0), np.empty(0)), *self._held])
        self._held, self._held_rows = [], 0
        return sort_rows(joined)


def sort_rows(rows: Ranked) -> Ranked:
    """Rows by key; those of one key by their signed weight."""
    order = np.argsort(rows.keys)
    keys, weights = rows.keys[order], rows.weights[order]
    same = keys[1:] == keys[:-1]
    if same.any():  # a second key for all rows would cost more than the first
        tied = np.flatnonzero(np.append(False, same) | np.append(same, False))
        weights[tied] = weights[tied][np.lexsort((weights[tied], keys[tied]))]
    return Ranked(keys, weights)


def merge_runs(spill: Spill, ends: list[int], rows: int) -> Iterator[Ranked]:
    """Merge sorted runs that lie one behind the other; `rows` are held at a time, or some more.

    Of the rows in the windows, those may go that no row still to be read comes before: up to the
    earliest among the last rows of the windows that end within their run. Rows equal to that one
    are all alike, so it does not matter which of them go first.
    """
    step = max(_FEWEST_ROWS, rows // len(ends))
    places, stops = np.array([0, *ends[:-1]]), np.array(ends)
    windows = [Ranked(np.empty(0), np.empty(0))] * len(ends)
    firsts, lasts = np.full(len(ends), -np.inf), np.full((len(ends), 2), np.inf)
    touched = np.arange(len(ends))
    while len(touched):
        for i in touched:
            end = min(places[i] + step, stops[i])
            windows[i] = Ranked(*spill.read(places[i], end).T.copy())
            firsts[i] = windows[i].keys[0] if end > places[i] else np.inf
            lasts[i] = (windows[i].keys[-1], windows[i].weights[-1]) if end < stops[i] else np.inf
        cut = lasts[np.lexsort((lasts[:, 1], lasts[:, 0]))[0]]
        touched = np.flatnonzero((firsts <= cut[0]) & (places < stops))
        taken = [windows[i].rows(0, _count_until(windows[i], *cut)) for i in touched]
        places[touched] += np.array([len(each.keys) for each in taken], dtype=np.intp)
        if taken:
            yield sort_rows(_join(taken))


def _count_until(window: Ranked, key: float, weight: float) -> int:
    """How many rows of a window do not come after the row (key, weight)."""
    start, end = (int(np.searchsorted(window.keys, key, side)) for side in ("left", "right"))
    return start + int(np.searchsorted(window.weights[start:end], weight, "right"))


def _join(parts: list[Ranked]) -> Ranked:
    return Ranked(*(np.concatenate(columns) for columns in zip(*parts)))


def _cut(pieces: Iterator[Ranked]) -> Iterator[Ranked]:
    """The same rows in blocks of one size, so that sums over blocks do not depend on the pieces."""
    held = Ranked(np.empty(0), np.empty(0))
    for piece in pieces:
        held = _join([held, piece]) if len(held.keys) else piece
        whole = len(held.keys) - len(held.keys) % BLOCK_ROWS
        for start in range(0, whole, BLOCK_ROWS):
            yield held.rows(start, start + BLOCK_ROWS)
        held = held.rows(whole)
    if len(held.keys):
        yield held
