"""`onelayer explain`: which columns push one row's probability up or down."""

import contextlib
from typing import TYPE_CHECKING

import click

from onelayer.cli.options import (
    json_option,
    load,
    model_argument,
    read,
    refuse_two_from_input,
    table_argument,
    table_options,
)
from onelayer.cli.output import paragraph, print_json, print_lines, quote, show_text, tabulate
from onelayer.cli.sections import count
from onelayer.errors import InputError

if TYPE_CHECKING:
    from onelayer.explain import Explanation
    from onelayer.model import Model
    from onelayer.table.reading import Table

_NAME_WIDTH = 22
_VALUE_WIDTH = 16
_BAR_WIDTH = 10


@click.command()
@model_argument
@table_argument
@table_options
@click.option("--row", type=int, default=1, show_default=True, metavar="N", help="From 1.")
@click.option(
    "--top",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    metavar="K",
    help="How many columns to show by themselves.",
)
@json_option
def explain(
    model: str,
    table: str,
    names: tuple[str, ...],
    na: tuple[str, ...],
    row: int,
    top: int,
    as_json: bool,
) -> None:
    """Say why MODEL gives a row of TABLE its probability.

    Row 1 is the first row of data, as in the column `row` that predict writes.
    """
    refuse_two_from_input(model, table)
    loaded = load(model)
    raw = read(table, names, na)
    height = raw.frame.height
    if not 1 <= row <= height:
        raise InputError(f"--row {row}: {raw.name} has rows 1 to {height:,}")
    found = loaded.explain(raw, row - 1)
    if as_json:
        place = {"table": raw.name, "row": row, "line": raw.line_of(row - 1)}
        print_json({**place, "positive": loaded.positive, **found.to_dict()})
    else:
        print_lines(describe_explanation(found, loaded, raw, row, top))


def describe_explanation(
    found: "Explanation", model: "Model", raw: "Table", row: int, top: int
) -> list[str]:
    """The row's log-odds as a sum, the largest pushes first."""
    return [
        *paragraph(_say_decision(found, model, raw, row)),
        "",
        *paragraph(
            f"Log-odds of {quote(model.positive)}: where the average row of the training stands, "
            "and how far each column of this row pushes away from it"
        ),
        *tabulate(
            ["column", "this row", "push", f"{'down':>{_BAR_WIDTH}} | up"],
            _tabulate_pushes(found, top),
            right=[2],
        ),
    ]


def _say_decision(found: "Explanation", model: "Model", raw: "Table", row: int) -> str:
    line = raw.line_of(row - 1)
    where = f"row {row:,}" if line is None else f"row {row:,} (line {line:,})"
    chosen = model.positive if found.probability > model.threshold else model.negative
    said = (
        f"{show_text(raw.name)}, {where}: the probability of {quote(model.positive)} is "
        f"{found.probability:.4f}, so that the model says {quote(chosen)}"
    )
    if model.target in raw.frame.columns:
        value = raw.frame[model.target][row - 1]
        truth = "is missing" if value is None or not str(value).strip() else quote(str(value))
        said += f"; in the table {show_text(model.target)} is {truth.removeprefix('is ')}"
    return f"{said}."


def _tabulate_pushes(found: "Explanation", top: int) -> list[list[str]]:
    shown, others = found.pushes[:top], found.pushes[top:]
    largest = max((abs(each.push) for each in found.pushes), default=1.0) or 1.0
    rows = [["the average row", "", f"{found.average_logit:+.3f}", ""]]
    for each in shown:
        name, value = show_text(each.column, _NAME_WIDTH), _show_value(each.value)
        rows.append([name, value, f"{each.push:+.3f}", _draw(each.push / largest)])
    if others:
        rest = sum(each.push for each in others)
        name = f"{count(len(others), 'more column')}"
        rows.append([name, "", f"{rest:+.3f}", _draw(max(-1.0, min(1.0, rest / largest)))])
    rows.append(["this row", "", f"{found.logit:+.3f}", f"probability {found.probability:.4f}"])
    return rows


def _draw(share: float) -> str:
    length = round(abs(share) * _BAR_WIDTH)
    if share < 0:
        return f"{'#' * length:>{_BAR_WIDTH}} |"
    return f"{'':{_BAR_WIDTH}} | {'#' * length}"


def _show_value(value: str) -> str:
    """A value as in the table, a long number to six digits."""
    if not value.strip():
        return "missing"
    if len(value) > 8:
        with contextlib.suppress(ValueError):
            value = f"{float(value):.6g}"
    return show_text(value, _VALUE_WIDTH)
