"""The loss of rows left out in folds: where one factor for each C would be too much."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block
from onelayer.fitting import fit
from onelayer.loss import Loss
from onelayer.rows.memory import MemoryRows
from onelayer.strength.path import Start, lay_out
from onelayer.strength.scale import find_range

Array = NDArray[Any]

COUNT = 2  # fits of half of the rows each: together they cost what one fit of all rows does
TOL = 0.03  # standard errors: far below what separates two values of C


class Folds:
    """The losses of rows under fits without their half of the rows, along values of C.

    Each class is dealt out evenly; a class of fewer rows than folds is always learnt from.

    Attributes
    ----------
    losses: C -> mean log loss of left-out rows, nats. starts: C -> W and b of a fit at it.
    """

    method = f"{COUNT} folds"

    def __init__(
        self, rows: MemoryRows, loss: Loss, fit_intercept: bool = True, l1_ratio: float = 0.0
    ) -> None:
        self.rows, self.loss, self.n_jobs, self.l1_ratio = rows, loss, rows.n_jobs, l1_ratio
        self.options: dict[str, Any] = {"fit_intercept": fit_intercept, "tol": TOL}
        if l1_ratio:
            self.options["l1_ratio"] = l1_ratio
        self.losses: dict[float, float] = {}
        self.starts: dict[float, Start] = {}
        folds = deal(rows.block.labels)
        self._parts = [
            (
                rows.block.take(np.flatnonzero(folds != k)),
                rows.block.take(np.flatnonzero(folds == k)),
            )
            for k in range(COUNT)
        ]
        self._fits: list[dict[float, Start]] = [{} for _ in self._parts]

    def loss_at(self, C: float) -> float:
        """Fit without each fold at `C`, from the fit of the nearest C so far, and judge it."""
        total = weight = 0.0
        for (learnt, left), fits in zip(self._parts, self._fits, strict=True):
            nearest = min(fits, key=lambda other: abs(np.log(other / C)), default=None)
            start = None if nearest is None else fits[nearest]
            found = fit(
                MemoryRows(learnt, self.n_jobs), self.loss, C=C, start=start, **self.options
            )
            fits[C] = self.starts[C] = found.W, found.b
            total += judge(left, self.loss, found.W, found.b)
            weight += float(left.weights.sum())
        self.losses[C] = total / weight
        return self.losses[C]

    def find_range(self) -> tuple[float, float]:
        """The least and largest log10 C worth a try."""
        objective = lay_out(self.rows, self.loss, self.options["fit_intercept"])
        return find_range(objective, self.l1_ratio)


def deal(labels: Array) -> NDArray[np.intp]:
    """The fold of each row (n,), 0 up to `COUNT`; -1 for a class of fewer rows than folds.

    >>> sorted(deal(np.array([[0.0, 1.0, 0.0, 0.0, 1.0, 0.0]])).tolist())
    [0, 0, 0, 1, 1, 1]
    """
    classes = labels[0] if len(labels) == 1 else np.zeros(labels.shape[1])
    shuffled = np.random.default_rng(0).permutation(len(classes))
    folds = np.full(len(classes), -1)
    for label in np.unique(classes):
        rows = shuffled[classes[shuffled] == label]
        if len(rows) >= COUNT:
            folds[rows] = np.arange(len(rows)) % COUNT
    return folds


def judge(block: Block, loss: Loss, W: Array, b: Array) -> float:
    """The weighted sum of the log losses of a block's rows."""
    total = 0.0
    for tile in block.tiles():
        terms = loss.terms(tile.features.linear(W) + b, tile.labels)
        total += float((terms.loss @ tile.weights).sum())
    return total
