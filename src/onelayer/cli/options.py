"""What several commands take: tables, models, lists of names, numbers, and where output goes."""

import csv
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from onelayer.errors import InputError

if TYPE_CHECKING:
    from onelayer.model import Model
    from onelayer.table.reading import Table

Command = TypeVar("Command", bound=Callable[..., Any])

STANDARD = "-"


def split_names(context: object, option: click.Parameter, given: Sequence[str]) -> tuple[str, ...]:
    """Names separated by commas, in one or several options; quotes hold a comma in a name.

    >>> split_names(None, click.Option(["--drop"]), ["age,sex", '"income, net"'])
    ('age', 'sex', 'income, net')
    """
    rows = csv.reader(given, skipinitialspace=True)
    names = tuple(name.strip() for row in rows for name in row)
    if not all(names):
        raise InputError(f"{option.opts[-1]} has an empty name in it: give names as A,B,C")
    return names


def list_option(flag: str, text: str) -> Callable[[Command], Command]:
    """An option of names, A,B,C."""
    return click.option(flag, multiple=True, metavar="A,B", callback=split_names, help=text)


def table_options(command: Command) -> Command:
    """--names and --na, for reading a table."""
    for decorate in (
        click.option(
            "--na", multiple=True, metavar="WORD", help="A further word for a missing value."
        ),
        list_option("--names", "The column names of a text file that has no header."),
    ):
        command = decorate(command)
    return command


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document instead of text."
)
wanted_option = click.option(
    "--wanted",
    metavar="V",
    help="The value of the target that people hope for; reasons against it come first.",
)
table_argument = click.argument("table")
model_argument = click.argument("model")


def read(source: str, names: Sequence[str] = (), na: Sequence[str] = ()) -> "Table":
    """Read the table at a path, or at standard input."""
    from onelayer.table.reading import read_table

    _require_input(source)
    return read_table(source, names=names or None, na=na)


def load(source: str) -> "Model":
    """Load the model at a path, or at standard input."""
    from onelayer.model import Model

    _require_input(source)
    return Model.load(sys.stdin.buffer if source == STANDARD else source)


def _require_input(source: str) -> None:
    if source == STANDARD and sys.stdin is None:
        raise InputError("standard input is closed: give the path of a file")


def refuse_two_from_input(*sources: str | None) -> None:
    """Refuse standard input for two things at once."""
    if sources.count(STANDARD) > 1:
        raise InputError("standard input (-) can be read once only: give a path for the other")


def check_output(path: str, *inputs: str | None) -> None:
    """Say before any work what would stop `path` from being written, or that it is an input.

    Raises:
        InputError: the folder is missing, or nobody may write there, or `path` is one of `inputs`.
    """
    from onelayer.writing import check_target

    if path == STANDARD:
        if sys.stdout is None:
            raise InputError("standard output is closed: name a file with -o")
        return
    check_target(path)
    for source in inputs:
        if source not in (None, STANDARD) and _are_same(path, source):
            raise InputError(
                f"-o {path} is the input itself, which would be lost: choose another name"
            )


def _are_same(path: str, source: str | None) -> bool:
    try:
        return source is not None and os.path.samefile(path, source)
    except (OSError, ValueError):
        return False
