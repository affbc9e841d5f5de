"""Rows of a raw table as the solver takes them: those to train on, and those held out."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block, ClassFactors, weigh_classes
from onelayer.encoding import to_features
from onelayer.labelling import Labelled
from onelayer.rows.ahead import make_ahead
from onelayer.rows.cache import CacheWriter
from onelayer.streaming.threshold import Spent
from onelayer.table.schema import Schema, read_weights
from onelayer.table.stream import Batch
from onelayer.table.survey import Split
from onelayer.thresholds.choice import Costs
from onelayer.thresholds.costs import read_costs


class Marked(NamedTuple):
    """A batch, and of its rows which are there, which held out, the labels and the weights."""

    batch: Batch
    there: NDArray[np.bool_]
    held: NDArray[np.bool_]
    labels: NDArray[np.int8]
    weights: NDArray[np.float64]


def encode_batches(
    schema: Schema, split: Split, batches: Iterator[Batch], costs: Costs | None = None
) -> Iterator[tuple[int, Block, Block]]:
    """`encode_batch` of each, while the next are read and marked in threads of their own."""
    with closing(make_ahead(batches)) as coming:
        marked = make_ahead(_mark(schema, split, batch, costs) for batch in coming)
        with closing(marked):
            for each in marked:
                yield _encode(schema, each)


def encode_batch(
    schema: Schema, split: Split, batch: Batch, costs: Costs | None = None
) -> tuple[int, Block, Block]:
    """The rows of a batch, how many; of those that are there the trained and the held.

    Raises
    ------
    InputError: a cost is missing or no number, though it is needed only later.
    """
    return _encode(schema, _mark(schema, split, batch, costs))


def _mark(schema: Schema, split: Split, batch: Batch, costs: Costs | None) -> Marked:
    """Read what decides a row's use."""
    table = batch.table
    there, held = split.apply(batch.first, table)
    labels = schema.labels(table)
    if costs is not None:
        read_costs(costs, table, labels[there], there, table.na)
    weights = np.broadcast_to(1.0, len(labels))
    if schema.weight is not None:
        weights = read_weights(table, schema.weight, split.na, some=False)
    return Marked(batch, there, held, np.nan_to_num(labels).astype(np.int8), weights)


def _encode(schema: Schema, marked: Marked) -> tuple[int, Block, Block]:
    """Read the features, and part the rows."""
    batch, there, held, labels, weights = marked
    whole = Block(to_features(schema.encode(batch.table)), labels[None], weights)
    return len(there), _choose(whole, there & ~held), _choose(whole, held)


def note_rows(
    save: Callable[..., None], writers: Mapping[str, CacheWriter], read: int
) -> Callable[[], None]:
    """What puts the rows so far on the disk, then a note of how many there are: for a thread.

    `read` rows of the table have been read for them; more may be appended meanwhile.
    """
    rows: dict[str, object] = {"read": read}
    for name, writer in writers.items():
        writer.flush()
        rows[name] = [writer.n_rows, writer.n_words]

    def note() -> None:
        for writer in writers.values():
            writer.sync()
        save(rows=rows)

    return note


def spend_on(
    schema: Schema, split: Split, batch: Batch, costs: Costs, numbers: NDArray[np.intp], first: int
) -> tuple[int, Spent]:
    """How many rows of a batch are trained on; what the decisions on some of these cost.

    The first of them has the number `first` among all rows trained on; `numbers`, ascending, say
    which are wanted.
    """
    table = batch.table
    there, held = split.apply(batch.first, table)
    trained = np.flatnonzero(there & ~held)
    ends = np.searchsorted(numbers, (first, first + len(trained)))
    chosen = np.zeros(len(there), dtype=bool)
    chosen[trained[numbers[ends[0] : ends[1]] - first]] = True
    return len(trained), read_costs(costs, table, schema.labels(table)[chosen], chosen, table.na)


def stack_spent(parts: Iterable[Spent]) -> Spent:
    """What the decisions on rows cost that came in parts."""
    yes, no = zip(*parts)
    return np.concatenate(yes), np.concatenate(no)


def label_held(
    schema: Schema, split: Split, batch: Batch, factors: ClassFactors = (1.0, 1.0)
) -> Labelled:
    """The rows held out of a batch, with their table; weights times a factor for each class."""
    table = batch.table
    _, held = split.apply(batch.first, table)
    weights = np.broadcast_to(1.0, len(held))
    if schema.weight is not None:
        weights = read_weights(table, schema.weight, split.na, some=False)
    labels = schema.labels(table)[held]
    features = to_features(schema.encode(table)).take(np.flatnonzero(held))
    return Labelled(features, labels, weigh_classes(labels, weights[held], factors), table, held)


def _choose(block: Block, rows: NDArray[np.bool_]) -> Block:
    return block if rows.all() else block.take(np.flatnonzero(rows))
