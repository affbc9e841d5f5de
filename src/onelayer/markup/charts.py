"""Charts as plain data: what `templates/chart.html.jinja` draws, with the table behind it."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from onelayer.markup.axes import Axis

WIDTH, HEIGHT = 440, 320
LEFT, RIGHT, TOP, BOTTOM = 54, 14, 14, 46
MOST_POINTS = 240  # of a line: more cannot be told apart at this size

Point = tuple[float, float]


@dataclass(frozen=True)
class Sheet:
    """The table behind a picture: its titles, and rows of text."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Line:
    """Points joined by a line.

    Attributes
    ----------
    kind: its class in the style sheet: "positive", "negative", "main", "guide".
    label: in the legend; empty for none.
    steps: whether it goes level to each point and then up or down to it.
    """

    kind: str
    points: tuple[Point, ...]
    label: str = ""
    steps: bool = False


@dataclass(frozen=True)
class Area:
    """A filled shape through the points, back to `base` where that is given."""

    kind: str
    points: tuple[Point, ...]
    label: str = ""
    base: float | None = None


@dataclass(frozen=True)
class Dot:
    """A point, with the ends of its interval (upwards) where it has one."""

    kind: str
    x: float
    y: float
    low: float | None = None
    high: float | None = None
    title: str = ""


@dataclass(frozen=True)
class Chart:
    """A picture with two axes.

    Attributes
    ----------
    name: unique in the page. title, description: what a screen reader says of it.
    caption: what a reader should see in it, a sentence.
    sheet: the table behind it.
    """

    name: str
    title: str
    description: str
    x: Axis
    y: Axis
    sheet: Sheet
    areas: tuple[Area, ...] = ()
    lines: tuple[Line, ...] = ()
    dots: tuple[Dot, ...] = ()
    caption: str = ""

    def across(self, value: float) -> float:
        """The place of an x on the picture, in its units, to a tenth."""
        return round(LEFT + self.x.place(value) * (WIDTH - LEFT - RIGHT), 1)

    def down(self, value: float) -> float:
        """The place of a y on the picture."""
        return round(HEIGHT - BOTTOM - self.y.place(value) * (HEIGHT - TOP - BOTTOM), 1)

    def trace(self, line: Line | Area) -> str:
        """The path of a line or an area; a point that is not finite makes a gap in a line."""
        pieces, pen, last = [], "M", 0.0
        points = line.points
        if isinstance(line, Area) and line.base is not None and points:
            points = ((points[0][0], line.base), *points, (points[-1][0], line.base))
        for x, y in points:
            if not (math.isfinite(x) and math.isfinite(y)):
                pen = "M"
                continue
            across, down = self.across(x), self.down(y)
            if isinstance(line, Line) and line.steps and pen == "L":
                pieces.append(f"L{across:g} {last:g}")
            pieces.append(f"{pen}{across:g} {down:g}")
            pen, last = "L", down
        return "".join(pieces) + ("Z" if isinstance(line, Area) and pieces else "")

    @property
    def legend(self) -> tuple[tuple[str, str, str], ...]:
        """(shape, kind, label) of all that has a label."""
        areas = tuple(("area", each.kind, each.label) for each in self.areas if each.label)
        return areas + tuple(("line", each.kind, each.label) for each in self.lines if each.label)


def thin_out(points: Sequence[Point], most: int = MOST_POINTS) -> tuple[Point, ...]:
    """At most so many of the points, evenly chosen by their order, the first and the last kept.

    >>> thin_out([(0, 0), (1, 1), (2, 2), (3, 3), (4, 4)], most=3)
    ((0, 0), (2, 2), (4, 4))
    """
    if len(points) <= most:
        return tuple(points)
    last = len(points) - 1
    return tuple(points[round(k * last / (most - 1))] for k in range(most))


def make_sheet(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Sheet:
    """A table from any lists."""
    return Sheet(tuple(heads), tuple(tuple(row) for row in rows))
