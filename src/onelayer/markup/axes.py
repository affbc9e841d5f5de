"""Axes: numbers to places on a picture, and the round numbers to write beside them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from onelayer.markup.words import fixed, short

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Tick:
    """A number on an axis, and how it is written."""

    value: float
    label: str


@dataclass(frozen=True)
class Axis:
    """From `low` to `high`, evenly or, with `log`, by powers of ten."""

    title: str
    low: float
    high: float
    ticks: tuple[Tick, ...]
    log: bool = False

    def place(self, value: float) -> float:
        """How far along the axis a value lies: 0 at `low`, 1 at `high`; held within both.

        >>> linear_axis("age", [0, 100]).place(25)
        0.25
        """
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log10(low), math.log10(high), math.log10(max(value, low))
        return min(max((value - low) / (high - low), 0.0), 1.0)


def share_axis(title: str) -> Axis:
    """From 0 to 1, written as percentages."""
    ticks = [0, 0.25, 0.5, 0.75, 1]
    return Axis(title, 0.0, 1.0, tuple(Tick(each, f"{100 * each:g}") for each in ticks))


def linear_axis(title: str, values: Iterable[float], most: int = 6, tight: bool = True) -> Axis:
    """Round numbers over the finite ones of the values; not `tight`: to the next round number.

    >>> [tick.label for tick in linear_axis("logit", [-3.2, 4.9]).ticks]
    ['−2', '0', '2', '4']
    """
    finite = [each for each in values if math.isfinite(each)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    if not high - low > 1e-9 * max(abs(low), abs(high)):
        low, high = low - 0.5 * (abs(low) or 1), high + 0.5 * (abs(high) or 1)
    step = _round_step((high - low) / most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    if not tight:
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        low, high = first * step, last * step
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    written = short if step < 1e-6 or max(abs(low), abs(high)) >= 1e7 else fixed
    ticks = (
        Tick(k * step, written(k * step, places) if written is fixed else short(k * step))
        for k in range(first, last + 1)
    )
    return Axis(title, low, high, tuple(ticks))


def _round_step(least: float) -> float:
    power: float = 10.0 ** math.floor(math.log10(least))
    return next(power * unit for unit in (1, 2, 5, 10) if power * unit >= least * (1 - 1e-9))


def log_axis(title: str, values: Sequence[float]) -> Axis:
    """Whole powers of ten around the values above 0, six of them written at most.

    >>> [tick.label for tick in log_axis("distance", [0.02, 30]).ticks]
    ['10⁻²', '10⁻¹', '10⁰', '10¹', '10²']
    """
    powers = [math.log10(each) for each in values if 0 < each < math.inf] or [0.0]
    first, last = math.floor(min(powers) + 1e-9), math.ceil(max(powers) - 1e-9)
    last += first == last
    every = math.ceil((last - first) / 6)
    ticks = tuple(
        Tick(10.0**k, f"10{str(k).translate(_RAISED)}") for k in range(first, last + 1, every)
    )
    return Axis(title, 10.0**first, 10.0**last, ticks, log=True)
