"""`onelayer update` and `onelayer forget`: the same model with other rows in it."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from onelayer.cli.amounts import count
from onelayer.cli.options import (
    STANDARD,
    Command,
    check_output,
    json_option,
    load,
    model_argument,
    read,
    refuse_two_from_input,
    table_argument,
    table_options,
)
from onelayer.cli.output import paragraph, print_json, print_lines, quote, show_text, tabulate
from onelayer.cli.progress import Progress
from onelayer.cli.sections import describe_own_evaluation, say_certificate
from onelayer.cli.train import save_model, say_where
from onelayer.errors import InputError

if TYPE_CHECKING:
    from onelayer.model import Model


def revision_options(command: Command) -> Command:
    """What both commands take."""
    options: tuple[Callable[[Command], Command], ...] = (
        model_argument,
        table_argument,
        click.option("--test", metavar="TABLE", help="Judge the new model on this table."),
        table_options,
        click.option(
            *("-o", "--output"),
            required=True,
            metavar="FILE",
            help="Where the new model goes; - for standard output.",
        ),
        json_option,
    )
    for decorate in reversed(options):
        command = decorate(command)
    return command


@click.command()
@revision_options
def update(model: str, table: str, output: str, as_json: bool, **options: Any) -> None:
    """Fit MODEL to all rows of TABLE, those of before and new ones.

    Columns are read as MODEL reads them, and C stays: the fit sets out from its weights, so that a
    pass or two over the rows is enough.
    """
    _revise("update", model, table, output, as_json, **options)


@click.command()
@revision_options
def forget(model: str, table: str, output: str, as_json: bool, **options: Any) -> None:
    """Fit MODEL to TABLE, which holds all rows but those to be forgotten."""
    _revise("forget", model, table, output, as_json, **options)


def _revise(
    kind: str,
    model: str,
    table: str,
    output: str,
    as_json: bool,
    *,
    test: str | None,
    names: tuple[str, ...],
    na: tuple[str, ...],
) -> None:
    refuse_two_from_input(model, table, test)
    if as_json and output == STANDARD:
        raise InputError("--json and -o - would both fill standard output: name a file with -o")
    check_output(output, table, test)
    with Progress(f"reading {table}") as progress:
        loaded = load(model)
        raw = read(table, names, na)
        judged = None if test is None else read(test, names, na)
        progress.say(f"fitting {raw.name}")
        from onelayer import updating

        change = updating.update if kind == "update" else updating.forget
        revised = change(loaded, raw, test=judged, watch=progress.watch)
        size = save_model(revised, output)
    if as_json:
        print_json(_to_document(revised, output))
    else:
        lines = [*_describe(revised), "", *say_where(output, size)]
        print_lines(lines, sys.stderr if output == STANDARD else None)


def _to_document(model: "Model", output: str) -> dict[str, Any]:
    sections = model.to_dict()
    names = ("training", "evaluation", "certificate", "history")
    return {"model": output, **{name: sections[name] for name in names}}


def _describe(model: "Model") -> list[str]:
    facts, before = model.training, model.history[-1]
    rows = f"{facts.rows:,}, {facts.positives:,} of them {quote(model.positive)}"
    steps = (
        f"{facts.solver}, C={facts.C:g}, {count(facts.iterations, 'step')} and "
        f"{facts.passes:,} pass{'es' * (facts.passes != 1)} over the rows in "
        f"{facts.seconds:.2f} s: {facts.message}"
    )
    said = [
        ["rows", rows],
        ["before", f"{before.rows:,} rows of {show_text(before.table)}"],
        ["solver", steps],
    ]
    return [
        *paragraph(f"{show_text(facts.table)}: the model now holds its rows and no others"),
        "",
        *tabulate(["", ""], said),
        "",
        *describe_own_evaluation(model),
        "",
        *say_certificate(model),
    ]
