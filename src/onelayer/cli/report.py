"""`onelayer report`: all that there is to say of a model, as one page."""

import sys
from typing import TYPE_CHECKING

import click

from onelayer.cli.interrupt import note_written
from onelayer.cli.options import (
    STANDARD,
    check_output,
    json_option,
    load,
    model_argument,
    refuse_two_from_input,
    table_argument,
    table_options,
)
from onelayer.cli.output import paragraph, print_json, print_lines, show_text
from onelayer.cli.progress import Progress
from onelayer.cli.sources import WholeTable, list_files, memory_option, open_table
from onelayer.errors import InputError

if TYPE_CHECKING:
    from onelayer.model import Model
    from onelayer.table.stream import Stream


@click.command()
@model_argument
@table_argument
@table_options
@memory_option
@click.option(
    "-o",
    "--output",
    default="report.html",
    show_default=True,
    metavar="FILE",
    help="Where the page goes; - for standard output.",
)
@click.option(
    "--rows",
    type=click.IntRange(0),
    default=500,
    show_default=True,
    metavar="N",
    help="How many rows of TABLE the page holds at most; 0 for none.",
)
@json_option
def report(
    model: str,
    table: str,
    names: tuple[str, ...],
    na: tuple[str, ...],
    memory: int | None,
    output: str,
    rows: int,
    as_json: bool,
) -> None:
    """Write a page that shows MODEL, and how it does on TABLE: one HTML file, offline.

    With a panel of fields that says what the model would say, and why, as you type.
    """
    refuse_two_from_input(model, table)
    if as_json and output == STANDARD:
        raise InputError("--json and -o - would both fill standard output: name a file with -o")
    check_output(output, model, *list_files(table))
    with Progress(f"reading {table}") as progress:
        loaded = load(model)
        source = open_table(table, names, na, memory)
        progress.say("drawing the report")
        size = write_page(loaded, source, output, rows, memory)
    if as_json:
        print_json({"table": source.name, "report": output, "bytes": size})
    elif output != STANDARD:
        print_lines(say_page(output, size))


def write_page(
    model: "Model",
    source: "Stream | WholeTable",
    output: str,
    rows: int = 500,
    memory: int | str | None = None,
) -> int:
    """Write the page, and return its size in bytes."""
    from onelayer.report import render_report
    from onelayer.writing import replace_file, write_whole

    table = source.table if isinstance(source, WholeTable) else source
    page = render_report(model, table, rows=rows, memory=memory).encode()
    if output == STANDARD:
        write_whole(sys.stdout.buffer, page)
    else:
        replace_file(output, lambda stream: stream.write(page))
        note_written(output)
    return len(page)


def say_page(output: str, size: int) -> list[str]:
    """Where the page is, and how large."""
    return paragraph(
        f"The report went to {show_text(output)} ({size / 1024:,.0f} KB); open it in a browser."
    )
