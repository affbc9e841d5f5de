"""The weights with their intervals, in spreads and in the units of the table."""

import math
from dataclasses import dataclass

import numpy as np

from onelayer.markup.axes import Axis, linear_axis
from onelayer.markup.charts import Sheet, make_sheet
from onelayer.markup.words import count, fixed, short
from onelayer.model import Model
from onelayer.table.features import find_spreads

MOST_DRAWN = 20
MOST_LISTED = 300
ROW = 26  # the height of one


@dataclass(frozen=True)
class Weight:
    """One feature's weight, in log-odds.

    Attributes
    ----------
    name: of the feature.
    spread: what a step of its own spread (standard deviation) adds; low, high: the 95 % interval
        of that; None where there is none.
    unit: what one unit of the table's column adds; None for a logarithm. odds: e to it.
    remark: why there is no interval, where that is known.
    """

    name: str
    spread: float
    low: float | None
    high: float | None
    unit: float | None
    remark: str = ""

    @property
    def kind(self) -> str:
        """The side that it pushes to."""
        return "positive" if self.spread >= 0 else "negative"

    @property
    def odds(self) -> float | None:
        """By what one unit multiplies the odds."""
        return None if self.unit is None else float(np.exp(np.clip(self.unit, -700, 700)))


def list_weights(model: Model) -> list[Weight]:
    """All weights, those that move the log-odds most first."""
    steps = model.schema.feature_steps
    spreads, summary = find_spreads(model.schema.columns, model.averages), model.summary
    found = []
    for k, (name, value) in enumerate(zip(model.schema.feature_names, model.W[0].tolist())):
        spread, interval, remark = float(spreads[k]), None, ""
        if summary is not None:
            each = summary.coefficients[k]
            spread, interval, remark = each.deviation or 0.0, each.interval, each.remark
        low, high = (None, None) if interval is None else (end * spread for end in interval)
        step = steps[k]
        found.append(
            Weight(name, value * spread, low, high, None if step is None else value / step, remark)
        )
    return sorted(found, key=lambda each: -abs(each.spread))


@dataclass(frozen=True)
class Forest:
    """The strongest weights with their intervals: what `forest` in the templates draws."""

    weights: tuple[Weight, ...]
    total: int
    x: Axis
    sheet: Sheet
    description: str

    @property
    def height(self) -> int:
        """Of the picture."""
        return ROW * len(self.weights) + 44

    def across(self, value: float) -> float:
        """The place of a number of log-odds on the picture."""
        return round(172 + self.x.place(value) * 206, 1)

    def down(self, place: int) -> float:
        """The height of the weight in this place, from 0."""
        return 16 + ROW * place


def draw_forest(weights: list[Weight]) -> Forest:
    """Lay out the strongest weights."""
    drawn = tuple(weights[:MOST_DRAWN])
    reach = [end for each in drawn for end in (each.low, each.high, each.spread)]
    finite = [end for end in reach if end is not None and math.isfinite(end)]
    axis = linear_axis("log-odds per spread", [0.0, *finite], most=5, tight=False)
    strongest = drawn[0]
    return Forest(
        drawn,
        len(weights),
        axis,
        _tabulate(weights[:MOST_LISTED]),
        f"The {count(len(drawn), 'weight')} that move the log-odds most, with 95 % intervals. The "
        f"strongest is {strongest.name}: {fixed(strongest.spread)} per spread.",
    )


def _tabulate(weights: list[Weight]) -> Sheet:
    heads = ["input", "per spread", "from", "to", "per own unit", "odds times"]
    return make_sheet(
        heads,
        [
            [
                each.name,
                fixed(each.spread, 4),
                each.remark or fixed(each.low, 4),
                fixed(each.high, 4),
                short(each.unit),
                short(each.odds, 4),
            ]
            for each in weights
        ],
    )
