"""Another table to judge a model on: in memory, or read in batches as the one to learn from."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from onelayer.amounts import read_memory
from onelayer.batch_scoring import judge_batches
from onelayer.model import Model
from onelayer.streaming.asked import Means, Stage, is_files, is_streamed
from onelayer.streaming.telling import Telling
from onelayer.table.reading import Table, read_table
from onelayer.table.stream import Batch, Stream, open_stream
from onelayer.table.values import require_names


def open_other(
    other: Any, target: str, names: Sequence[str] | None, na: Sequence[str], far: bool
) -> Table | Stream | None:
    """The table to judge on, if any; a text file has no header where the other one has none.

    It is read in batches where it is more than one file, or where that to learn from is (`far`).

    Raises
    ------
    InputError: it cannot be read, or has no target.
    """
    if other is None:
        return None
    if isinstance(other, Stream):
        opened: Table | Stream = other
    elif is_files(other) and (far or is_streamed(other, None)):
        opened = open_stream(other, names=names, na=na)
    else:
        is_file = isinstance(other, str | os.PathLike) or hasattr(other, "read")
        opened = read_table(other, names=names if is_file else None, na=na)
    there = opened.frame.columns if isinstance(opened, Table) else list(opened.schema)
    require_names(opened.name, there, [target])
    return opened


def judge_on(
    model: Model,
    other: Table | Stream,
    memory: int | str | None,
    tell: Callable[[Stage], None] | None,
) -> Model:
    """The model with the evaluation on another table, which takes at most so much memory."""
    if isinstance(other, Table):
        return model.judged_on(other)
    allowed = read_memory(memory)
    told = Telling(Means(allowed, tell=tell), other).tell("judging")

    def watch(batches: Iterator[Batch]) -> Iterator[Batch]:
        for batch in batches:
            told(batch.first)
            yield batch

    found = judge_batches(model, other, allowed, watch)
    return replace(model, training=replace(model.training, test=other.name), evaluation=found)
