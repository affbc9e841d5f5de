"""The weights of a model with their errors, and how well it fits the rows it learnt from."""

from dataclasses import replace
from typing import TYPE_CHECKING

from onelayer.cli.output import INDENT, paragraph, quote, show_text, tabulate
from onelayer.cli.sections import describe_weights

if TYPE_CHECKING:
    from onelayer.model import Model
    from onelayer.summary import Coefficient, Summary

_NAME_WIDTH = 56
_DIGITS = 3


def describe_summary(model: "Model", most: int | None) -> list[str]:
    """Weights with errors, odds ratios, the fit as a whole; of an older file the weights alone."""
    if model.summary is None:
        missing = (
            "The file holds no errors of its weights: it has over 500 features, or was written by "
            "a onelayer that stored none. `onelayer train` would, on the table it learnt from."
        )
        return [*describe_weights(model, most), "", *paragraph(missing)]
    return [
        *_describe_coefficients(model, model.summary, most),
        "",
        *_describe_fit(model.summary),
    ]


def _describe_coefficients(model: "Model", summary: "Summary", most: int | None) -> list[str]:
    from onelayer.summary import tabulate_errors

    *features, bias = summary.coefficients
    order = sorted(range(len(features)), key=lambda k: -abs(features[k].value))[:most]
    held = [*(features[k] for k in order), bias]
    total = len(features)
    shown = f"the {len(order):,} largest of {total:,}" if len(order) < total else f"all {total:,}"
    title = (
        f"Weights: {shown} weights, in log-odds of {quote(model.positive)}; numbers are "
        "standardised, so that weights can be compared"
    )
    return [
        *paragraph(title),
        *_lay_out(*tabulate_errors(summary, held, _DIGITS)),
        "",
        *_describe_odds(model, summary, order),
    ]


def _describe_odds(model: "Model", summary: "Summary", order: list[int]) -> list[str]:
    """Odds ratios in the units of the table's columns, which people know."""
    from onelayer.summary import tabulate_odds

    units = model.schema.feature_steps
    held = [_to_unit(summary.coefficients[k], units[k] or 1.0) for k in order]
    heads, rows = tabulate_odds(summary, held, _DIGITS)
    width = (len(heads) - 1) // 2
    for k, row in zip(order, rows):
        if units[k] is None:
            row[1 : 1 + width] = ["-"] * width
    title = (
        "Odds ratios: by what the odds are multiplied where a column is larger by one of its own "
        "units (- for logarithms), or holds that level; and by one standard deviation (sd)"
    )
    return [*paragraph(title), *_lay_out(heads, rows)]


def _to_unit(each: "Coefficient", unit: float) -> "Coefficient":
    """The coefficient per unit of the table, of which one unit of the feature is `unit`."""
    return replace(
        each,
        value=each.value / unit,
        error=None if each.error is None else each.error / unit,
        deviation=None if each.deviation is None else each.deviation * unit,
    )


def _lay_out(heads: list[str], rows: list[list[str]]) -> list[str]:
    rows = [[show_text(row[0], _NAME_WIDTH), *row[1:]] for row in rows]
    return tabulate(["feature", *heads[1:]], rows, right=range(1, len(heads)))


def _describe_fit(summary: "Summary") -> list[str]:
    from onelayer.summary import describe_whole

    lines = [f"{INDENT}{line}" for line in describe_whole(summary)]
    notes = [line for note in summary.notes for line in paragraph(note, INDENT)]
    return ["Fit on the rows learnt from", *lines, *notes]
