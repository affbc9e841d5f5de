"""How the threshold was chosen, and the curve that it was chosen from."""

from collections.abc import Callable

from onelayer.markup.axes import linear_axis, share_axis
from onelayer.markup.charts import Chart, Line, make_sheet, thin_out
from onelayer.markup.words import count, fixed, percent, short, shown
from onelayer.model import Model
from onelayer.thresholds.choice import Costs, Fixed, FromColumn, ThresholdChoice, Tried

MOST_LISTED = 40


def say_choice(model: Model) -> str:
    """How the threshold was chosen, in a sentence or two."""
    choice = model.threshold_choice
    if choice is None:
        return f"The model's threshold is {short(model.threshold, 6)}; it was not chosen."
    return (
        f"The model's threshold, {short(model.threshold, 6)}, was chosen so that "
        f"{_say_wish(choice, model)}: on {count(choice.rows, 'row')}, each scored by a fit that "
        "had not seen it."
    )


def _say_wish(choice: ThresholdChoice, model: Model) -> str:
    share = percent(choice.value)
    positive, negative = _quote(model.positive), _quote(model.negative)
    if choice.costs is not None:
        fp, fn = _say_amount(choice.costs.fp), _say_amount(choice.costs.fn)
        return (
            f"decisions cost least, where a false {positive} costs {fp} and a false {negative} {fn}"
        )
    if choice.wish == "accept":
        return f"{share} of the rows are called {positive}"
    if choice.wish == "min_precision":
        return f"at least {share} of those called {positive} are so"
    return f"at most {share} of the others are called {positive}"


def _quote(value: str) -> str:
    return f"\u2018{shown(value, 24)}\u2019"


def _say_amount(amount: Fixed | FromColumn) -> str:
    return short(amount.value) if isinstance(amount, Fixed) else f"as in {shown(amount.column, 24)}"


def find_costs(model: Model) -> tuple[float, float]:
    """What a false positive and a false negative cost, to begin with: as chosen, or 1."""
    costs: Costs | None = None if model.threshold_choice is None else model.threshold_choice.costs
    if costs is None or not (isinstance(costs.fp, Fixed) and isinstance(costs.fn, Fixed)):
        return 1.0, 1.0
    return costs.fp.value, costs.fn.value


def draw_choice(model: Model) -> Chart | None:
    """What was wanted, over the thresholds tried."""
    choice = model.threshold_choice
    if choice is None:
        return None
    title, read = _READ[choice.wish]
    known = ((each.threshold, read(each)) for each in choice.curve)
    points = tuple((cut, value) for cut, value in known if value is not None)
    y = share_axis(f"{title}, %")
    if choice.costs is not None:
        y = linear_axis(title, [value for _, value in points], tight=False)
    cut = choice.chosen.threshold
    return Chart(
        name="choice",
        title="What the threshold was chosen by",
        description=f"The {title} over the threshold, on {count(choice.rows, 'row')}; chosen is "
        f"{fixed(cut, 4)}.",
        x=share_axis("threshold, %"),
        y=y,
        lines=(
            Line("guide", ((cut, y.low), (cut, y.high)), f"chosen, {fixed(cut, 4)}"),
            Line("main", points, title),
        ),
        sheet=make_sheet(
            ["threshold", title, "called", "precision", "found", "false alarms"],
            [_list(choice.curve[int(k)], read) for k, _ in _choose(len(choice.curve))],
        ),
        caption=f"Out-of-fold: {choice.folds} fits, each judged on rows that it had not seen.",
    )


def _choose(many: int) -> tuple[tuple[float, float], ...]:
    return thin_out([(k, 0.0) for k in range(many)], MOST_LISTED)


def _list(each: Tried, read: Callable[[Tried], float | None]) -> list[str]:
    rates = (each.called, each.precision, each.recall, each.false_alarms)
    return [fixed(each.threshold, 4), short(read(each), 4), *map(percent, rates)]


_READ: dict[str, tuple[str, Callable[[Tried], float | None]]] = {
    "costs": ("cost a row", lambda each: each.cost),
    "accept": ("rows called positive", lambda each: each.called),
    "min_precision": ("precision", lambda each: each.precision),
    "max_fpr": ("false alarms", lambda each: each.false_alarms),
}
