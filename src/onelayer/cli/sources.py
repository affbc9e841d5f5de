"""Tables that commands score: in memory as one batch, or larger than memory in many."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from onelayer.cli.options import STANDARD, read
from onelayer.errors import InputError

if TYPE_CHECKING:
    from onelayer.cli.progress import Progress
    from onelayer.table.reading import Table
    from onelayer.table.stream import Batch, Stream

Command = TypeVar("Command", bound=Callable[..., Any])


def _read_memory(context: object, option: object, given: str | None) -> int | None:
    if given is None:
        return None
    from onelayer.amounts import read_memory

    return read_memory(given)


memory_option = click.option(
    "--memory",
    metavar="SIZE",
    callback=_read_memory,
    help="Use at most so much, such as 500MB; the rows are read in batches.",
)


@dataclass(frozen=True)
class WholeTable:
    """A table in memory in the shape of a stream: one batch with all its rows."""

    table: "Table"

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.table.name

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self.table.frame.height

    @property
    def schema(self) -> dict[str, Any]:
        """Its columns."""
        return dict(self.table.frame.schema)

    @property
    def fingerprint(self) -> str | None:
        """What tells that it is the same file again."""
        return self.table.sha256

    def batches(self, rows: int, columns: Sequence[str]) -> "Iterator[Batch]":
        """The one batch, whatever is asked for."""
        from onelayer.table.stream import Batch

        yield Batch(0, self.table)


def is_long(source: str, memory: int | None) -> bool:
    """Whether a table is read in batches: memory is limited, or it is more than one file.

    >>> is_long("loans.csv", None), is_long("loans.csv", 10**9), is_long("loans/*.csv", None)
    (False, True, True)
    """
    if source == STANDARD:
        if memory is not None:
            raise InputError("--memory is for tables in files: standard input is read as a whole")
        return False
    pattern = any(mark in source for mark in "*?[") and not os.path.exists(source)
    return memory is not None or pattern or "://" in source or os.path.isdir(source)


def open_table(
    source: str, names: Sequence[str], na: Sequence[str], memory: int | None
) -> "Stream | WholeTable":
    """The table at a path, in memory or to be read in batches.

    Raises:
        InputError: It cannot be read, or a part that must be read at once does not fit in `memory`.
    """
    if not is_long(source, memory):
        return WholeTable(read(source, names, na))
    from onelayer.table.stream import open_stream

    stream = open_stream(source, names=names or None, na=na)
    if memory is not None and stream.largest_piece > memory:
        raise InputError(
            f"{stream.name}: a piece that must be read at once takes about "
            f"{stream.largest_piece / 1e6:,.0f} MB, and --memory is {memory / 1e6:,.0f} MB; raise "
            "it, or write the file again with smaller row groups"
        )
    return stream


def list_files(source: str | None) -> list[str]:
    """The files that a source is read from, as far as it is of files."""
    if source is None or source == STANDARD or "://" in source or not is_long(source, None):
        return [] if source is None else [source]
    from onelayer.table.stream_files import find_files

    return [str(found.path) for found in find_files(source)]


def watch(
    batches: "Iterator[Batch]", progress: "Progress", doing: str, rows: int | None
) -> "Iterator[Batch]":
    """The batches as they come, and on the bar how many rows were in them."""
    for batch in batches:
        progress.say(doing, batch.first, rows)
        yield batch
