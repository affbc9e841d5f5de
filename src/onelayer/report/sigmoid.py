"""The sigmoid, with the rows of both classes on it."""

import numpy as np
from numpy.typing import NDArray

from onelayer.markup.axes import linear_axis, share_axis
from onelayer.markup.charts import Area, Chart, Line, Point, make_sheet
from onelayer.markup.words import fixed, percent
from onelayer.network import sigmoid

MOST_LISTED = 40  # rows of the table behind a curve
BARS = 40  # of each class on the sigmoid
TALLEST = 0.3  # the largest of them, as a share of the height


def draw_sigmoid(
    logits: NDArray[np.float64],
    labels: NDArray[np.float64],
    names: tuple[str, str],
    threshold: float,
) -> Chart:
    """The sigmoid, and how many rows of each class lie where on it.

    Args:
        logits: (n,), of rows whose answer is known.
        labels: (n,), 0 or 1.
        names: The negative and the positive value.
        threshold: The probability above which a row is called positive.
    """
    low, high = _find_span(logits, threshold)
    edges = np.linspace(low, high, BARS + 1)
    shares = [_share_out(logits[labels == label], edges) for label in (0, 1)]
    tallest = max(float(share.max(initial=0.0)) for share in shares) or 1.0
    heights = [share / tallest * TALLEST for share in shares]
    grid = np.linspace(low, high, 97)
    cut = float(np.clip(_to_logit(threshold), low, high))
    curve = tuple(zip(grid.tolist(), np.asarray(sigmoid(grid)).tolist()))
    return Chart(
        name="sigmoid",
        title="The sigmoid, and where the rows lie on it",
        description=f"The S-shaped curve from z to the probability of {names[1]}. The median row "
        f"of {names[0]} has z = {_median(logits[labels == 0])}, that of {names[1]} "
        f"{_median(logits[labels == 1])}; a row is called {names[1]} from z = {fixed(cut, 2)} on.",
        x=linear_axis("z, the log-odds", [low, high]),
        y=share_axis(f"probability of {names[1]}, %"),
        areas=(
            Area("positive", _to_bars(edges, 1 - heights[1]), f"rows of {names[1]}", base=1.0),
            Area("negative", _to_bars(edges, heights[0]), f"rows of {names[0]}", base=0.0),
        ),
        lines=(
            Line("guide", ((cut, 0.0), (cut, 1.0)), f"threshold {fixed(threshold, 3)}"),
            Line("main", curve, "sigmoid"),
        ),
        sheet=make_sheet(
            ["z from", "to", f"rows of {names[0]}", f"of {names[1]}"],
            [_list_bar(edges[k : k + 2], [share[k] for share in shares]) for k in range(BARS)],
        ),
        caption="Each class is drawn as shares of its own rows, the one from above, the other from "
        "below. The less they overlap, the better the model tells them apart.",
    )


def _list_bar(edges: NDArray[np.float64], shares: list[float]) -> list[str]:
    return [*(fixed(edge, 2) for edge in edges), *map(percent, shares)]


def _find_span(logits: NDArray[np.float64], threshold: float) -> tuple[float, float]:
    """What to show of z: nearly all rows, and the threshold where that is not far off."""
    low, high = np.quantile(logits, [0.002, 0.998]) if len(logits) else (-4.0, 4.0)
    cut = float(np.clip(_to_logit(threshold), low - 2, high + 2))
    return min(float(low), cut, -1.0) - 0.5, max(float(high), cut, 1.0) + 0.5


def _to_logit(threshold: float) -> float:
    with np.errstate(divide="ignore"):
        return float(np.log(threshold) - np.log1p(-threshold))


def _share_out(logits: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    held = np.clip(logits, edges[0], edges[-1])  # the few beyond the ends count at the ends
    return np.histogram(held, edges)[0] / max(1, len(logits))


def _to_bars(edges: NDArray[np.float64], tops: NDArray[np.float64]) -> tuple[Point, ...]:
    return tuple(zip(np.repeat(edges, 2)[1:-1].tolist(), np.repeat(tops, 2).tolist()))


def _median(logits: NDArray[np.float64]) -> str:
    return fixed(float(np.median(logits)), 2) if len(logits) else "none"
