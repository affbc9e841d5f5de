"""`onelayer train`: learn from a table, say what was done, and leave a model file."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from onelayer.cli.amounts import count
from onelayer.cli.interrupt import note_written
from onelayer.cli.options import (
    STANDARD,
    check_output,
    json_option,
    read,
    refuse_two_from_input,
    table_argument,
)
from onelayer.cli.output import (
    paragraph,
    print_json,
    print_lines,
    quote,
    show_text,
    tabulate,
)
from onelayer.cli.progress import Progress
from onelayer.cli.report import say_page, write_page
from onelayer.cli.sections import (
    describe_columns,
    describe_own_evaluation,
    describe_remarks,
    describe_strength,
    say_certificate,
)
from onelayer.cli.settings import settle_options, training_options
from onelayer.cli.sources import WholeTable, list_files, open_table
from onelayer.errors import InputError

if TYPE_CHECKING:
    from onelayer.model import Model
    from onelayer.table.reading import Table
    from onelayer.table.stream import Stream


@click.command()
@table_argument
@training_options
@click.option(
    "-o",
    "--output",
    default="model.json",
    show_default=True,
    metavar="FILE",
    help="Where the model goes; - for standard output.",
)
@click.option("--report", "page", metavar="FILE", help="Also write a report of it, a page.")
@json_option
def train(
    table: str,
    names: tuple[str, ...],
    na: tuple[str, ...],
    output: str,
    page: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Learn the yes or no in a column of TABLE, and write a model file.

    Says what was done with every column, how well the model does on rows that it has not seen, and
    how far it can at most be from the exact optimum.
    """
    options = settle_options(options)
    test = options.pop("test", None)
    refuse_two_from_input(table, test)
    if as_json and output == STANDARD:
        raise InputError("--json and -o - would both fill standard output: name a file with -o")
    inputs = [*list_files(table), *list_files(test)]
    check_output(output, *inputs)
    _check_page(page, output, *inputs)
    with Progress(f"reading {table}") as progress:
        model, rows, shown = _learn(table, test, names, na, progress, options)
        size = save_model(model, output)
        if page is not None:
            progress.say("drawing the report")
            page_size = write_page(model, shown, page, memory=options.get("memory"))
    if as_json:
        print_json({**to_document(model, output), **({"report": page} if page else {})})
    else:
        lines = describe_training(model, rows)
        lines += ["", *say_where(output, size)]
        lines += say_page(page, page_size) if page else []
        print_lines(lines, sys.stderr if output == STANDARD else None)


def _learn(
    table: str,
    test: str | None,
    names: tuple[str, ...],
    na: tuple[str, ...],
    progress: Progress,
    options: dict[str, Any],
) -> tuple["Model", int, "Stream | WholeTable"]:
    """The model, how many rows the table has, and the table that a report is of."""
    source: Stream | WholeTable
    cluster = options.pop("cluster", None)
    long = cluster is not None or is_long(table, options)
    judged = None if test is None else open_judged(test, names, na, long, options)
    if long:
        with reach(cluster, progress) as client:
            options["client"] = client
            model = train_streamed(table, names, na, progress, options)
        facts = model.training
        rows = facts.rows + facts.holdout_rows + facts.without_target
        source = _open_again(table, names, na, options)
    else:
        source = WholeTable(read(table, names, na))
        model = train_model(source.table, progress, options)
        rows = source.rows
    return model, rows, judged or source


def _check_page(page: str | None, output: str, *inputs: str | None) -> None:
    if page == STANDARD:
        raise InputError("--report is a page to open: name a file, such as report.html")
    if page is not None and page == output:
        raise InputError(f"--report {page} is where the model goes: choose another name")
    if page is not None:
        check_output(page, *inputs)


def open_judged(
    test: str, names: tuple[str, ...], na: tuple[str, ...], long: bool, options: dict[str, Any]
) -> "Stream | WholeTable":
    """Open the table to judge on; in batches where that to learn from is read so."""
    from onelayer.amounts import read_memory

    memory = options.get("memory")
    if memory is None and long and test != STANDARD:
        memory = read_memory(None)
    judged = open_table(test, names, na, memory)
    options["test"] = judged.table if isinstance(judged, WholeTable) else judged
    return judged


def _open_again(
    table: str, names: tuple[str, ...], na: tuple[str, ...], options: dict[str, Any]
) -> "Stream":
    from onelayer.table.stream import open_stream

    return open_stream(table, names=names or None, na=na, query=options.get("query"))


