"""`onelayer influence`: which training rows made a decision, a weight, or most decisions so."""

import math
from typing import TYPE_CHECKING, Any

import click

from onelayer.cli.options import (
    json_option,
    load,
    model_argument,
    read,
    refuse_two_from_input,
    table_options,
)
from onelayer.cli.output import paragraph, print_json, print_lines, quote, show_text, tabulate
from onelayer.cli.progress import Progress
from onelayer.errors import InputError

if TYPE_CHECKING:
    from onelayer.influence import Influence, InfluentialRow
    from onelayer.model import Model


@click.command()
@model_argument
@click.argument("training")
@click.option("--of", "table", metavar="TABLE", help="Look at decisions on this table.")
@click.option("--row", type=int, metavar="N", help="Look at one decision, from 1.")
@click.option("--coefficient", metavar="NAME", help="Look at one weight instead, or (bias).")
@click.option(
    "--top",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    metavar="K",
    help="How many rows to show.",
)
@table_options
@json_option
def influence(
    model: str,
    training: str,
    table: str | None,
    row: int | None,
    coefficient: str | None,
    top: int,
    names: tuple[str, ...],
    na: tuple[str, ...],
    as_json: bool,
) -> None:
    """Find the rows of TRAINING, which MODEL was trained on, that matter most.

    What would be otherwise without a row is found by fits without it: which decisions would turn,
    or how far the decision of --row, or a weight, would move.
    """
    refuse_two_from_input(model, training, table)
    if coefficient is not None and (table is not None or row is not None):
        raise InputError("--coefficient is about the model: leave out --of and --row")
    with Progress(f"reading {training}") as progress:
        from onelayer.influence import find_influence, read_training

        loaded = load(model)
        raw = read_training(loaded, training, names=names or None, na=na)
        other = raw if table is None and row is not None else None
        if table is not None:
            other = read(table, names, na)
        if row is not None and other is not None and not 1 <= row <= other.frame.height:
            raise InputError(f"--row {row}: {other.name} has rows 1 to {other.frame.height:,}")
        progress.say(f"fitting {raw.name} without rows")
        found = find_influence(
            loaded,
            raw,
            table=other,
            row=None if row is None else row - 1,
            coefficient=coefficient,
            top=top,
        )
    if as_json:
        print_json({"training": raw.name, "positive": loaded.positive, **found.to_dict()})
    else:
        print_lines(describe_influence(found, loaded))


def describe_influence(found: "Influence", model: "Model") -> list[str]:
    """What it is about, and the rows that do most."""
    describe = {
        "decision": _describe_decision,
        "coefficient": _describe_coefficient,
        "decisions": _describe_decisions,
    }
    return describe[found.subject](found, model)


def _describe_decision(found: "Influence", model: "Model") -> list[str]:
    from onelayer.network import sigmoid

    now = float(sigmoid(found.value))
    turning = [each for each in found.rows if each.turned]
    chosen = [model.negative, model.positive]
    said = chosen[now > found.threshold]
    whether = (
        f"Without row {turning[0].row:,} of the training it would be "
        f"{quote(chosen[now <= found.threshold])}."
        if turning
        else "No training row alone has made it so."
    )
    rows = [
        [*_place(each), f"{each.change:+.4f}", f"{float(sigmoid(found.value + each.change)):.4f}"]
        for each in found.rows
    ]
    return [
        *paragraph(
            f"{show_text(found.name)}: the probability of {quote(model.positive)} is {now:.4f}, so "
            f"that the model says {quote(said)}. {whether}"
        ),
        "",
        *paragraph(
            "The training rows that move it most: the change of the log-odds, and the probability, "
            "if the row had not been there"
        ),
        *_tabulate(found, model, rows, ["change", "probability"]),
    ]


def _describe_coefficient(found: "Influence", model: "Model") -> list[str]:
    spread = found.spread or 1.0
    rows = [
        [*_place(each), f"{each.change:+.4f}", f"{each.change / spread:+.3f}"]
        for each in found.rows
    ]
    error = "standard error" if math.isinf(model.training.C) else "posterior spread"
    return [
        *paragraph(
            f"{show_text(found.name)}: the weight is {found.value:+.4f}, its {error} {spread:.4f}"
        ),
        "",
        *paragraph(
            "The training rows that move it most: the change of the weight if the row had not been "
            f"there, and that in units of its {error}"
        ),
        *_tabulate(found, model, rows, ["change", "in units"]),
    ]


def _describe_decisions(found: "Influence", model: "Model") -> list[str]:
    rows = [[*_place(each), f"{each.turned:,}", f"{each.change:+.4f}"] for each in found.rows]
    first = found.rows[0] if found.rows else None
    whether = (
        "No training row alone turns any of them."
        if first is None or not first.turned
        else f"Without row {first.row:,}, {first.turned:,} of them would be others, the most that "
        "any row alone turns."
    )
    return [
        *paragraph(f"The {found.value:,.0f} decisions on {show_text(found.name)}. {whether}"),
        "",
        *paragraph(
            "The training rows that turn most: how many decisions on other rows would be others if "
            "the row had not been there, and the largest change of a log-odds"
        ),
        *_tabulate(found, model, rows, ["turned", "change"]),
    ]


def _place(each: "InfluentialRow") -> list[str]:
    return [
        f"{each.row:,}",
        "" if each.line is None else f"{each.line:,}",
        quote(each.value),
        f"{each.weight:g}",
    ]


def _tabulate(
    found: "Influence", model: "Model", rows: list[list[Any]], heads: list[str]
) -> list[str]:
    """Columns that say nothing are left out: lines where there are none, weights that are all 1."""
    every = ["row", "line", show_text(model.target, 24), "weight", *heads]
    kept = [0, 2, 4, 5]
    if any(each.line is not None for each in found.rows):
        kept.append(1)
    if any(each.weight != 1 for each in found.rows):
        kept.append(3)
    kept.sort()
    return tabulate(
        [every[k] for k in kept],
        [[row[k] for k in kept] for row in rows],
        right=[place for place, k in enumerate(kept) if k != 2],
    )
