"""Training on a table that Dask workers read: each its own parts, which it encodes and keeps.

What the columns hold is added up over the parts, as it is over batches on one machine; the rows to
hold out follow from their numbers in the table. So the model is the one that one machine comes to.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.assessing import Scored, Scorer
from onelayer.blocks import Block, ClassFactors, stack_blocks
from onelayer.errors import DataWarning, InputError
from onelayer.model import Model
from onelayer.rows.cluster import Workers, check_here, check_workers, own_versions
from onelayer.rows.partitioned import ClusterRows, load_parts
from onelayer.streaming.asked import Means, Settings, check_solver, is_files
from onelayer.streaming.encoded import (
    encode_batch,
    label_held,
    spend_on,
    stack_spent,
)
from onelayer.streaming.run import HELD, TRAINED, Run
from onelayer.streaming.seen import level
from onelayer.streaming.telling import Telling
from onelayer.streaming.threshold import Spent
from onelayer.table.findings import Findings, limit_lots
from onelayer.table.kept import keep_rows
from onelayer.table.parts import (
    Part,
    batch_rows,
    count_rows,
    cut_stream,
    line_up_frames,
    pick_rows,
    read_frame,
)
from onelayer.table.plan import lay_out
from onelayer.table.reading import Table
from onelayer.table.schema import Schema
from onelayer.table.stream import Stream, open_stream
from onelayer.table.survey import Split, close_survey, sample_size
from onelayer.table.values import RefusedValueError
from onelayer.thresholds.choice import Costs
from onelayer.workspace import Workspace, open_workspace

Array = NDArray[Any]

SIDES = {TRAINED: 0, HELD: 1}


@dataclass(frozen=True)
class Spread:
    """A table on a cluster: its parts, and the futures of their frames where no file has them."""

    name: str
    fingerprint: str | None
    width: int
    parts: Sequence[Part]
    frames: Sequence[Any]
    workers: Workers

    @property
    def rows(self) -> int:
        """How many there are."""
        return sum(part.rows for part in self.parts)

    @property
    def futures(self) -> tuple[Sequence[Any], ...]:
        """Of the frames, if any: they tell whose fault an error is."""
        return () if self.frames[0] is None else (self.frames,)


def is_frames(table: Any) -> bool:
    """Whether a table is a dataframe of Dask; takes no import of it."""
    return type(table).__module__.partition(".")[0].startswith("dask") and hasattr(
        table, "npartitions"
    )


def check_spread(table: Any, **given: Any) -> None:
    """Refuse what has no meaning on a cluster: such options, and tables in memory."""
    for name, value in given.items():
        if value:
            raise InputError(
                f"{name} is for a training on one machine, and this one is on a cluster: leave "
                "it out"
            )
    if not (is_frames(table) or is_files(table)):
        raise InputError(
            f"a cluster reads paths and Dask dataframes, not {type(table).__name__}: train without "
            "a client, or write the table to a file that the workers see"
        )


def train_spread(
    table: Any,
    client: Any,
    split: Split,
    means: Means,
    choices: Mapping[str, Any],
    settings: Settings,
    names: Sequence[str] | None = None,
    query: str | None = None,
) -> Model | Table:
    """The model of a table that the client's workers read; the table itself if it is short.

    Parameters
    ----------
    table: a path, a folder, a glob or a list of paths that every worker sees, a database, the rows
        of which are kept in files that they must see (in the folder of the means), or a dataframe
        of Dask. client: a `dask.distributed.Client`. names: of a text file without a header.
        query: to the database.
    choices: of columns, as in `infer_schema`. settings: of the fit.

    Raises
    ------
    InputError: see `train` and `ClusterRows.from_partitions`.
    """
    check_workers(client)
    stream = None
    if not is_frames(table):
        stream = open_stream(table, names=names, na=split.na, query=query, folder=means.folder)
    fingerprint = None if stream is None else stream.fingerprint
    about = [fingerprint, split.__dict__, dict(choices), settings.to_list()]
    with open_workspace(means.folder, about, False) as workspace:
        if stream is None:
            spread = _spread_frames(table, client)
        else:
            kept = keep_rows(stream, workspace.folder, batch_rows(stream.schema))
            spread = _spread_files(kept, client)
        run = SpreadRun(spread, split, means, settings, workspace)
        schema = run.settle(choices)
        if isinstance(schema, Table):
            return schema
        check_solver(settings)
        run.encode(schema)
        return run.learn(schema)


def _spread_files(stream: Stream, client: Any) -> Spread:
    unknown = [k for k, (source, _) in enumerate(stream.sources) if source.rows is None]
    if unknown:
        sources = [source for source, _ in stream.sources]
        workers = Workers(client, [sources[k].name for k in unknown])
        counting = workers.begin("count", _count, [sources[k] for k in unknown])
        for k, (counted, said) in zip(unknown, workers.fetch(counting, counting)):
            sources[k] = counted
            for each in said:
                warnings.warn(each, DataWarning, stacklevel=5)
        pairs = zip(sources, (fixed for _, fixed in stream.sources))
        stream = replace(stream, sources=tuple(pairs))
    parts = cut_stream(stream)
    workers = Workers(client, [f"partition {k} ({part})" for k, part in enumerate(parts)])
    width, none = len(stream.schema), [None] * len(parts)
    return Spread(stream.name, stream.fingerprint, width, parts, none, workers)


def _spread_frames(table: Any, client: Any) -> Spread:
    names = [f"partition {k}" for k in range(table.npartitions)]
    workers = Workers(client, names)
    frames = list(client.compute(list(table.to_delayed())))
    looking = workers.begin("look", _look, frames, names)
    facts = workers.fetch(looking, looking, frames)
    full = [k for k, (rows, _) in enumerate(facts) if rows]
    if not full:
        raise InputError("the Dask dataframe has no rows; at least one is expected")
    chosen = [names[k] for k in full]
    rows = [facts[k][0] for k in full]
    parts = line_up_frames(chosen, [facts[k][1] for k in full], rows)
    kept, width = [frames[k] for k in full], len(parts[0].schema)
    return Spread("Dask dataframe", None, width, parts, kept, Workers(client, chosen))


class SpreadRun(Run):
    """One training on a cluster: only where rows are read and lie differs from one machine."""

    def __init__(
        self,
        spread: Spread,
        split: Split,
        means: Means,
        settings: Settings,
        workspace: Workspace,
    ) -> None:
        self.spread, self.split, self.means, self.workspace = spread, split, means, workspace
        self.source, self.settings = spread, settings  # type: ignore[assignment]
        self.telling = Telling(means, spread)
        self._loaded: list[Any] = []
        self._opened: dict[str, ClusterRows] = {}

    def settle(self, choices: Mapping[str, Any]) -> Schema | Table:
        """The first pass: what is found in each part, added up."""
        spread, size = self.spread, sample_size(self.spread.width)
        self.telling.say(f"{spread.rows:,} rows of {spread.name} in {len(spread.parts):,} parts")
        self.telling.tell("surveying")(0)
        look = partial(
            _find,
            split=self.split,
            size=size,
            limit=limit_lots(size, spread.rows),
            versions=own_versions(),
        )
        parts = spread.workers.begin("survey", look, spread.parts, spread.frames)
        found = spread.workers.add_up(parts, None, *spread.futures)
        survey = close_survey(found, spread.name)
        if survey.is_whole:
            return survey.sample
        schema = self._infer(survey, choices)
        self.note_survey(survey, schema)
        return schema

    def _find(self, refused: RefusedValueError) -> InputError:
        spread = self.spread
        look = partial(_look_for, refused=refused)
        parts = spread.workers.begin("refused", look, spread.parts, spread.frames)
        found = list(spread.workers.stream(list(parts), parts, *spread.futures))
        return next((InputError(place) for place in found if place), refused)

    def encode(self, schema: Schema) -> None:
        """The second pass: each part's rows as numbers, kept where they were encoded."""
        self.telling.tell("encoding")(0)
        spread, make = self.spread, ToBlocks(schema, self.split, self.settings.costs)
        self._loaded = load_parts(spread.workers, make, spread.parts, spread.frames)
        spread.workers.finish(self._loaded)
        self.telling.say(
            f"the workers keep the rows, {lay_out(schema).n_columns:,} numbers each, after "
            f"{self.telling.seconds():,.0f} s of encoding; now only parameters go out and sums "
            "come back"
        )

    def _open(self, name: str, schema: Schema, weight_kind: str = "frequency") -> ClusterRows:
        rows = ClusterRows(self.spread.workers, self._loaded, self.means.n_jobs, SIDES[name])
        self._opened[name] = rows
        leveled = weight_kind == "sampling" and schema.weight is not None
        return rows.by_class(level(rows)) if leveled else rows

    def _spend(self, schema: Schema, numbers: NDArray[np.intp], labels: Array) -> Spent:
        costs, spread = self.settings.costs, self.spread
        assert costs is not None
        if not costs.columns:
            return super()._spend(schema, numbers, labels)
        own = self._opened[TRAINED].by_partition(numbers, len(spread.parts))
        read = partial(_spend_on, schema=schema, split=self.split, costs=costs)
        parts = spread.workers.begin("costs", read, spread.parts, spread.frames, own)
        return stack_spent(spread.workers.stream(list(parts), parts, *spread.futures))

    def _read_held(self, schema: Schema, scorer: Scorer, factors: ClassFactors) -> Iterator[Scored]:
        """The rows held out, with the columns of groups and costs, which workers read once more."""
        spread = self.spread
        more = {column.name for column in schema.columns if column.role == "protected"}
        read = partial(
            _score_held,
            schema=schema,
            split=self.split,
            scorer=scorer,
            factors=factors,
            kept=sorted({*more, *self.settings.cost_columns}),
        )
        parts = spread.workers.begin("groups", read, spread.parts, spread.frames)
        for scored in spread.workers.stream(list(parts), parts, *spread.futures):
            yield from scored


