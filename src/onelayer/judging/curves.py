"""The cuts that a curve is drawn from: of all steps those whose loss would bend it most."""

import heapq

import numpy as np
from numpy.typing import NDArray

from onelayer.judging.walk import Cells
from onelayer.measures import Curve, Cut
from onelayer.network import sigmoid

Array = NDArray[np.float64]

MOST_CUTS = 160


def draw_curve(cells: Cells, threshold: float, base_rate: float) -> Curve | None:
    """The curve of all cells, thinned to `MOST_CUTS` cuts; None where a class is not there.

    The cut behind a cell lies at the highest probability of the next one, which is not above
    itself and so is not called positive; the first one calls no row so, the last one all. The one
    at `threshold` is always kept.

    >>> from onelayer.judging.walk import judge
    >>> from onelayer.judging.ranking import Ranked
    >>> rows = Ranked(np.array([-2.0, -1.0, 1.0]), np.array([1.0, -1.0, -1.0]))
    >>> draw_curve(judge(iter([rows]), 1.0, 2.0).cells, 0.5, 1 / 3).roc
    ((0.0, 0.0), (0.0, 1.0), (0.5, 1.0), (1.0, 1.0))
    """
    called, mistaken = np.cumsum(cells.positives), np.cumsum(cells.negatives)
    if not (called[-1] and mistaken[-1]):
        return None
    recall = np.minimum(np.append(0, called) / called[-1], 1)
    false_alarms = np.minimum(np.append(0, mistaken) / mistaken[-1], 1)
    probabilities = np.asarray(sigmoid(cells.tops))
    places = np.clip(np.append(probabilities, 0.0), 0, 1)
    own = int(np.count_nonzero(cells.is_called))
    places[own] = threshold
    kept = thin_points(recall, false_alarms, base_rate, own)
    return Curve(
        base_rate,
        tuple(Cut(*each) for each in np.stack([places, recall, false_alarms])[:, kept].T.tolist()),
    )


def thin_points(recall: Array, false_alarms: Array, base_rate: float, own: int) -> NDArray[np.intp]:
    """The places of the points to keep, `MOST_CUTS` at most.

    Again and again the point goes whose triangle with its neighbours is the smallest, in the plane
    of the ROC curve or of precision over recall, where it is larger. Gain is the ROC curve sheared.

    Source: Visvalingam, Whyatt, "Line generalisation by repeated elimination of points", 1993.
    """
    called = base_rate * recall + (1 - base_rate) * false_alarms
    precision = np.divide(base_rate * recall, called, where=called > 0, out=np.ones_like(called))
    planes = [each.tolist() for each in (recall, false_alarms, precision)]
    n = len(recall)
    before, behind = list(range(-1, n - 1)), list(range(1, n + 1))
    fixed = {0, own, n - 1}

    def size(i: int) -> float:
        places = before[i], i, behind[i]
        x, y, z = ([plane[k] for k in places] for plane in planes)
        return max(_area(x, y), _area(x, z))

    heap = [(size(i), i) for i in range(1, n - 1) if i not in fixed]
    heapq.heapify(heap)
    gone = np.zeros(n, dtype=bool)
    left = n
    while left > MOST_CUTS and heap:
        area, i = heapq.heappop(heap)
        if gone[i]:
            continue
        now = max(area, size(i))
        if now > area:  # its neighbours have changed since
            heapq.heappush(heap, (now, i))
            continue
        gone[i], left = True, left - 1
        behind[before[i]], before[behind[i]] = behind[i], before[i]
    return np.flatnonzero(~gone)


def _area(x: list[float], y: list[float]) -> float:
    return abs((x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0])) / 2
