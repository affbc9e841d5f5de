"""One training on a long table, pass by pass."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.assessing import assess
from onelayer.blocks import Block
from onelayer.coordinates import Coordinates, measure_columns
from onelayer.encoding import to_features
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
from onelayer.network import sigmoid
from onelayer.outcome import warn_of_outcome, warn_of_strength
from onelayer.rows.ahead import make_ahead
from onelayer.rows.blas import single_threaded_blas
from onelayer.rows.cache import Cache, CacheWriter
from onelayer.rows.files import FileRows, ReadRows
from onelayer.rows.partitioned import ClusterRows
from onelayer.scoring import predict_logits
from onelayer.solvers.solution import Progress, Solution
from onelayer.stored import from_stored, to_stored
from onelayer.streaming.asked import USUAL_PASSES, Means, Settings
from onelayer.streaming.encoded import encode_batch
from onelayer.streaming.telling import Telling
from onelayer.streaming.threshold import cross_threshold
from onelayer.strength import Start, StrengthChoice, settle_strength
from onelayer.table.plan import lay_out
from onelayer.table.reading import Table
from onelayer.table.reference import (
    REFERENCE_ROWS,
    Bins,
    Reference,
    bin_columns,
    bin_scores,
)
from onelayer.table.schema import Schema
from onelayer.table.stream import Stream
from onelayer.table.survey import Split, Survey, find_trained, infer_from_survey, take_survey
from onelayer.thresholds.choice import ThresholdChoice, ThresholdRule
from onelayer.thresholds.costs import read_costs
from onelayer.thresholds.crossfit import MOST_ROWS
from onelayer.workspace import Workspace, free_bytes

Array = NDArray[Any]

SAMPLE_SHARE = 8  # one part in so many of the memory for the solver's sample,
BATCH_SHARE = 48  # and for a batch of raw rows, which is decoded, encoded and copied on the way
LARGER = 3  # times as many rows are taken at a time where a row group is then read whole
RANKED_SHARE = 10  # and for the scores of rows held out, as they are ranked:
RANKED_BYTES = 64  # with what it takes to sort them
PIECES = 2  # of a file that may be in memory at a time
HESSIANS = 16  # that are in memory at a time: of blocks under way, their sum, its factor
TRAINED, HELD = "trained", "held"
PassedRows = FileRows | ClusterRows
SAVED_EVERY = 64  # batches encoded between two notes of how far the cache is


class Run:
    """One training, from the table to the model."""

    def __init__(self, source: Stream, split: Split, means: Means, workspace: Workspace) -> None:
        self.source, self.split, self.means, self.workspace = source, split, means, workspace
        width = max(1, len(source.schema))
        self.batch_rows = max(1_000, means.memory // BATCH_SHARE // (16 * width))
        if self.batch_rows < source.group_rows <= LARGER * self.batch_rows:
            self.batch_rows = source.group_rows
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
        schema = infer_from_survey(survey, self.split, **choices)
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

    def note_survey(self, survey: Survey, schema: Schema) -> None:
        """Keep what was found."""
        counts = (survey.n_rows, survey.n_there, survey.n_held, survey.left_out)
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
                f"the encoded rows take {needed / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB are free "
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
        ):
            read = done["read"]
            batches = self.source.batches(self.batch_rows, start=read)
            encoded = (encode_batch(schema, self.split, batch) for batch in make_ahead(batches))
            for k, (n_rows, for_training, held_out) in enumerate(make_ahead(encoded)):
                trained.append(for_training)
                held.append(held_out)
                read += n_rows
                tell(read)
                if k % SAVED_EVERY == SAVED_EVERY - 1:
                    self._note(trained, held, read)
            self._note(trained, held, read)
        self.workspace.save(encoded=True)

    def _note(self, trained: CacheWriter, held: CacheWriter, read: int) -> None:
        trained.flush()
        held.flush()
        self.workspace.save(
            rows={
                "read": read,
                TRAINED: [trained.n_rows, trained.n_words],
                HELD: [held.n_rows, held.n_words],
            }
        )

    def learn(self, schema: Schema, settings: Settings) -> Model:
        """Passes over the encoded rows until the optimum is proved; then those held out."""
        with closing(self._open(TRAINED, schema, settings.weight_kind)) as rows:
            return self._learn(rows, schema, settings)

    def _learn(self, rows: PassedRows, schema: Schema, settings: Settings) -> Model:
        steps: list[Progress] = []
        rows.watch = self.telling.follow(rows.n_rows, steps)
        with single_threaded_blas():
            where = measure_columns(rows, fit_intercept=True)
        settings, choice, start = _settle_strength(rows, settings)
        solution = self._fit(rows, schema, where, settings, steps, start)
        warn_of_outcome(solution)
        size = int(min(REFERENCE_ROWS, rows.room // lay_out(schema).row_bytes + 1))
        sample = rows.take(rows.draw(min(size, rows.n_rows)))
        threshold, cut = self._settle_threshold(rows, schema, solution, settings)
        model = Model(
            schema=schema,
            W=solution.W,
            b=solution.b,
            averages=where.centre,
            certificate=solution.certificate,
            training=self._state_facts(rows, solution, settings),
            threshold=threshold,
            threshold_choice=cut,
            strength=choice,
            summary=summarise_training(
                rows,
                solution,
                schema.feature_names,
                settings.strength,
                settings.weight_kind,
                settings.l1_ratio,
                where,
            ),
            reference=self._see(sample, solution),
            best_column=find_best_column(sample, schema.feature_columns),
        )
        return replace(model, evaluation=self._judge(model))

    def _settle_threshold(
        self, rows: PassedRows, schema: Schema, solution: Solution, settings: Settings
    ) -> tuple[float, ThresholdChoice | None]:
        """The threshold as given, or as chosen on as many of the rows as the memory holds."""
        rule = settings.threshold
        if not isinstance(rule, ThresholdRule):
            return float(rule), None
        most = int(min(MOST_ROWS, rows.room // lay_out(schema).row_bytes, rows.n_rows))
        block = rows.take(rows.draw(most))
        costs = None
        if rule.costs is not None:
            every = np.ones(most, dtype=bool)
            costs = read_costs(rule.costs, None, block.labels[0], every)
        # Fewer rows against the same penalty would be another model: each stands for several.
        block = replace(block, weights=block.weights * (rows.n_rows / most))
        choice = cross_threshold(rule, block, costs, solution, settings, self.means.n_jobs)
        return choice.chosen.threshold, choice

    def _see(self, sample: Block, solution: Solution) -> Reference:
        """The rows trained on in bins: columns as the survey saw them, scores of a sample."""
        seen = self.workspace.state["seen"]
        logits = predict_logits(sample.features, solution.W, solution.b)[0]
        score = bin_scores(np.asarray(sigmoid(logits)), sample.weights)
        bins = from_stored(tuple[Bins, ...], seen["bins"], "bins")
        return Reference(min(seen["rows"], sample.n_rows), bins, score)

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
        if weight_kind == "sampling" and layout.weighted:
            rows.factor = n / rows.reduce(lambda block: float(block.weights.sum()))
        return rows

    def _read(self, schema: Schema, name: str) -> Iterator[Block]:
        """The rows of one use, encoded as they are read from the table."""
        for batch in make_ahead(self.source.batches(self.batch_rows)):
            _, trained, held = encode_batch(schema, self.split, batch)
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
        if stand := self.workspace.state.get("theta"):
            start = np.array(stand["W"]), np.array(stand["b"])
        scale, origin = np.array(schema.feature_units).reshape(-1, 2).T
        naming = Naming(schema.feature_names, scale=scale, origin=origin)
        rows.note = lambda W, b: self.workspace.save(theta={"W": W.tolist(), "b": b.tolist()})
        found = fit(
            rows,
            SigmoidLoss(1),
            start=start,
            watch=steps.append,
            C=settings.strength,
            l1_ratio=settings.l1_ratio,
            tol=settings.tol,
            solver=settings.solver,
            descent=settings.descent,
            where=where,
            naming=naming,
            remarks=True,
        )
        rows.note = None
        return found

    def _judge(self, model: Model) -> Evaluation | None:
        """The model on the rows held out; those of groups and costs are read once more."""
        if not self.workspace.state["counts"][2]:
            return None
        subject = model.subject
        raw = model.protected or (subject.costs is not None and subject.costs.columns)
        parts = self._read_held(model.schema) if raw else self._open_held(model.schema)
        run_rows = max(1, self.means.memory // RANKED_SHARE // RANKED_BYTES)
        folder = str(self.workspace.folder)
        return assess(subject, parts, run_rows=run_rows, folder=folder, n_jobs=1, drift=False)

    def _open_held(self, schema: Schema) -> Iterator[Labelled]:
        with closing(self._open(HELD, schema)) as rows:
            yield from rows.map(
                lambda block: Labelled(block.features, block.labels[0], block.weights)
            )

    def _read_held(self, schema: Schema) -> Iterator[Labelled]:
        for batch in make_ahead(self.source.batches(self.batch_rows)):
            table = batch.table
            _, held = self.split.apply(batch.first, table)
            weights = schema.weights(table, some=False)
            features = to_features(schema.encode(table)).take(np.flatnonzero(held))
            chosen = None if weights is None else weights[held]
            yield Labelled(features, schema.labels(table)[held], chosen, table, held)

    def _state_facts(
        self, rows: PassedRows, solution: Solution, settings: Settings
    ) -> TrainingFacts:
        n_rows, n_there, n_held, left_out = self.workspace.state["counts"]
        positives = rows.reduce(lambda block: int(block.labels.sum()))
        return TrainingFacts(
            table=self.source.name,
            sha256=self.source.fingerprint,
            target=self.split.target,
            rows=rows.n_rows,
            positives=positives,
            holdout_rows=n_held,
            left_out_lines=tuple(left_out),
            without_target=n_rows - n_there,
            seed=self.split.seed,
            C=settings.strength,
            l1_ratio=float(settings.l1_ratio),
            tol=float(settings.tol),
            weight_kind=settings.weight_kind,
            holdout=float(self.split.holdout),
            **state_solution(solution),
        )


def _settle_strength(
    rows: PassedRows, settings: Settings
) -> tuple[Settings, StrengthChoice | None, Start | None]:
    """The settings with C as a number; where it is chosen, on a part of the rows, how; a start."""
    copies = "weights" if settings.weight_kind == "sampling" else None
    C, choice, start = settle_strength(
        rows, SigmoidLoss(1), settings.C, l1_ratio=settings.l1_ratio, copies=copies
    )
    warn_of_strength(choice)
    return replace(settings, C=C), choice, start