def _score_held(
    part: Part,
    frame: Any,
    schema: Schema,
    split: Split,
    scorer: Scorer,
    factors: ClassFactors,
    kept: list[str],
) -> list[Scored]:
    """On a worker: the scores of the rows held out of a part, beside the columns of groups."""
    found = []
    for batch in part.batches(frame):
        labelled = label_held(schema, split, batch, factors)
        assert labelled.there is not None
        rows = pick_rows(batch.table, labelled.there, kept)
        found.append(scorer.score(labelled._replace(table=rows, there=None), n_jobs=1))
    return found


def _spend_on(
    part: Part,
    frame: Any,
    numbers: NDArray[np.intp],
    schema: Schema,
    split: Split,
    costs: Costs,
) -> Spent:
    """On a worker: what the decisions on some of a part's rows trained on cost."""
    first, found = 0, []
    for batch in part.batches(frame):
        count, spent = spend_on(schema, split, batch, costs, numbers, first)
        first += count
        found.append(spent)
    return stack_spent(found)


@dataclass(frozen=True)
class ToBlocks:
    """On a worker: from a part of the raw table to its rows to train on, and those held out."""

    schema: Schema
    split: Split
    costs: Costs | None

    def __call__(self, part: Part, frame: Any) -> tuple[Block, Block]:
        sides: tuple[list[Block], list[Block]] = ([], [])
        n_read = 0
        for batch in part.batches(frame):
            count, *blocks = encode_batch(self.schema, self.split, batch, self.costs)
            n_read += count
            for side, block in zip(sides, blocks):
                side.append(block)
        if n_read != part.rows:
            raise InputError("it has another number of rows than before: train again")
        return self._join(sides[0]), self._join(sides[1])

    def _join(self, blocks: list[Block]) -> Block:
        joined = stack_blocks(blocks)
        if self.schema.weight is not None:
            return joined
        return replace(joined, weights=np.broadcast_to(1.0, joined.n_rows))


def _look_for(part: Part, frame: Any, refused: RefusedValueError) -> str | None:
    """On a worker: the error with the place of such a value in a part, if it holds one."""
    found = refused.find(batch.table for batch in part.batches(frame))
    return None if found is refused else str(found)


def _count(source: Any) -> Any:
    return count_rows(source)


def _look(frame: Any, name: str) -> tuple[int, dict[str, Any]]:
    """On a worker: the rows and the columns of a frame."""
    table = read_frame(frame, name)
    return table.frame.height, dict(table.frame.schema)


def _find(
    part: Part, frame: Any, split: Split, size: int, limit: int, versions: dict[str, str]
) -> Findings:
    """On a worker: what a part of the raw table holds."""
    check_here(versions)
    found = Findings(split, size, limit)
    for batch in part.batches(frame):
        found.add(batch.first, batch.table)
    return found
