"""How far each column moves the log-odds of the rows of the sample."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onelayer.encoding import Surprises, encode_rows
from onelayer.markup.charts import Sheet, make_sheet
from onelayer.markup.words import count, fixed
from onelayer.model import Model
from onelayer.report.survey import Sample

MOST_DRAWN = 15
MOST_LISTED = 200
ROOM = 210.0  # for the longest bar
ROW = 22


@dataclass(frozen=True)
class Move:
    """One column: the mean of its pushes towards the positive value, and of those away from it.

    Both are sizes, means over all rows. `towards` and `against` are the widths of their bars.
    """

    name: str
    mean_towards: float
    mean_against: float
    towards: float
    against: float

    @property
    def mean(self) -> float:
        """The mean size of its pushes."""
        return self.mean_towards + self.mean_against


@dataclass(frozen=True)
class Moves:
    """The columns that move most: what `bars` in the templates draws."""

    columns: tuple[Move, ...]
    rows: int
    positive: str
    sheet: Sheet
    description: str

    @property
    def height(self) -> int:
        """Of the picture."""
        return ROW * len(self.columns) + 4


def measure_pushes(model: Model, sample: Sample) -> dict[str, NDArray[np.float64]]:
    """Each column's pushes on the rows of the sample, (n,), as `Model.explain` gives them."""
    pushes = model.explainer.push(encode_rows(model.schema, sample.table, Surprises()))
    return dict(zip(model.explainer.names, pushes.T))


def draw_moves(pushes: dict[str, NDArray[np.float64]], positive: str) -> Moves:
    """Lay out the columns whose pushes are the largest in the mean."""
    found = [
        (name, float(np.maximum(own, 0).mean()), float(np.maximum(-own, 0).mean()))
        for name, own in pushes.items()
    ]
    found.sort(key=lambda each: -(each[1] + each[2]))
    unit = ROOM / (found[0][1] + found[0][2] or 1.0)
    columns = tuple(
        Move(name, up, down, round(up * unit, 1), round(down * unit, 1))
        for name, up, down in found[:MOST_DRAWN]
    )
    rows = len(next(iter(pushes.values())))
    sheet = make_sheet(
        ["column", "mean push", "towards", "away"],
        [
            [name, fixed(up + down), fixed(up), fixed(down)]
            for name, up, down in found[:MOST_LISTED]
        ],
    )
    said = (
        f"{count(len(columns), 'column')} by the mean size of their pushes on the log-odds; the "
        f"strongest is {columns[0].name}, {fixed(columns[0].mean, 2)}."
    )
    return Moves(columns, rows, positive, sheet, said)
