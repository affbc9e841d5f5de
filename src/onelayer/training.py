"""From a raw table to a model: schema, holdout, objective, solver and evaluation put together."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.amounts import read_memory
from onelayer.assessing import assess
from onelayer.balance import Balance, ClassWeight, check_balance, sum_labels
from onelayer.blocks import Block
from onelayer.encoding import name_rows, to_features, warn_of_rows_without_target
from onelayer.errors import InputError
from onelayer.facts import TrainingFacts, state_solution
from onelayer.features.mixed import MixedFeatures
from onelayer.fitting import fit
from onelayer.holdout import is_long
from onelayer.inference import check_weight_kind, scale_weights, summarise_training
from onelayer.judging.best_column import find_best_column
from onelayer.judging.evaluation import Evaluation
from onelayer.labelling import Labelled
from onelayer.loss import SigmoidLoss
from onelayer.model import Model
from onelayer.naming import Naming
from onelayer.outcome import warn_of_outcome, warn_of_strength
from onelayer.rows.cluster import find_client
from onelayer.rows.memory import MemoryRows
from onelayer.solvers.descent import seed_descent
from onelayer.solvers.solution import Progress, Solution
from onelayer.streaming import Means, Settings, Stage, is_streamed, train_streamed
from onelayer.streaming.other import judge_on, open_other
from onelayer.streaming.seen import see_scores
from onelayer.streaming.spread import check_spread, is_frames, train_spread
from onelayer.streaming.threshold import Spent, settle_threshold
from onelayer.strength import StrengthChoice, settle_strength
from onelayer.summary import WeightKind, note_balance
from onelayer.table.database import is_address
from onelayer.table.reading import Table, cut_batches, read_table
from onelayer.table.reference import Bins, bin_columns
from onelayer.table.schema import Schema, infer_schema
from onelayer.table.stream import open_stream
from onelayer.table.survey import Split, find_trained, infer_from_survey, take_survey
from onelayer.table.values import RefusedValueError
from onelayer.thresholds.choice import Costs, ThresholdRule, check_threshold
from onelayer.thresholds.costs import read_costs
from onelayer.training_rows import TrainingRows, draw_rows

Array = NDArray[Any]

THRESHOLD = 0.5  # the article's
SURVEYED_ROWS = 1 << 18  # of a table in memory, looked at at a time


def train(
    table: Any,
    *,
    target: str,
    positive: Any = None,
    weight: str | None = None,
    drop: Sequence[str] = (),
    keep: Sequence[str] = (),
    protected: Sequence[str] = (),
    roles: Mapping[str, str] | None = None,
    names: Sequence[str] | None = None,
    na: Sequence[str] = (),
    holdout: float = 0.2,
    test: Any = None,
    seed: int = 0,
    C: float | str = 1.0,
    l1_ratio: float = 0.0,
    solver: str = "auto",
    tol: float = 1e-4,
    learning_rate: float | str = 1.2,
    num_iterations: int = 10,
    optimizer: str = "gd",
    batch_size: int | None = None,
    n_jobs: int | None = None,
    watch: Callable[[Progress], None] | None = None,
    weight_kind: WeightKind = "frequency",
    threshold: float | ThresholdRule = THRESHOLD,
    class_weight: ClassWeight = None,
    base_rate: float | None = None,
    query: str | None = None,
    memory: int | str | None = None,
    cache: str | os.PathLike[str] | bool = True,
    resume: bool = False,
    tell: Callable[[Stage], None] | None = None,
    say: Callable[[str], None] | None = None,
    client: Any = None,
) -> Model:
    """Train a one-layer network on a raw table and judge it on rows it has not seen.

    Parameters
    ----------
    table: a path (CSV, TSV, Parquet, Arrow; compressed or not), "-", or any frame; or what is read
        in batches: a folder, a glob, a list of files, a database, see `open_stream`.
    target: the column to predict, of two values. positive: the value that is 1, of any number.
    weight: the column of row weights. drop: columns to leave out. keep: columns to use though they
        look like identifiers or leaks. protected: columns kept for audit, never used.
    roles: a role for a column: numeric, categorical, text, date or drop.
    names: the header of a text file without one. na: further words for a missing value.
    holdout: share of the rows, 0 up to 1, drawn at random within each class, judged and never
        trained on; 0 trains on every row. test: another table to judge on instead, read in batches
        where `table` is, or where it is no single file; `table` is then trained on whole.
    seed: of the draw, and of gradient descent's random start and order of rows.
    C: inverse strength of the penalty; `inf` for none; "auto" for the one that does best on rows
        left out one by one, see `choose_strength`. l1_ratio: share of L1 in the penalty, 0 to 1;
        above 0 some weights are exactly 0. solver, tol, n_jobs, watch: see `fitting.fit`.
        learning_rate, num_iterations, optimizer, batch_size: see `Descent`.

    weight_kind: what the weights are: "frequency" (2 is the row twice) or "sampling" (survey
        weights: divided by their mean, and the summary's errors are robust).
    threshold: a row is called positive where its probability is above it; a probability, or the
        `ThresholdRule` by which to choose it: on the rows trained on, each scored by a fit that had
        not seen it. Columns of costs are not learnt from.
    class_weight: "balanced", or a weight for each value of the target, by which its rows count more
        in the fit. The bias is then solved again, so that the mean probability is the base rate.
    base_rate: the share of positives among the rows that the model is for, where those of `table`
        were resampled: the bias is solved again for it, and rows held out are judged as of it.
    query: a SELECT to the database instead of one of its tables.
    memory: how much to use at most beside the program itself, in bytes or as "500MB": the table is
        then read in batches and its encoded rows are kept on disk. A folder, a glob, a list of
        files or a database is always read so, within a quarter of the machine's memory.
    cache: the folder for encoded rows; by default the user's own for caches; False for none:
        every pass then reads and encodes the table again. On a cluster, for the rows of a database,
        a folder that all workers see.
    resume: go on from what a killed run of the same training left there.
    tell, say: told the `Stage` of such a training, and sentences on what it needs.
    client: a `dask.distributed.Client`, whose workers then read the table, each its own part, and
        keep the encoded rows: `table` is a path, folder, glob or list of paths that all of them
        see, or a dataframe of Dask (then the client that was made last, if none is given).

    Returns
    -------
    The trained `Model`; its `evaluation` is that on the held-out rows (None with holdout=0).

    Raises
    ------
    InputError: naming the file, row, column or option that is wrong, and what to do.

    Warns
    -----
    DataWarning: rows are left out, or too few to hold some out. ConvergenceWarning: the answer is
        not proved to be the optimum. With C="auto" a DataWarning where the best C is the first or
    the last one tried.

    Examples
    --------
    >>> table = {"debt": [10, 20, 30, 40, 50, 60] * 5, "granted": ["yes", "yes", "no"] * 10}
    >>> model = train(table, target="granted", holdout=0)
    >>> model.positive, model.predict_proba({"debt": [20]}).shape
    ('yes', (1, 2))
    """
    _check_options(holdout, test, C, l1_ratio, tol, seed)
    check_threshold(threshold)
    check_weight_kind(weight_kind, weight is not None)
    check_balance(class_weight, base_rate)
    descent = seed_descent(seed, learning_rate, num_iterations, optimizer, batch_size)
    settings = Settings(
        C, l1_ratio, tol, solver, descent, weight_kind, threshold, class_weight, base_rate
    )
    far = client is not None or is_frames(table)
    other = open_other(test, target, names, na, far or is_streamed(table, memory))
    split = Split(target, weight, 0.0 if test is not None else holdout, seed, tuple(na))
    choices: dict[str, Any] = {
        "positive": positive,
        "drop": (*drop, *(name for name in settings.cost_columns if name not in drop)),
        "keep": tuple(keep),
        "protected": tuple(protected),
        "roles": dict(roles or {}),
    }
    folder = None if cache is None or isinstance(cache, bool) else Path(cache)
    found: Model | Table | None = None
    if far:
        kept = cache not in (True, None) and not is_address(table)
        check_spread(table, memory=memory, cache=kept, resume=resume)
        client = find_client() if client is None else client
        means = Means(read_memory(None), folder, n_jobs=n_jobs, tell=tell, say=say, watch=watch)
        found = train_spread(table, client, split, means, choices, settings, names, query)
    elif is_streamed(table, memory):
        kept = cache is not False
        means = Means(read_memory(memory), folder, kept, resume, n_jobs, tell, say, watch)
        source = open_stream(table, names=names, na=na, query=query, folder=folder)
        found = train_streamed(source, split, means, choices, settings)
    elif query is not None:
        raise InputError("query is for a database, such as sqlite:///loans.db")
    if not isinstance(found, Model):
        raw = found or read_table(table, names=names, na=na)
        found = _learn(raw, split, choices, settings, n_jobs, watch)
    return found if other is None else judge_on(found, other, memory, tell)


def _learn(
    raw: Table,
    split: Split,
    choices: dict[str, Any],
    settings: Settings,
    n_jobs: int | None,
    watch: Callable[[Progress], None] | None,
) -> Model:
    """The model of a table in memory."""
    rows = draw_rows(raw, split, choices["positive"])
    warn_of_rows_without_target(raw.name, split.target, int(np.isnan(rows.labels).sum()))
    schema, bins = _infer(raw, split, choices, rows)
    features, kind = to_features(schema.encode(raw)), settings.weight_kind
    block = rows.block(features, rows.trained)
    block = replace(block, weights=scale_weights(block.weights, kind))
    balance = settings.balance(schema.target, sum_labels(block.labels[0], block.weights))
    weighed = block if balance is None else balance.weigh(block)
    fitted, C, choice = _fit(weighed, n_jobs, settings, watch, name_rows(schema, raw, rows.trained))
    solution = fitted if balance is None else balance.restore(fitted, block, n_jobs)
    settings = replace(settings, C=C)
    plain = MemoryRows(block, n_jobs)
    spend = partial(_spend, raw, np.flatnonzero(rows.trained), settings.costs)
    threshold, cut = settle_threshold(plain, spend, solution, settings, n_jobs, balance)
    summary = summarise_training(
        MemoryRows(weighed, n_jobs), fitted, schema.feature_names, C, kind, settings.l1_ratio
    )
    model = Model(
        schema=schema,
        W=solution.W,
        b=solution.b,
        averages=block.features.back(block.weights[None] / block.weights.sum())[0],
        certificate=solution.certificate,
        training=_state_facts(raw, split, rows, solution, settings, schema, balance),
        threshold=threshold,
        threshold_choice=cut,
        strength=choice,
        summary=summary if balance is None else note_balance(summary, float(solution.b[0, 0])),
        reference=see_scores(plain, solution.W, solution.b, *bins),
        best_column=find_best_column(plain, schema.feature_columns),
    )
    return replace(model, evaluation=_judge(model, raw, rows, features, n_jobs))


def _infer(
    raw: Table, split: Split, choices: dict[str, Any], rows: TrainingRows
) -> tuple[Schema, tuple[tuple[Bins, ...], int]]:
    """The schema; and the columns in bins, as so many training rows have them."""
    if not is_long(*raw.frame.shape):
        schema = infer_schema(
            raw, target=split.target, weight=split.weight, training=rows.trained, **choices
        )
        sample, trained = raw, np.flatnonzero(rows.trained)
        weights = rows.weights[trained]
    else:
        survey = take_survey(cut_batches(raw, SURVEYED_ROWS), split, raw.name)
        try:
            schema, sample = infer_from_survey(survey, split, **choices), survey.sample
        except RefusedValueError as refused:  # in the sample, which has other places
            raise refused.find([raw]) from None
        trained, weights = find_trained(survey, split)
    return schema, (bin_columns(schema, sample, trained, weights), len(trained))


def _check_options(
    holdout: float, test: Any, C: float | str, l1_ratio: float, tol: float, seed: int
) -> None:
    if test is None and not 0 <= holdout < 1:
        raise InputError(f"holdout is {holdout}, expected a share from 0 up to, not including, 1")
    if isinstance(C, str) and C != "auto":
        raise InputError(f"C is {C!r}, expected a number above 0, inf, or 'auto'")
    for name, value in (("C", 1.0 if isinstance(C, str) else C), ("tol", tol)):
        if not value > 0:
            raise InputError(f"{name} is {value}, expected a number above 0")
    if not 0 <= l1_ratio <= 1:
        raise InputError(f"l1_ratio is {l1_ratio}, expected a share from 0 to 1")
    if not (isinstance(seed, int | np.integer) and 0 <= seed < 2**32):
        raise InputError(f"seed is {seed}, expected a whole number from 0 to {2**32 - 1}")


def _fit(
    block: Block,
    n_jobs: int | None,
    settings: Settings,
    watch: Callable[[Progress], None] | None,
    naming: Naming,
) -> tuple[Solution, float, StrengthChoice | None]:
    """The solution, the C it is of, and how that was chosen."""
    rows, loss = MemoryRows(block, n_jobs), SigmoidLoss(1)
    chosen, choice, start = settle_strength(
        rows, loss, settings.C, l1_ratio=settings.l1_ratio, copies=settings.copies
    )
    warn_of_strength(choice)
    solution = fit(
        rows,
        loss,
        C=chosen,
        l1_ratio=settings.l1_ratio,
        solver=settings.solver,
        tol=settings.tol,
        descent=settings.descent,
        start=start,
        watch=watch,
        naming=naming,
        remarks=True,
    )
    warn_of_outcome(solution)
    return solution, chosen, choice


def _spend(
    raw: Table,
    trained: NDArray[np.intp],
    costs: Costs | None,
    numbers: NDArray[np.intp],
    labels: Array,
) -> Spent:
    """What the decisions on some of the rows trained on cost."""
    assert costs is not None
    chosen = np.zeros(raw.frame.height, dtype=bool)
    chosen[trained] = True
    if costs.columns:  # what is wrong with any of them is said
        read_costs(costs, raw, np.zeros(len(trained)), chosen, raw.na)
    chosen[:] = False
    chosen[trained[numbers]] = True
    return read_costs(costs, raw, labels, chosen, raw.na)


def _judge(
    model: Model, raw: Table, rows: TrainingRows, features: MixedFeatures, n_jobs: int | None
) -> Evaluation | None:
    """The model on the rows held out: rows of the same table, so that there is no drift."""
    if not rows.held.any():
        return None
    held = np.flatnonzero(rows.held)
    weights = None if model.schema.weight is None else rows.weights[held]
    balance = model.training.balance
    if balance is not None and balance.base_rate is not None:
        weights = balance.as_met(rows.labels[held], rows.weights[held])
    part = Labelled(features.take(held), rows.labels[held], weights, raw, rows.held)
    return assess(model.subject, [part], n_jobs=n_jobs, drift=False)


def _state_facts(
    raw: Table,
    split: Split,
    rows: TrainingRows,
    solution: Solution,
    settings: Settings,
    schema: Schema,
    balance: Balance | None,
) -> TrainingFacts:
    stated = state_solution(solution)
    if balance is not None:
        stated["remarks"] = (*stated["remarks"], balance.remark(schema.target.positive))
    return TrainingFacts(
        table=raw.name,
        sha256=raw.sha256,
        target=split.target,
        rows=int(rows.trained.sum()),
        positives=int(rows.labels[rows.trained].sum()),
        holdout_rows=int(rows.held.sum()),
        left_out_lines=tuple(line.line for line in raw.left_out),
        without_target=int(np.isnan(rows.labels).sum()),
        seed=int(split.seed),
        C=settings.strength,
        l1_ratio=float(settings.l1_ratio),
        tol=float(settings.tol),
        weight_kind=settings.weight_kind,
        holdout=float(split.holdout),
        balance=balance,
        **stated,
    )
