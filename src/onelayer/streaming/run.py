"""One training on a long table, pass by pass."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.assessing import Scored, Scorer, assess
from onelayer.balance import Balance, sum_classes
from onelayer.blocks import Block, ClassFactors
from onelayer.coordinates import Coordinates, measure_columns
from onelayer.encoding import warn_of_no_holdout, warn_of_rows_without_target
from onelayer.errors import InputError
from onelayer.facts import TrainingFacts, state_solution
from onelayer.fitting import fit
from onelayer.inference import summarise_training
from onelayer.judging.best_column import find_best_column
from onelayer.judging.evaluation import Evaluation
from onelayer.labelling import Labelled
from onelayer.loss import SigmoidLoss
from onelayer.model import Model
from onelayer.naming import Naming
from onelayer.outcome import warn_of_outcome
from onelayer.rows.ahead import make_ahead
from onelayer.rows.blas import single_threaded_blas
from onelayer.rows.cache import Cache, CacheWriter
from onelayer.rows.files import FileRows, ReadRows
from onelayer.rows.journal import Journal
from onelayer.rows.partitioned import ClusterRows
from onelayer.solvers.solution import Progress, Solution
from onelayer.stored import from_stored, to_stored
from onelayer.streaming.asked import USUAL_PASSES, Means, Settings
from onelayer.streaming.encoded import (
    encode_batches,
    label_held,
    note_rows,
    spend_on,
    stack_spent,
)
from onelayer.streaming.seen import level, see_scores
from onelayer.streaming.strength import settle_far_strength
from onelayer.streaming.telling import Telling
from onelayer.streaming.threshold import Spent, settle_threshold
from onelayer.strength import Start
from onelayer.summary import note_balance
from onelayer.table.plan import lay_out
from onelayer.table.reading import Table
from onelayer.table.reference import Bins, Reference, bin_columns
from onelayer.table.schema import Schema
from onelayer.table.stream import Stream
from onelayer.table.survey import Split, Survey, find_trained, infer_from_survey, take_survey
from onelayer.table.values import RefusedValueError
from onelayer.thresholds.costs import read_costs
from onelayer.workspace import Workspace, free_bytes

Array = NDArray[Any]

SAMPLE_SHARE = 8  # one part in so many of the memory for the solver's sample,
BATCH_SHARE = 48  # and for a batch of raw rows, which is decoded, encoded and copied on the way;
ROOMY_SHARE = 16  # or of what is there beyond this, which blocks, threads and polars take anyway:
TAKEN_ANYWAY = 128_000_000  # larger batches are worth it, as each column of one costs some calls
GROUP_SHARE = 12  # of that, for a row group that is decoded at once: three may be there at a time
LARGER = 3  # times as many rows are taken at a time where a row group is then read whole
RANKED_SHARE = 10  # and for the scores of rows held out, as they are ranked:
RANKED_BYTES = 64  # with what it takes to sort them
PIECES = 2  # of a file that may be in memory at a time
HESSIANS = 16  # that are in memory at a time: of blocks under way, their sum, its factor
TRAINED, HELD, PASSES = "trained", "held", "passes"
PassedRows = FileRows | ClusterRows
SAVED_EVERY = 64  # batches encoded between two notes of how far the cache is


class Run:
    """One training, from the table to the model."""

    def __init__(
        self,
        source: Stream,
        split: Split,
        means: Means,
        settings: Settings,
        workspace: Workspace,
    ) -> None:
        roomy = means.memory - TAKEN_ANYWAY
        self.source = replace(source, room=roomy // GROUP_SHARE)
        self.split, self.means, self.workspace = split, means, workspace
        self.settings = settings
        width, group = max(1, len(source.schema)), source.group_rows
        batch = max(means.memory // BATCH_SHARE, roomy // ROOMY_SHARE)
        self.batch_rows = max(1_000, batch // (16 * width))
        if self.batch_rows < group <= LARGER * self.batch_rows:
            self.batch_rows = group
        elif self.batch_rows < group:  # parts of a group, so that none is made of two
            self.batch_rows = -(-group // -(-group // self.batch_rows))
        self.telling = Telling(means, source)

    def settle(self, choices: Mapping[str, Any]) -> Schema | Table:
        """The first pass: what the columns hold; or the table, if it is short enough to hold.

        Says what the rest will need, and keeps what it found.
        """
        if "schema" in self.workspace.state:
            return Schema.from_dict(self.workspace.state["schema"])
        rows = f"{self.source.rows:,} rows of " if self.source.rows else ""
        self.telling.say(
            f"{rows}{self.source.name}: two passes over the table, then about {USUAL_PASSES} over "
            f"its encoded rows on disk; {self.means.memory / 1e6:,.0f} MB of memory"
        )
        self._require_pieces()
        batches = make_ahead((b.first, b.table) for b in self.source.batches(self.batch_rows))
        survey = take_survey(batches, self.split, self.source.name, self.telling.tell("surveying"))
        if survey.is_whole:
            return survey.sample
        took = self.telling.seconds()
        self.telling.tell("settling the columns", known=False)(0)
        schema = self._infer(survey, choices)
        layout = lay_out(schema)
        needed, free = layout.row_bytes * survey.n_there, free_bytes(self.means.folder)
        self._require(needed if self.means.cached else 0, free, layout.n_columns)
        where = (
            f"{needed / 1e6:,.0f} MB on disk in {self.workspace.folder}, {free / 1e9:,.0f} GB are "
            "free"
            if self.means.cached
            else "encoded again in every pass"
        )
        self.telling.say(
            f"{survey.n_there:,} rows of {layout.n_columns:,} numbers, {where}; "
            f"the first pass took {took:,.0f} s"
        )
        self.note_survey(survey, schema)
        return schema

    def _infer(self, survey: Survey, choices: Mapping[str, Any]) -> Schema:
        try:
            return infer_from_survey(survey, self.split, **choices)
        except RefusedValueError as refused:
            raise self._find(refused) from None

    def _find(self, refused: RefusedValueError) -> InputError:
        """The error with the place in the table: the survey knows a sample of the rows."""
        return refused.find(b.table for b in self.source.batches(self.batch_rows, [refused.column]))

    def note_survey(self, survey: Survey, schema: Schema) -> None:
        """Keep what was found, and say which rows are not there."""
        name, split, n_unlabelled = self.source.name, self.split, survey.n_rows - survey.n_labelled
        warn_of_rows_without_target(name, split.target, n_unlabelled)
        if split.holdout > 0 and not survey.n_held:
            warn_of_no_holdout(name, survey.n_there, split.holdout)
        self.settings.balance(schema.target, np.ones(2))  # what is wrong with it is said now
        counts = (n_unlabelled, survey.n_there, survey.n_held, survey.left_out)
        trained, weights = find_trained(survey, self.split)
        bins = bin_columns(schema, survey.sample, trained, weights)
        seen = {"rows": len(trained), "bins": to_stored(bins)}
        self.workspace.save(schema=schema.to_dict(), counts=counts, seen=seen)

    def _require_pieces(self) -> None:
        """Refuse files whose smallest readable piece is too large to be held."""
        largest, memory = self.source.largest_piece, self.means.memory
        if PIECES * largest > memory:
            raise InputError(
                f"{self.source.name}: a row group (or record batch) takes about "
                f"{largest / 1e6:,.0f} MB, and {memory / 1e6:,.0f} MB of memory are given: give "
                f"{PIECES * largest / 1e6:,.0f} MB, or write the file again in smaller groups: "
                "polars.scan_parquet('old.parquet').sink_parquet('new.parquet', "
                "row_group_size=100_000)"
            )

    def _require(self, needed: int, free: int, n_columns: int) -> None:
        if needed > free:
            raise InputError(
                f"the encoded rows take {needed / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free "
                f"in {self.workspace.folder.parent}: name another folder (cache, --cache)"
            )
        hessian = 8 * (n_columns + 1) ** 2
        if HESSIANS * hessian > self.means.memory:
            raise InputError(
                f"{n_columns:,} parameters need {HESSIANS * hessian / 1e6:,.0f} MB for their "
                f"second derivatives, and {self.means.memory / 1e6:,.0f} MB are given: give more "
                "memory, or drop the columns of most levels"
            )

    def encode(self, schema: Schema) -> None:
        """The second pass: the rows to disk, those held out apart."""
        state, folder, layout = self.workspace.state, self.workspace.folder, lay_out(schema)
        if state.get("encoded") or not self.means.cached:
            return
        for name in (TRAINED, HELD):
            (folder / name).mkdir(exist_ok=True)
        done = state.get("rows", {"read": 0, TRAINED: [0, 0], HELD: [0, 0]})
        tell = self.telling.tell("encoding")
        with (
            CacheWriter(folder / TRAINED, layout, *done[TRAINED]) as trained,
            CacheWriter(folder / HELD, layout, *done[HELD]) as held,
            closing(make_ahead(self._encode_from(schema, done["read"]))) as encoded,
            ThreadPoolExecutor(1, thread_name_prefix="onelayer-note") as beside,
        ):
            read, noted = done["read"], beside.submit(lambda: None)
            note = partial(note_rows, self.workspace.save, {TRAINED: trained, HELD: held})
            for k, (n_rows, for_training, held_out) in enumerate(encoded):
                trained.append(for_training)
                held.append(held_out)
                read += n_rows
                tell(read)
                if k % SAVED_EVERY == SAVED_EVERY - 1:
                    noted.result()
                    noted = beside.submit(note(read))
            noted.result()
            note(read)()
        self.workspace.save(encoded=True)

    def _encode_from(self, schema: Schema, row: int) -> Iterator[tuple[int, Block, Block]]:
        """The batches from a row on, encoded."""
        batches = self.source.batches(self.batch_rows, start=row)
        return encode_batches(schema, self.split, batches, self.settings.costs)

    def learn(self, schema: Schema) -> Model:
        """Passes over the encoded rows until the optimum is proved; then those held out."""
        with closing(self._open(TRAINED, schema, self.settings.weight_kind)) as rows:
            return self._learn(rows, schema)

    def _learn(self, rows: PassedRows, schema: Schema) -> Model:
        """The model; `rows` are those trained on, as they came."""
        steps: list[Progress] = []
        rows.watch = self.telling.follow(rows.n_rows, steps)
        sums = sum_classes(rows)
        balance = self.settings.balance(schema.target, sums)
        weighed = rows if balance is None else rows.by_class(balance.in_fit)
        with single_threaded_blas():
            where = measure_columns(rows, fit_intercept=True)
            there = where if weighed is rows else measure_columns(weighed, fit_intercept=True)
        settings, choice, start = settle_far_strength(weighed, self.settings)
        fitted = self._fit(weighed, schema, there, settings, steps, start)
        warn_of_outcome(fitted)
        solution = fitted if balance is None else balance.restore_far(fitted, rows, sums)
        threshold, cut = settle_threshold(
            rows, partial(self._spend, schema), solution, settings, self.means.n_jobs, balance
        )
        summary = summarise_training(
            weighed,
            fitted,
            schema.feature_names,
            settings.strength,
            settings.weight_kind,
            settings.l1_ratio,
            there,
        )
        model = Model(
            schema=schema,
            W=solution.W,
            b=solution.b,
            averages=where.centre,
            certificate=solution.certificate,
            training=self._state_facts(rows, solution, settings, schema, balance),
            threshold=threshold,
            threshold_choice=cut,
            strength=choice,
            summary=summary if balance is None else note_balance(summary, float(solution.b[0, 0])),
            reference=self._see(rows, solution),
            best_column=find_best_column(rows, schema.feature_columns),
        )
        return replace(model, evaluation=self._judge(model))

    def _spend(self, schema: Schema, numbers: NDArray[np.intp], labels: Array) -> Spent:
        """What the decisions on some of the rows trained on cost, read from the table."""
        costs = self.settings.costs
        assert costs is not None
        if not costs.columns:
            return read_costs(costs, None, labels, np.ones(len(labels), dtype=bool))
        weight = [] if self.split.weight is None else [self.split.weight]
        columns, first, parts = [*costs.columns, self.split.target, *weight], 0, []
        for batch in make_ahead(self.source.batches(self.batch_rows, columns)):
            count, spent = spend_on(schema, self.split, batch, costs, numbers, first)
            first += count
            parts.append(spent)
        return stack_spent(parts)

    def _see(self, rows: PassedRows, solution: Solution) -> Reference:
        """The rows trained on in bins: columns as the survey saw them, scores of a sample."""
        seen = self.workspace.state["seen"]
        bins = from_stored(tuple[Bins, ...], seen["bins"], "bins")
        return see_scores(rows, solution.W, solution.b, bins, seen["rows"])

    def _open(self, name: str, schema: Schema, weight_kind: str = "frequency") -> PassedRows:
        layout, room = lay_out(schema), self.means.memory / SAMPLE_SHARE
        _, n_there, n_held, _ = self.workspace.state["counts"]
        n = n_held if name == HELD else n_there - n_held
        rows: FileRows
        if self.means.cached:
            cache = Cache(self.workspace.folder / name, layout, n)
            rows = FileRows(cache, self.means.n_jobs, room)
        else:
            rows = ReadRows(lambda: self._read(schema, name), layout, n, self.means.n_jobs, room)
        rows.journal = Journal(self.workspace.folder / f"{PASSES}-{name}")
        return rows.by_class(level(rows)) if weight_kind == "sampling" and layout.weighted else rows

    def _read(self, schema: Schema, name: str) -> Iterator[Block]:
        """The rows of one use, encoded as they are read from the table."""
        for _, trained, held in self._encode_from(schema, 0):
            yield held if name == HELD else trained

    def _fit(
        self,
        rows: PassedRows,
        schema: Schema,
        where: Coordinates,
        settings: Settings,
        steps: list[Progress],
        start: Start | None,
    ) -> Solution:
        scale, origin = np.array(schema.feature_units).reshape(-1, 2).T
        naming = Naming(schema.feature_names, scale=scale, origin=origin)
        return fit(
            rows,
            SigmoidLoss(1),
            start=start,
            watch=self.telling.note_in(steps),
            C=settings.strength,
            l1_ratio=settings.l1_ratio,
            tol=settings.tol,
            solver=settings.solver,
            descent=settings.descent,
            where=where,
            naming=naming,
            remarks=True,
        )

    def _judge(self, model: Model) -> Evaluation | None:
        """The model on the rows held out; those of groups and costs are read once more."""
        if not self.workspace.state["counts"][2]:
            return None
        subject, balance = model.subject, model.training.balance
        factors = (1.0, 1.0)
        if balance is not None and balance.base_rate is not None:
            with closing(self._open(HELD, model.schema)) as rows:
                factors = balance.met(sum_classes(rows))
        raw = model.protected or (subject.costs is not None and subject.costs.columns)
        read = self._read_held if raw else self._open_held
        parts = read(model.schema, subject.scorer, factors)
        run_rows = max(1, self.means.memory // RANKED_SHARE // RANKED_BYTES)
        folder = str(self.workspace.folder)
        return assess(subject, parts, run_rows=run_rows, folder=folder, n_jobs=1, drift=False)

    def _open_held(self, schema: Schema, scorer: Scorer, factors: ClassFactors) -> Iterator[Scored]:
        with closing(self._open(HELD, schema)) as rows:
            yield from rows.by_class(factors).map(
                lambda block: scorer.score(
                    Labelled(block.features, block.labels[0], block.weights), n_jobs=1
                )
            )

    def _read_held(self, schema: Schema, scorer: Scorer, factors: ClassFactors) -> Iterator[Scored]:
        for batch in make_ahead(self.source.batches(self.batch_rows)):
            yield scorer.score(label_held(schema, self.split, batch, factors), n_jobs=1)

    def _state_facts(
        self,
        rows: PassedRows,
        solution: Solution,
        settings: Settings,
        schema: Schema,
        balance: Balance | None,
    ) -> TrainingFacts:
        n_unlabelled, _, n_held, left_out = self.workspace.state["counts"]
        stated = state_solution(solution)
        if balance is not None:
            stated["remarks"] = (*stated["remarks"], balance.remark(schema.target.positive))
        positives = rows.reduce(lambda block: int(block.labels.sum()))
        return TrainingFacts(
            table=self.source.name,
            sha256=self.source.fingerprint,
            target=self.split.target,
            rows=rows.n_rows,
            positives=positives,
            holdout_rows=n_held,
            left_out_lines=tuple(left_out),
            without_target=n_unlabelled,
            seed=self.split.seed,
            C=settings.strength,
            l1_ratio=float(settings.l1_ratio),
            tol=float(settings.tol),
            weight_kind=settings.weight_kind,
            holdout=float(self.split.holdout),
            balance=balance,
            **stated,
        )
