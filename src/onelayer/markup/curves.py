"""The curves of an evaluation: ROC, precision over recall, calibration, gain."""

from collections.abc import Sequence

import numpy as np

from onelayer.markup.axes import share_axis
from onelayer.markup.charts import Chart, Dot, Line, Point, Sheet, make_sheet, thin_out
from onelayer.markup.words import amount, fixed, percent
from onelayer.measures import CalibrationBin, Curve

MOST_LISTED = 40  # rows of the table behind a curve


def draw_curves(
    curve: Curve | None,
    bins: Sequence[CalibrationBin],
    roc_auc: float | None,
    average_precision: float | None,
    positive: str,
) -> list[Chart]:
    """The four charts; the calibration alone where the others are not defined.

    Args:
        curve: Every cut.
        bins: From the lowest probabilities to the highest.
        roc_auc: The area under the ROC curve.
        average_precision: That under precision over recall.
        positive: What the positive rows are called.
    """
    calibration = _draw_calibration(bins, positive)
    if curve is None:
        return [calibration]
    first = [_draw_roc(curve, roc_auc), _draw_precision(curve, average_precision)]
    return [*first, calibration, _draw_gain(curve, positive)]


def _draw_roc(curve: Curve, roc_auc: float | None) -> Chart:
    points = curve.roc
    return Chart(
        name="roc",
        title="ROC curve",
        description=f"The share of positive rows found over that of negative rows called positive, "
        f"for every threshold. The area under it is {fixed(roc_auc, 3)}; 0.5 is chance.",
        x=share_axis("false alarms, % of the negative rows"),
        y=share_axis("found, % of the positive rows"),
        lines=(
            Line("guide", ((0.0, 0.0), (1.0, 1.0)), "by chance"),
            Line("main", points, f"this model, area {fixed(roc_auc, 3)}"),
        ),
        sheet=_tabulate(["false alarms", "found"], points),
    )


def _draw_precision(curve: Curve, average_precision: float | None) -> Chart:
    points, base = curve.precision_recall, curve.base_rate
    return Chart(
        name="precision",
        title="Precision and recall",
        description=f"How many of the rows called positive are so, over how many of the positive "
        f"rows are found. The average precision is {fixed(average_precision, 3)}; by chance "
        f"it would be {fixed(base, 3)}.",
        x=share_axis("found, % of the positive rows"),
        y=share_axis("right, % of those called positive"),
        lines=(
            Line("guide", ((0.0, base), (1.0, base)), f"by chance {percent(base)}"),
            Line("main", points, f"this model, average {fixed(average_precision, 3)}"),
        ),
        sheet=_tabulate(["found", "right"], points),
    )


def _draw_gain(curve: Curve, positive: str) -> Chart:
    points, base = curve.gain, curve.base_rate
    tenth = float(np.interp(0.1, *np.array(points).T))
    return Chart(
        name="gain",
        title="Gain",
        description=f"The share of all rows of {positive} among the rows with the highest "
        f"probabilities. The first 10 % hold {percent(tenth)} of them.",
        x=share_axis("rows, highest probability first, %"),
        y=share_axis("found, % of the positive rows"),
        lines=(
            Line("guide", ((0.0, 0.0), (1.0, 1.0)), "by chance"),
            Line("guide best", ((0.0, 0.0), (base, 1.0), (1.0, 1.0)), "at best"),
            Line("main", points, "this model"),
        ),
        sheet=make_sheet(
            ["rows", "found", "lift"],
            [
                [percent(x), percent(y), fixed(y / x, 2) if x else "\u2013"]
                for x, y in thin_out(points, MOST_LISTED)
            ],
        ),
        caption=f"Of the tenth of the rows with the highest probability comes {percent(tenth)} of "
        f"all {positive}: {fixed(10 * tenth, 1)} times as many as by chance.",
    )


def _draw_calibration(bins: Sequence[CalibrationBin], positive: str) -> Chart:
    title = "{} rows: said {}, was so {}"
    return Chart(
        name="calibration",
        title="Calibration",
        description=f"Rows in {len(bins)} groups of neighbouring probabilities: how often "
        f"{positive} was said on average, and how often it was so. On the line both are alike.",
        x=share_axis("said, mean probability, %"),
        y=share_axis("was so, %"),
        lines=(Line("guide", ((0.0, 0.0), (1.0, 1.0)), "said as often as it was so"),),
        dots=tuple(
            Dot(
                "main",
                each.mean_predicted,
                each.observed,
                each.low,
                each.high,
                title.format(amount(each.n), percent(each.mean_predicted), percent(each.observed)),
            )
            for each in bins
        ),
        sheet=make_sheet(
            ["rows", "said", "was so", "from", "to"],
            [
                [
                    amount(each.n),
                    *map(percent, (each.mean_predicted, each.observed, each.low, each.high)),
                ]
                for each in bins
            ],
        ),
        caption="Groups of equally many rows; the bars are 95 % intervals of what was so.",
    )


def _tabulate(heads: Sequence[str], points: Sequence[Point]) -> Sheet:
    return make_sheet(heads, [[percent(x), percent(y)] for x, y in thin_out(points, MOST_LISTED)])
