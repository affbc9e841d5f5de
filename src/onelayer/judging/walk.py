"""Losses, areas and calibration from ranked rows: one walk from the highest logit to the lowest.

Rows of one logit are taken together, as one *step*: no threshold lies between them. Steps of one
probability share a bin of the calibration. What is carried from block to block is a handful of
sums, so the rows may be as many as they like. Curves and intervals are made from *cells*, at most
`N_CELLS` groups of neighbouring steps: of up to so many rows every step is a cell of its own.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from onelayer.judging.ranking import Ranked
from onelayer.network import log_loss, sigmoid

Array = NDArray[np.float64]
Groups = tuple[Array, Array]  # keys (n,) and sums (k, n)

N_BINS = 10
N_CELLS = 1024


class Cells(NamedTuple):
    """Neighbouring rows as one, from the highest logit to the lowest; each field is (n_cells,).

    `positives` and `negatives` are shares of the whole weight; `positive_squares` and the other
    are sums of squared shares, a row each. Losses are sums over the rows of a class, weighted by
    those shares. `tops` is the highest logit of each cell; `is_called` says whether its rows lie
    above the threshold.
    """

    positives: Array
    negatives: Array
    positive_squares: Array
    negative_squares: Array
    positive_losses: Array
    negative_losses: Array
    positive_briers: Array
    negative_briers: Array
    tops: Array
    is_called: NDArray[np.bool_]


class Judgement(NamedTuple):
    """What the walk finds; `bins` (5, `N_BINS`) are sums over the lowest probabilities first.

    Their rows: how many rows, their weights, weights times probability, weights of the positives,
    squares of the rows' shares of the whole weight.
    """

    log_loss: float
    brier: float
    roc_auc: float
    average_precision: float
    ks: float
    bins: Array
    cells: Cells


def judge(
    blocks: Iterator[Ranked],
    positives: float,
    negatives: float,
    n_rows: int = N_CELLS,
    threshold: float = 0.5,
) -> Judgement:
    """Walk once over ranked rows, of which the weights of each class are known.

    Args:
        blocks: From the highest logit to the lowest.
        positives: The sum of the weights of the rows labelled 1, and
        negatives: of those labelled 0. Where one of them is 0 the areas mean nothing.
        n_rows: How many rows there are, for the cells to be of about as many each.
        threshold: No cell lies on both sides of it.

    >>> rows = Ranked(np.array([-2.0, -1.0, 1.0]), np.array([1.0, -1.0, -1.0]))
    >>> found = judge(iter([rows]), 1.0, 2.0)
    >>> found.roc_auc, found.ks, found.bins[0].tolist()
    (1.0, 1.0, [0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0])
    """
    walk = _Walk(positives, negatives, max(1, n_rows), threshold)
    steps = walk.follow(_add_ties(_split(blocks, positives + negatives)))
    bins = _fill_bins(_add_ties(steps), positives + negatives)
    loss, brier, roc_auc, average_precision = walk.sums.tolist()
    return Judgement(loss, brier, roc_auc, average_precision, walk.ks, bins, walk.close_cells())


def _split(blocks: Iterator[Ranked], total: float) -> Iterator[Groups]:
    """Keys, and of each row: 1, its weight by its class, and the square of its share by its class.

    The classes are the positive and the negative one.
    """
    for keys, weights in blocks:
        ones, shares = np.ones(len(keys)), weights / total
        hits, misses = weights > 0, weights < 0
        squares = shares * shares
        yield (
            keys,
            np.stack([ones, weights * hits, -weights * misses, squares * hits, squares * misses]),
        )


def _add_ties(blocks: Iterator[Groups]) -> Iterator[Groups]:
    """Add up neighbours of one key, also where they lie in two blocks."""
    held: Groups | None = None
    for keys, sums in blocks:
        if held is not None:
            keys = np.concatenate([held[0], keys])
            sums = np.concatenate([held[1], sums], axis=1)
        firsts = np.append(0, np.flatnonzero(keys[1:] != keys[:-1]) + 1)
        if len(firsts) < len(keys):
            keys, sums = keys[firsts], np.add.reduceat(sums, firsts, axis=1)
        yield keys[:-1], sums[:, :-1]
        held = keys[-1:], sums[:, -1:]
    if held is not None:
        yield held


class _Walk:
    """What is added up on the way: losses, areas, the largest gap of the classes, and cells."""

    def __init__(self, positives: float, negatives: float, n_rows: int, threshold: float) -> None:
        self.positives, self.negatives = positives, negatives
        self.n_rows, self.threshold = n_rows, threshold
        self.sums, self.ks = np.zeros(4), 0.0
        self._true = self._false = self._rows = 0.0
        # Twice as many places: a cell's rows above the threshold, and those that are not.
        self._cells = np.zeros((8, 2 * N_CELLS))
        self._tops = np.full(2 * N_CELLS, np.nan)

    def follow(self, steps: Iterator[Groups]) -> Iterator[Groups]:
        """Add up steps, and pass on what the bins add up, by probability."""
        total = self.positives + self.negatives
        for keys, (rows, hits, misses, *squares) in steps:
            logits = -keys
            above, below = np.asarray(sigmoid(logits)), np.asarray(sigmoid(keys))
            share, other = hits / total, misses / total
            losses = np.asarray(log_loss(logits, 1)), np.asarray(log_loss(logits, 0))
            by_cell = np.stack(
                [
                    *(share, other, *squares),
                    *(share * losses[0], other * losses[1]),
                    *(share * below**2, other * above**2),
                ]
            )
            self.sums[0] += np.sum(by_cell[4] + by_cell[5])
            self.sums[1] += np.sum(by_cell[6] + by_cell[7])
            self._add_areas(hits, misses)
            self._add_cells(logits, above > self.threshold, rows, by_cell)
            weights = hits + misses
            yield above, np.stack([rows, weights, weights * above, hits, squares[0] + squares[1]])

    def _add_areas(self, hits: Array, misses: Array) -> None:
        called = np.cumsum(np.append(self._true, hits))
        mistaken = np.cumsum(np.append(self._false, misses))
        if self.positives and self.negatives:
            # Trapezoids under the ROC curve; steps under the curve of precision over recall.
            mean = called[1:] + called[:-1]
            self.sums[2] += np.sum(misses / self.negatives * mean) / self.positives / 2
            precision = called[1:] / (called[1:] + mistaken[1:])
            self.sums[3] += np.sum(hits / self.positives * precision)
            gaps = np.abs(called / self.positives - mistaken / self.negatives)
            self.ks = max(self.ks, float(gaps.max()))
        self._true, self._false = called[-1], mistaken[-1]

    def _add_cells(
        self, logits: Array, is_called: NDArray[np.bool_], rows: Array, by_cell: Array
    ) -> None:
        before = np.cumsum(np.append(self._rows, rows))
        places = np.minimum(N_CELLS * before[:-1] / self.n_rows, N_CELLS - 1).astype(np.intp)
        places = 2 * places + ~is_called
        if len(places):
            firsts = np.append(0, np.flatnonzero(np.diff(places)) + 1)
            there = places[firsts]
            self._cells[:, there] += np.add.reduceat(by_cell, firsts, axis=1)
            self._tops[there] = np.fmax(self._tops[there], logits[firsts])
        self._rows = before[-1]

    def close_cells(self) -> Cells:
        there = ~np.isnan(self._tops)
        is_called = np.flatnonzero(there) % 2 == 0
        a, b, c, d, e, f, g, h = self._cells[:, there]
        return Cells(a, b, c, d, e, f, g, h, self._tops[there], is_called)


def _fill_bins(groups: Iterator[Groups], total: float) -> Array:
    """Bins of equal weight; rows of one probability share the bin of their middle one."""
    bins = np.zeros((5, N_BINS))
    before, last = 0.0, N_BINS - 1
    for _, sums in groups:
        ends = np.cumsum(np.append(before, sums[1]))
        middles = total - (ends[1:] - sums[1] / 2)
        # In exact arithmetic neither is needed: rounding alone could pass an end or step back.
        places = np.clip((N_BINS * middles / total).astype(np.intp), 0, last)
        places = np.minimum.accumulate(places)
        if len(places):
            firsts = np.append(0, np.flatnonzero(np.diff(places)) + 1)
            bins[:, places[firsts]] += np.add.reduceat(sums, firsts, axis=1)
            before, last = ends[-1], int(places[-1])
    return bins
