"""The cost by iteration, and the proved distance from the optimum."""

import math
from collections.abc import Sequence

from onelayer.markup.axes import Axis, linear_axis, log_axis
from onelayer.markup.charts import Chart, Dot, Line, Point, make_sheet, thin_out
from onelayer.markup.words import count, fixed, short
from onelayer.model import Model
from onelayer.solvers.solution import Progress

MOST_STEPS = 200  # of the table behind the pictures


def draw_history(model: Model) -> list[Chart]:
    """The mean log loss after each step, and where there is one the proved distance."""
    history = list_steps(model)
    if not history:
        return []
    steps = [history[k] for k in _choose(len(history))]
    charts = [_draw_cost(steps)]
    if any(0 < each.rho < math.inf for each in steps):
        charts.append(_draw_distance(steps, model.training.tol))
    return charts


def list_steps(model: Model) -> list[Progress]:
    """The history, and the answer itself where a last step came after it."""
    facts, proved = model.training, model.certificate
    steps = list(facts.history)
    if steps and facts.iterations > steps[-1].iteration:
        steps.append(Progress(facts.iterations, facts.cost, facts.objective, proved.rho, 1.0))
    return steps


def _choose(many: int) -> list[int]:
    return [int(k) for k, _ in thin_out([(k, 0.0) for k in range(many)], MOST_STEPS)]


def _draw_cost(steps: Sequence[Progress]) -> Chart:
    points: list[Point] = [(each.iteration, each.cost) for each in steps]
    finite = [cost for _, cost in points if math.isfinite(cost)]
    first, last = (
        (f"{fixed(finite[k], 4)} nats" for k in (0, -1)) if finite else ("\u2013", "\u2013")
    )
    return Chart(
        name="cost",
        title="The cost by iteration",
        description=f"The mean log loss falls from {first} to {last} in "
        f"{count(steps[-1].iteration, 'step')}.",
        x=_step_axis(steps),
        y=linear_axis("cost, nats a row", finite, tight=False),
        lines=(Line("main", tuple(points)),),
        dots=tuple(Dot("main", x, y) for x, y in points if math.isfinite(y) and len(points) <= 40),
        sheet=make_sheet(
            ["step", "cost", "proved distance", "length of the step"],
            [
                [str(each.iteration), short(each.cost, 6), short(each.rho), short(each.step)]
                for each in steps
            ],
        ),
        caption="The cost is the article's: the mean log loss over the rows trained on.",
    )


def _draw_distance(steps: Sequence[Progress], tol: float) -> Chart:
    points: list[Point] = [
        (each.iteration, each.rho if each.rho > 0 else math.inf) for each in steps
    ]
    proved = [(x, y) for x, y in points if math.isfinite(y)]
    x = _step_axis(steps)
    return Chart(
        name="distance",
        title="How far from the exact optimum, proved",
        description=f"After {count(steps[-1].iteration, 'step')} every coefficient is proved to "
        f"lie within {short(proved[-1][1])} standard errors of the exact optimum.",
        x=x,
        y=log_axis("standard errors, at most", [tol, *(y for _, y in proved)]),
        lines=(
            Line("guide", ((x.low, tol), (x.high, tol)), f"asked for: {short(tol)}"),
            Line("main", tuple(points), "proved"),
        ),
        dots=tuple(Dot("main", *point) for point in proved if len(proved) <= 40),
        sheet=make_sheet(
            ["step", "proved distance"],
            [[str(each.iteration), short(each.rho)] for each in steps],
        ),
        caption="Steps without a point are those for which no distance was proved yet.",
    )


def _step_axis(steps: Sequence[Progress]) -> Axis:
    low, high = steps[0].iteration, steps[-1].iteration
    axis = linear_axis("step", [low, max(high, low + 1)])
    whole = tuple(tick for tick in axis.ticks if float(tick.value).is_integer())
    return Axis("step", axis.low, axis.high, whole)
