"""Whole numbers that are names: shop 17 is not half of shop 34."""

from __future__ import annotations

import numpy as np

from onelayer.table import rules
from onelayer.table.numerals import Floats
from onelayer.table.transform import gain, sample_rows


def find_codes(values: Floats, labels: Floats, weights: Floats) -> str | None:
    """Return why whole numbers are better taken as names, or None.

    Each value's rate of positives, learnt on one half of the rows (drawn towards the base rate),
    is tried on the other half. The column holds codes when these rates foretell the target
    `CODES_GAIN` times as well as the number itself does, and by `CODES_NATS` nats at least.

    Arguments
    ---------
    values, labels, weights
        (n,), of the training rows; missing values are nan and do not count.
    """
    there = ~np.isnan(values)
    x = values[there]
    if not x.size or np.any(x != np.round(x)):
        return None
    x, y, w = sample_rows(x, labels[there], weights[there])
    different, places = np.unique(x, return_inverse=True)
    if not rules.CODES_DIFFERENT[0] <= different.size <= rules.CODES_DIFFERENT[1]:
        return None
    by_level = _foretell(places, different.size, y, w)
    if by_level < rules.CODES_NATS:
        return None
    unit = float(np.median(np.abs(x[x != 0])))
    by_number = gain([x, np.sign(x) * np.log1p(np.abs(x) / unit)], y, w)
    if by_level < max(rules.CODES_GAIN * by_number, by_number + rules.CODES_NATS):
        return None
    return f"number codes: {by_level:,.0f} nats, as numbers {by_number:,.0f}"


def _foretell(
    places: np.ndarray[tuple[int], np.dtype[np.intp]], different: int, y: Floats, w: Floats
) -> float:
    """Return the nats that the values' rates gain over the base rate, on the half not learnt."""
    half = np.random.default_rng(0).random(y.size) < 0.5
    total = 0.0
    for learnt in (half, ~half):
        tried = ~learnt
        if not (w[learnt].sum() > 0 and 0 < np.average(y[learnt], weights=w[learnt]) < 1):
            return 0.0
        base = float(np.average(y[learnt], weights=w[learnt]))
        rows = np.bincount(places[learnt], w[learnt], different)
        ones = np.bincount(places[learnt], (w * y)[learnt], different)
        rate = (ones + rules.CODES_PRIOR * base) / (rows + rules.CODES_PRIOR)
        told, known = rate[places[tried]], y[tried] == 1
        gained = np.where(known, np.log(told / base), np.log((1 - told) / (1 - base)))
        total += float(gained @ w[tried])
    return total
