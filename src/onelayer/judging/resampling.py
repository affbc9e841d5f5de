"""95 % intervals of measures: the same rows drawn again and again, cell by cell.

A bootstrap draws each row Poisson(1) times. Of the rows of one cell and class only the sum of their
weights matters, so that is what is drawn: of n rows of weight 1 it is Poisson(n). Rows are ranked
once; each resample is a few cumulative sums over the cells.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.judging.walk import Cells
from onelayer.measures import MEASURES, Interval, MeasureName
from onelayer.rows.memory import available_cores

Array = NDArray[np.float64]

RESAMPLES = 1000
SEED = 0
_AT_ONCE = 25  # resamples: their cells stay in the processor's cache
_FEWEST = 1e-12  # a count that no resample will ever draw
_MOST = 1e15  # of a Poisson's mean: beyond it nothing is left to chance


def find_intervals(
    cells: Cells, total: float, values: dict[MeasureName, float | None], *, by_row: bool = False
) -> tuple[Interval, ...]:
    """The interval of each measure that is defined: percentiles 2.5 and 97.5 of the resamples.

    Cells of several rows shift a measure a little; resamples are moved back by the difference
    between the cells' own value and the exact one.

    Args:
        cells: All rows.
        total: The sum of their weights.
        values: The exact values.
        by_row: Draw whole rows, whatever they weigh; else a row of weight 2 is two rows, and each
            is drawn for itself.

    Source: Efron, "Bootstrap methods", 1979; Hanley, MacGibbon, "Creating non-parametric bootstrap
    samples using Poisson frequencies", 2006.
    """
    mean = _measure(cells, cells.positives[None], cells.negatives[None])
    drawn = _resample(cells, _rates(cells, total, by_row))
    found = []
    for name, value in values.items():
        if value is None:
            continue
        there = drawn[name][np.isfinite(drawn[name])]
        if 2 * len(there) < RESAMPLES:
            continue
        low, high = np.percentile(there, (2.5, 97.5)) + (value - mean[name][0])
        least, most = (0.0, np.inf) if name == "log_loss" else (-1.0, 1.0)
        least = 0.0 if name not in ("gini", "mcc") else least
        low, high = (float(np.clip(each, least, most)) for each in (low, high))
        found.append(Interval(name, min(low, value), max(high, value)))
    return tuple(found)


def _rates(cells: Cells, total: float, by_row: bool) -> tuple[Array, Array]:
    """The Poisson means (2, n_cells), and what one count is worth, of both classes.

    Rows of unequal weights are stood in for by as many of one weight as spread the sum alike:
    (sum s)^2 / sum s^2 of them.
    """
    sums = np.stack([cells.positives, cells.negatives])
    counts = sums * total
    if by_row:
        squares = np.stack([cells.positive_squares, cells.negative_squares])
        counts = np.divide(sums * sums, squares, where=squares > 0, out=np.zeros_like(sums))
    counts = np.where(counts < _FEWEST, 0, np.minimum(counts, _MOST))
    return counts, np.divide(sums, counts, where=counts > 0, out=np.zeros_like(sums))


def _resample(cells: Cells, rates: tuple[Array, Array]) -> dict[MeasureName, Array]:
    """Every measure of every resample, (RESAMPLES,) each; the bits do not depend on the threads."""
    counts, worth = rates
    seeds = np.random.SeedSequence(SEED).spawn(RESAMPLES // _AT_ONCE)

    def draw(seed: Any) -> dict[MeasureName, Array]:
        random = np.random.default_rng(seed)
        positives, negatives = (
            random.poisson(counts[k], (_AT_ONCE, counts.shape[1])) * worth[k] for k in (0, 1)
        )
        return _measure(cells, positives, negatives)

    with ThreadPoolExecutor(available_cores()) as pool:
        parts = list(pool.map(draw, seeds))
    return {name: np.concatenate([part[name] for part in parts]) for name in MEASURES}


def _measure(cells: Cells, positives: Array, negatives: Array) -> dict[MeasureName, Array]:
    """All measures of resamples that hold so much of each cell, (n, n_cells) each."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return dict(_list_measures(cells, positives, negatives))


def _list_measures(
    cells: Cells, positives: Array, negatives: Array
) -> Iterator[tuple[MeasureName, Array]]:
    called, mistaken = np.cumsum(positives, axis=1), np.cumsum(negatives, axis=1)
    P, N = called[:, -1], mistaken[:, -1]
    for name, hits, misses in (
        ("log_loss", cells.positive_losses, cells.negative_losses),
        ("brier", cells.positive_briers, cells.negative_briers),
    ):
        lost = positives @ _mean(hits, cells.positives) + negatives @ _mean(misses, cells.negatives)
        yield name, lost / (P + N)  # type: ignore[misc]
    area = np.sum(negatives * (called - positives / 2), axis=1) / (P * N)
    yield "roc_auc", area
    yield "gini", 2 * area - 1
    precision = np.nan_to_num(called / (called + mistaken))
    yield "average_precision", np.where(N > 0, np.sum(positives * precision, axis=1) / P, np.nan)
    yield "ks", np.abs(called / P[:, None] - mistaken / N[:, None]).max(axis=1)
    last = int(np.count_nonzero(cells.is_called)) - 1
    tp, fp = (each[:, last] if last >= 0 else np.zeros(len(P)) for each in (called, mistaken))
    yield from _list_decisions(tp, fp, P - tp, N - fp)


def _list_decisions(
    tp: Array, fp: Array, fn: Array, tn: Array
) -> Iterator[tuple[MeasureName, Array]]:
    P, N = tp + fn, fp + tn
    yield "accuracy", (tp + tn) / (P + N)
    yield "balanced_accuracy", (tp / P + tn / N) / 2
    yield "precision", tp / (tp + fp)
    yield "recall", tp / P
    yield "f1", 2 * tp / (2 * tp + fp + fn)
    yield "mcc", (tp * tn - fp * fn) / np.sqrt((tp + fp) * P * (tn + fn) * N)


def _mean(sums: Array, shares: Array) -> Array:
    return np.divide(sums, shares, where=shares > 0, out=np.zeros_like(sums))
