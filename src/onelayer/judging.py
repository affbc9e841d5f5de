"""Losses, areas and calibration from ranked rows: one walk from the highest logit to the lowest.

Rows of one logit are taken together, as one *step*: no threshold lies between them. Steps of one
probability share a bin of the calibration. What is carried from block to block is a handful of
sums, so the rows may be as many as they like.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from onelayer.network import log_loss, sigmoid
from onelayer.ranking import Ranked

Array = NDArray[np.float64]
Groups = tuple[Array, Array]  # keys (n,) and sums (k, n)

N_BINS = 10


class Judgement(NamedTuple):
    """What the walk finds; `bins` (4, `N_BINS`) are sums over the lowest probabilities first.

    Their rows: how many rows, their weights, weights times probability, weights of the positives.
    """

    log_loss: float
    brier: float
    roc_auc: float
    average_precision: float
    bins: Array


def judge(blocks: Iterator[Ranked], positives: float, negatives: float) -> Judgement:
    """Walk once over ranked rows, of which the weights of each class are known.

    Args:
        blocks: From the highest logit to the lowest.
        positives: The sum of the weights of the rows labelled 1, and
        negatives: of those labelled 0. Where one of them is 0 the areas mean nothing.

    >>> rows = Ranked(np.array([-2.0, -1.0, 1.0]), np.array([1.0, -1.0, -1.0]))
    >>> found = judge(iter([rows]), 1.0, 2.0)
    >>> found.roc_auc, found.bins[0].tolist()
    (1.0, [0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0])
    """
    sums = np.zeros(4)
    steps = _add_losses(_add_ties(_split(blocks)), positives, negatives, sums)
    bins = _fill_bins(_add_ties(steps), positives + negatives)
    loss, brier, roc_auc, average_precision = sums.tolist()
    return Judgement(loss, brier, roc_auc, average_precision, bins)


def _split(blocks: Iterator[Ranked]) -> Iterator[Groups]:
    """Keys, and of each row: 1, its weight if it is positive, its weight if it is negative."""
    for keys, weights in blocks:
        ones = np.ones(len(keys))
        yield keys, np.stack([ones, np.maximum(weights, 0), np.maximum(-weights, 0)])


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


def _add_losses(
    steps: Iterator[Groups], positives: float, negatives: float, sums: Array
) -> Iterator[Groups]:
    """Add losses and areas to `sums`, and pass on what the bins add up, by probability."""
    true = false = 0.0
    total = positives + negatives
    for keys, (rows, hits, misses) in steps:
        logits = -keys
        above, below = np.asarray(sigmoid(logits)), np.asarray(sigmoid(keys))
        share, other = hits / total, misses / total
        sums[0] += np.sum(share * log_loss(logits, 1) + other * log_loss(logits, 0))
        sums[1] += np.sum(share * below**2 + other * above**2)
        called, mistaken = np.cumsum(np.append(true, hits)), np.cumsum(np.append(false, misses))
        if positives and negatives:
            # Trapezoids under the ROC curve; steps under the curve of precision over recall.
            sums[2] += np.sum(misses / negatives * (called[1:] + called[:-1])) / positives / 2
            sums[3] += np.sum(hits / positives * (called[1:] / (called[1:] + mistaken[1:])))
        true, false = called[-1], mistaken[-1]
        weights = hits + misses
        yield above, np.stack([rows, weights, weights * above, hits])


def _fill_bins(groups: Iterator[Groups], total: float) -> Array:
    """Bins of equal weight; rows of one probability share the bin of their middle one."""
    bins = np.zeros((4, N_BINS))
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
