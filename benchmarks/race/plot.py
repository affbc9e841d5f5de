"""The plot as SVG: for each table the time of ours and of the best other, on a log scale."""

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape

from benchmarks.race.duels import Duel
from benchmarks.race.results import Line

WIDTH, LEFT, RIGHT = 880, 230, 115
TOP, ROW, HEADING, FOOT = 70, 19, 27, 16
OURS, OTHER, INK, FAINT = "#0b6e4f", "#c8553d", "#222222", "#dddddd"
STRICT, LOOSE = "1e-09", "1e-06"

Place = Callable[[float], float]  # seconds to pixels from the left


def draw(duels: Sequence[Duel]) -> str:
    """The whole picture; duels of one kind stand together."""
    kinds = list(dict.fromkeys(duel.report.facts["kind"] for duel in duels))
    height = TOP + HEADING * len(kinds) + ROW * len(duels) + FOOT
    place, ticks = _scale(duels)
    parts, y = _frame(height, place, ticks), float(TOP)
    for kind in kinds:
        y += HEADING
        parts.append(_text(12, y - 7, kind, weight="bold"))
        for duel in duels:
            if duel.report.facts["kind"] == kind:
                parts += _row(duel, y + ROW / 2, place)
                y += ROW
    return "\n".join(
        [
            f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' "
            f"width='{WIDTH}' height='{height}' font-family='Helvetica, Arial, sans-serif'>",
            "<title>Time to the optimum: onelayer and the best other library</title>",
            f"<rect width='{WIDTH}' height='{height}' fill='white'/>",
            *parts,
            "</svg>",
            "",
        ]
    )


def _scale(duels: Sequence[Duel]) -> tuple[Place, range]:
    lines = [line for duel in duels for line in (duel.own, *duel.others.values())]
    times = [line.seconds for line in lines if line is not None and line.seconds]
    low, high = math.floor(math.log10(min(times))), math.ceil(math.log10(max(times)))

    def place(seconds: float) -> float:
        share = (math.log10(seconds) - low) / max(1, high - low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    return place, range(low, high + 1)


def _frame(height: float, place: Place, ticks: range) -> list[str]:
    """The legend and the lines of the scale."""
    parts = [
        _dot(LEFT, 18, OURS),
        _text(LEFT + 10, 22, "onelayer, default settings"),
        _dot(LEFT + 195, 18, OTHER),
        _text(LEFT + 205, 22, "best other, to 1e-9"),
        _dot(LEFT + 345, 18, OTHER, hollow=True),
        _text(LEFT + 355, 22, "best other, to 1e-6"),
        _text(WIDTH - 12, 48, "times sooner", anchor="end", colour="#666666"),
    ]
    for power in ticks:
        x = place(10.0**power)
        parts.append(
            f"<line x1='{x:.1f}' y1='{TOP - 12}' x2='{x:.1f}' y2='{height - FOOT}' "
            f"stroke='{FAINT}'/>"
        )
        parts.append(_text(x, 48, _say_power(power), anchor="middle", colour="#666666"))
    return parts


def _row(duel: Duel, y: float, place: Place) -> Iterator[str]:
    yield _text(24, y + 4, duel.name)
    dots = [
        (line, colour, hollow)
        for line, colour, hollow in (
            (duel.others[LOOSE], OTHER, True),
            (duel.others[STRICT], OTHER, False),
            (duel.own, OURS, False),
        )
        if line is not None and line.seconds
    ]
    ends = [place(_seconds(line)) for line, _, _ in dots]
    if dots:
        yield (
            f"<line x1='{min(ends):.1f}' y1='{y:.1f}' x2='{max(ends):.1f}' y2='{y:.1f}' "
            f"stroke='#999999' stroke-width='1.5'/>"
        )
    for (_, colour, hollow), x in zip(dots, ends, strict=True):
        yield _dot(x, y, colour, hollow=hollow)
    ratio = duel.ratio(STRICT) or duel.ratio(LOOSE)
    if ratio is not None:
        colour = OURS if ratio >= 1 else OTHER
        yield _text(WIDTH - 12, y + 4, f"{ratio:.2g}x", anchor="end", colour=colour)


def _seconds(line: Line) -> float:
    assert line.seconds is not None, "only lines with a time are drawn"
    return line.seconds


def _say_power(power: int) -> str:
    units = ((0, "s"), (-3, "ms"), (-6, "µs"))
    base, unit = next((b, u) for b, u in units if power >= b or b == units[-1][0])
    return f"{10.0 ** (power - base):g} {unit}"


def _dot(x: float, y: float, colour: str, *, hollow: bool = False) -> str:
    fill = "white" if hollow else colour
    return f"<circle cx='{x:.1f}' cy='{y:.1f}' r='4.5' fill='{fill}' stroke='{colour}'/>"


def _text(
    x: float,
    y: float,
    words: str,
    *,
    anchor: str = "start",
    colour: str = INK,
    weight: str = "normal",
) -> str:
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' font-size='12' text-anchor='{anchor}' fill='{colour}' "
        f"font-weight='{weight}'>{escape(words)}</text>"
    )
