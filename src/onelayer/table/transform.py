"""Transforms that tame heavy tails: applying one, and choosing one by what it explains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from onelayer.network import margin_terms
from onelayer.table import rules
from onelayer.table.numerals import Floats
from onelayer.table.terms import Clip, Range, Raw, SignedLog, Transform


def apply_transform(transform: Transform, values: Floats) -> Floats:
    """Return t(x) for each value; nan stays nan.

    >>> apply_transform(SignedLog(unit=1.0, low=0.0, high=100.0), np.array([-1.0, np.expm1(2.0)]))
    array([0., 2.])
    """
    if isinstance(transform, Raw):
        return values
    clipped = np.clip(values, transform.low, transform.high)
    if isinstance(transform, SignedLog):
        return np.sign(clipped) * np.log1p(np.abs(clipped) / transform.unit)
    return clipped


def measure(values: Floats, weights: Floats) -> tuple[float, float]:
    """Return the weighted mean and standard deviation; the latter 1 where nothing varies.

    Values are first divided by the largest, so that no square overflows.
    """
    unit = float(np.max(np.abs(values))) or 1.0
    x = values / unit
    mean = float(np.average(x, weights=weights))
    deviation = float(np.sqrt(np.average((x - mean) ** 2, weights=weights)))
    return mean * unit, deviation * unit or 1.0


def clip_bounds(numbers: Range) -> tuple[float, float]:
    """Return the quantiles that clipping holds a column within."""
    low, high = (rules.SEEN_QUANTILES.index(share) for share in rules.CLIP_QUANTILES)
    return numbers.quantiles[low], numbers.quantiles[high]


def tail_reach(numbers: Range) -> float:
    """Return how far the extremes lie beyond the clip quantiles, in spans between these."""
    low, high = clip_bounds(numbers)
    reach = max(numbers.maximum - high, low - numbers.minimum)
    if reach == 0:
        return 0.0
    return reach / (high - low) if high > low else np.inf


def choose_transforms(
    x: Floats, y: Floats, weights: Floats, numbers: Range
) -> tuple[tuple[Transform, ...], str]:
    """Return the one transform, or the two, whose values tell most about the target, and why.

    Each candidate is judged by the nats that a logistic regression on it alone gains over one on
    nothing. The raw value stays unless another gains clearly more, or a tail is heavy. The signed
    log joins a linear term where both together gain more than a parameter may cost (BIC).
    """
    heavy = tail_reach(numbers) > rules.HEAVY_TAIL
    x, y, weights = sample_rows(x, y, weights)
    log, clip = _candidates(x, numbers)
    raw = gain([x], y, weights)
    gains = {t: gain([apply_transform(t, x)], y, weights) for t in (log, clip) if t is not None}
    best = max(gains, key=lambda t: gains[t])
    clear = gains[best] - raw >= max(rules.TRANSFORM_NATS, rules.TRANSFORM_SHARE * raw)
    chosen, reached = (best, gains[best]) if heavy or clear else (Raw(), raw)
    why = f"{_say(chosen)}: {reached:,.0f} nats, raw {raw:,.0f}" if chosen is best else ""
    why = f"heavy tail, {why}" if heavy else why
    linear = clip if heavy or chosen is clip else Raw()
    if linear is None:
        return (chosen,), why
    both = gain([apply_transform(t, x) for t in (linear, log)], y, weights)
    if both - reached <= np.log(x.size) / 2:
        return (chosen,), why
    why = f"both: {both:,.0f} nats, raw {raw:,.0f}"
    return (linear, log), f"heavy tail, {why}" if heavy else why


def _say(transform: Transform) -> str:
    return "clipped" if isinstance(transform, Clip) else transform.kind


def _candidates(x: Floats, numbers: Range) -> tuple[SignedLog, Clip | None]:
    """Return the signed log and the clip of a column; no clip where it would leave one value."""
    low, high = clip_bounds(numbers)
    sizes = np.abs(x[x != 0])
    largest = max(abs(numbers.minimum), abs(numbers.maximum))
    # No smaller, or the largest over the unit would overflow.
    unit = max(float(np.median(sizes)) if sizes.size else largest, largest * 1e-300)
    if low < high:
        return SignedLog(unit, low, high), Clip(low, high)
    return SignedLog(unit, numbers.minimum, numbers.maximum), None


def sample_rows(x: Floats, y: Floats, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """Draw rows at random: every k-th row of ordered data would tell something else."""
    if x.size > rules.TRANSFORM_ROWS:
        rows = np.random.default_rng(0).choice(x.size, rules.TRANSFORM_ROWS, replace=False)
        x, y, weights = x[rows], y[rows], weights[rows]
    return x, y, weights / weights.mean()


def gain(columns: Sequence[Floats], y: Floats, weights: Floats) -> float:
    """Return the nats by which a logistic regression on the columns beats one on nothing.

    Newton's method with a unit penalty on each slope, as the model has it; steps are halved
    until the loss falls. It is there to rank, so a hundredth of a nat is exact enough.
    """
    scaled = [(x - mean) / scale for x in columns for mean, scale in [measure(x, weights)]]
    rows = np.stack([np.ones(y.size), *scaled])
    sign = 2 * y - 1
    penalty = np.diag([0.0] + [1.0] * len(columns))

    def look(theta: Floats) -> tuple[float, Floats, Floats]:
        loss, miss, curvature = margin_terms(sign * (theta @ rows))
        cost = float(loss @ weights + theta @ penalty @ theta / 2)
        slope = penalty @ theta - rows @ (sign * miss * weights)
        return cost, slope, (rows * (curvature * weights)) @ rows.T + penalty

    ones = float(np.average(y, weights=weights))
    if not 0 < ones < 1:
        return 0.0
    theta = np.zeros(len(rows))
    theta[0] = np.log(ones / (1 - ones))
    now = look(theta)
    start = now[0]
    for _ in range(rules.TRANSFORM_STEPS):
        step = np.linalg.solve(now[2], now[1])
        if now[1] @ step < 1e-2:
            break
        size, tried = 1.0, look(theta - step)
        while tried[0] > now[0] and size > 1e-3:
            size /= 2
            tried = look(theta - size * step)
        theta, now = theta - size * step, tried
    return start - now[0]
