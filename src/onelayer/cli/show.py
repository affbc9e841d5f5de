"""`onelayer show`: what is in a model file."""

from typing import TYPE_CHECKING, Any

import click

from onelayer.cli.amounts import count
from onelayer.cli.options import STANDARD, json_option, load, model_argument
from onelayer.cli.output import paragraph, print_json, print_lines, quote, show_text, tabulate
from onelayer.cli.sections import (
    describe_columns,
    describe_own_evaluation,
    describe_remarks,
    describe_strength,
    say_certificate,
)
from onelayer.cli.summary import describe_summary
from onelayer.cli.threshold import describe_threshold

if TYPE_CHECKING:
    from onelayer.model import Model

_SHOWN = 20


@click.command()
@model_argument
@click.option("--all", "show_all", is_flag=True, help="Show every weight, not the largest alone.")
@json_option
def show(model: str, show_all: bool, as_json: bool) -> None:
    """Say what MODEL predicts, from what, how well, and with which weights."""
    loaded = load(model)
    if as_json:
        print_json(_to_document(loaded))
    else:
        name = "standard input" if model == STANDARD else model
        print_lines(_describe(loaded, name, None if show_all else _SHOWN))


def _to_document(model: "Model") -> dict[str, Any]:
    """The sections of the file; the summary with all that follows from it."""
    sections = model.to_dict()
    if model.summary is not None:
        sections["summary"] = model.summary.to_dict()
    return sections


def _describe(model: "Model", name: str, most: int | None) -> list[str]:
    return [
        *paragraph(f"{show_text(name)}: a onelayer model"),
        "",
        *_describe_facts(model),
        "",
        *describe_columns(model.schema.describe()),
        "",
        *describe_own_evaluation(model),
        "",
        *_describe_choice(model),
        *describe_summary(model, most),
        "",
        *say_certificate(model),
    ]


def _describe_choice(model: "Model") -> list[str]:
    lines = describe_threshold(model)
    return [*lines, ""] if lines else []


def _describe_facts(model: "Model") -> list[str]:
    facts = model.training
    source = show_text(facts.table)
    if facts.sha256 is not None:
        source += f" (SHA-256 {facts.sha256[:16]}...)"
    rows = [
        ["predicts", f"{show_text(model.target)}: {show_text(model.schema.target.reason)}"],
        ["says", f"{quote(model.positive)} where its probability is above {model.threshold:g}"],
        ["learnt from", source],
        ["rows", f"{facts.rows:,}, {facts.positives:,} of them {quote(model.positive)}"],
        ["solver", f"{facts.solver}, C={facts.C:g}, {count(facts.iterations, 'step')}"],
    ]
    if model.strength is not None:
        rows.append(["C", describe_strength(model.strength)])
    rows += [
        [each.kind, f"{each.at}; before, {each.rows:,} rows of {show_text(each.table)}"]
        for each in model.history
    ]
    return tabulate(["", ""], rows + describe_remarks(model))