def train_model(raw: "Table", progress: Progress, options: dict[str, Any]) -> "Model":
    """Train on a table that has been read."""
    progress.say(f"looking at the columns of {raw.name}")
    from onelayer.training import train as learn

    return learn(raw, tell=progress.tell, watch=progress.watch, **options)


@contextmanager
def reach(cluster: str | None, progress: Progress) -> Iterator[Any]:
    """A client of the cluster at an address; None where there is none."""
    if cluster is None:
        yield None
        return
    from onelayer.rows.cluster import connect

    progress.say(f"reaching {cluster}")
    with connect(cluster) as client:
        yield client


def is_long(table: str, options: dict[str, Any]) -> bool:
    """Whether the table is to be read in batches; refuses options that would then be ignored."""
    from onelayer.streaming import is_streamed

    long = is_streamed(table, options.get("memory"))
    for name in ("cache", "resume"):
        if not long and options.pop(name, False) is not False:
            raise InputError(f"--{name} is for tables that are read in batches: add --memory SIZE")
    return long


def train_streamed(
    table: str,
    names: tuple[str, ...],
    na: tuple[str, ...],
    progress: Progress,
    options: dict[str, Any],
) -> "Model":
    """Train on a table that is read in parts, here or on a cluster; says first what that takes."""
    from onelayer.training import train as learn

    return learn(
        table,
        names=names or None,
        na=na,
        tell=progress.tell,
        say=progress.note,
        watch=progress.watch,
        **options,
    )


def save_model(model: "Model", output: str) -> int:
    """Write the model file, and return its size in bytes."""
    from onelayer.writing import replace_file, write_whole

    encoded = model.to_bytes()
    if output == STANDARD:
        write_whole(sys.stdout.buffer, encoded)
    else:
        replace_file(output, lambda stream: stream.write(encoded))
        note_written(output)
    return len(encoded)


def say_where(output: str, size: int) -> list[str]:
    """Where the model file is, and how large."""
    where = "standard output" if output == STANDARD else show_text(output)
    return paragraph(f"The model went to {where} ({size / 1024:,.0f} KB).")


def to_document(model: "Model", output: str) -> dict[str, Any]:
    """What `train --json` prints; the sections are those of the model file."""
    sections = model.to_dict()
    return {
        "model": output,
        "target": sections["schema"]["target"],
        "columns": [
            {"column": each.column, "role": each.role, "done": each.done, "reason": each.reason}
            for each in model.schema.describe()
        ],
        **{name: sections[name] for name in ("training", "evaluation", "certificate")},
        "threshold": sections["threshold"],
        **{name: sections[name] for name in ("strength", "threshold_choice") if name in sections},
    }


def describe_training(model: "Model", rows: int) -> list[str]:
    """The report of a training, in lines."""
    return [
        *paragraph(
            f"{show_text(model.training.table)}: {count(rows, 'row')}, "
            f"{count(len(model.schema.columns), 'column')}"
        ),
        "",
        *_describe_task(model),
        "",
        *describe_columns(model.schema.describe()),
        "",
        *describe_own_evaluation(model),
        "",
        *say_certificate(model),
    ]


def _describe_task(model: "Model") -> list[str]:
    facts = model.training
    rows = f"{facts.rows:,} to learn from, {facts.positives:,} of them {quote(model.positive)}"
    if facts.holdout_rows:
        rows += f"; {facts.holdout_rows:,} held out to judge on (seed {facts.seed})"
    if facts.left_out_lines:
        rows += f"; {count(len(facts.left_out_lines), 'malformed line')} left out"
    if facts.without_target:
        rows += f"; {facts.without_target:,} without a target left out"
    solver = (
        f"{facts.solver}, {count(facts.iterations, 'step')} and {facts.passes:,} passes over the "
        f"rows in {facts.seconds:.2f} s: {show_text(facts.message)}"
    )
    said = [
        ["target", f"{show_text(model.target)}: {show_text(model.schema.target.reason)}"],
        ["rows", rows],
        ["solver", solver],
    ]
    if model.strength is not None:
        said.append(["C", describe_strength(model.strength)])
    if model.schema.weight is not None:
        said.insert(2, ["weight", f"the rows weigh {show_text(model.schema.weight)}"])
    return tabulate(["", ""], said + describe_remarks(model))
