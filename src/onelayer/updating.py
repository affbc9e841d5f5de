"""Rows added to a trained model, or taken out of it: the fit of the rows that are to be in it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block
from onelayer.encoding import encode_rows, name_rows, read_rows, warn_of_rows_without_target
from onelayer.errors import InputError
from onelayer.facts import Revision, TrainingFacts, state_solution
from onelayer.fitting import LARGEST_FACTORED, fit
from onelayer.inference import scale_weights, summarise_training
from onelayer.loss import SigmoidLoss
from onelayer.model import Model
from onelayer.naming import Naming
from onelayer.network import sigmoid
from onelayer.outcome import warn_of_outcome
from onelayer.rows.memory import MemoryRows
from onelayer.scoring import predict_logits
from onelayer.solvers.solution import Progress, Solution
from onelayer.summary import note_balance
from onelayer.table.reading import Table
from onelayer.table.reference import Reference, bin_scores

Array = NDArray[Any]


def update(
    model: Model,
    table: Any,
    *,
    test: Any = None,
    n_jobs: int | None = None,
    watch: Callable[[Progress], None] | None = None,
) -> Model:
    """The model with exactly the rows of `table` in it: those of before, and new ones.

    What comes back is the fit of these rows under the model's own schema, C and tolerance, with its
    certificate: the same as a fit from scratch, though it sets out from the model's parameters and
    so takes a pass or two over the rows where few of them have changed.

    Parameters
    ----------
    model: any trained `Model`. One that gradient descent left short of the optimum is taken there.
    table: all rows that are to be in it afterwards, with the target (and the weights); none are
        held out. test: another table to judge on; without one the new model has no evaluation, for
        the old one is of another model.
    n_jobs, watch: see `fitting.fit`.

    Returns
    -------
    A new `Model`; its `history` says what it was made from before. The schema stays as it is
    (scales, levels, words), and so do the threshold and C: train anew where the table's nature has
    changed.

    Raises
    ------
    InputError: a column is missing, a target's value is unknown, or only one class is left.

    Warns
    -----
    DataWarning: values that training has never seen, with counts, or rows without a target.
    ConvergenceWarning: the answer is not proved to be the optimum.

    Examples
    --------
    >>> from onelayer.training import train
    >>> old = {"debt": [10, 20, 30, 40, 50, 60] * 5, "granted": ["yes", "yes", "no"] * 10}
    >>> new = {"debt": [*old["debt"], 70], "granted": [*old["granted"], "no"]}
    >>> model = update(train(old, target="granted", holdout=0), new)
    >>> model.training.rows, model.history[0].kind, model.history[0].rows
    (31, 'update', 30)
    """
    return _revise(model, _read(model, table), "update", test, n_jobs, watch)


def forget(
    model: Model,
    table: Any,
    *,
    test: Any = None,
    n_jobs: int | None = None,
    watch: Callable[[Progress], None] | None = None,
) -> Model:
    """The model without some of its rows: `table` holds the others, all that are to stay.

    As `update`, and it must be fewer rows than before. The parameters, averages, certificate and
    counts are then those of a model that has never seen the rows left out. The schema is not
    inferred again: the scale of a column, its list of levels and the choice of C still come from
    the rows of the first training. Where these may not stay either, train anew.

    Raises
    ------
    InputError: no fewer rows than the model was made from; or as `update`.

    Examples
    --------
    >>> from onelayer.training import train
    >>> table = {"debt": [10, 20, 30, 40, 50, 60] * 5, "granted": ["yes", "yes", "no"] * 10}
    >>> fewer = {name: values[1:] for name, values in table.items()}
    >>> forget(train(table, target="granted", holdout=0), fewer).training.rows
    29
    """
    rows = _read(model, table)
    before, after = model.training.rows + model.training.holdout_rows, int(rows.chosen.sum())
    if after >= before:
        raise InputError(
            f"{rows.raw.name} has {after:,} rows to learn from, and the model was made from "
            f"{before:,}: give the table without the rows to forget, or use update"
        )
    return _revise(model, rows, "forget", test, n_jobs, watch)


@dataclass(frozen=True)
class _Rows:
    """A table with the label and the weight of each row, (n,), and which rows count."""

    raw: Table
    labels: Array  # nan where the target is missing
    weights: Array
    chosen: NDArray[np.bool_]


def _read(model: Model, table: Any) -> _Rows:
    """Read the rows to learn from; both classes must be there."""
    raw = read_rows(table)
    labels, weights = model.schema.labels(raw), model.schema.weights(raw)
    weights = np.ones(len(labels)) if weights is None else weights
    chosen = np.asarray(~np.isnan(labels) & (weights > 0))
    held = np.unique(labels[chosen])
    if held.size < 2:
        words = [repr((model.negative, model.positive)[int(label)]) for label in held]
        raise InputError(
            f"{raw.name}, column {model.target!r}: the rows to learn from hold "
            f"{' '.join(['only', *words]) if words else 'no value'}; both {model.negative!r} and "
            f"{model.positive!r} are needed"
        )
    return _Rows(raw, labels, weights, chosen)


def _revise(
    model: Model,
    rows: _Rows,
    kind: Literal["update", "forget"],
    test: Any,
    n_jobs: int | None,
    watch: Callable[[Progress], None] | None,
) -> Model:
    other, facts = None if test is None else read_rows(test), model.training
    warn_of_rows_without_target(rows.raw.name, model.target, int(np.isnan(rows.labels).sum()))
    features = encode_rows(model.schema, rows.raw)
    block = Block(features, rows.labels[None], rows.weights).take(np.flatnonzero(rows.chosen))
    block = replace(block, weights=scale_weights(block.weights, facts.weight_kind))
    balance = facts.balance
    held = MemoryRows(block if balance is None else balance.weigh(block), n_jobs)
    fitted = _fit(model, held, watch, name_rows(model.schema, rows.raw, rows.chosen))
    warn_of_outcome(fitted)
    solution = fitted if balance is None else balance.restore(fitted, block, n_jobs)
    summary = summarise_training(
        held, fitted, model.schema.feature_names, facts.C, facts.weight_kind, facts.l1_ratio
    )
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    revised = replace(
        model,
        W=solution.W,
        b=solution.b,
        averages=block.features.back(block.weights[None] / block.weights.sum())[0],
        certificate=solution.certificate,
        training=_state_facts(model, rows.raw, block, rows.labels, solution),
        evaluation=None,
        summary=summary if balance is None else note_balance(summary, float(solution.b[0, 0])),
        reference=_see_again(model, block, solution),
        history=(*model.history, Revision(kind, now, facts.table, facts.sha256, facts.rows)),
    )
    return revised if other is None else revised.judged_on(other)


def _see_again(model: Model, block: Block, solution: Solution) -> Reference | None:
    """The columns as the first training saw them, the scores as they are now."""
    if model.reference is None:
        return None
    logits = predict_logits(block.features, solution.W, solution.b)[0]
    score = bin_scores(np.asarray(sigmoid(logits)), block.weights)
    return replace(model.reference, score=score)


def _fit(
    model: Model, rows: MemoryRows, watch: Callable[[Progress], None] | None, naming: Naming
) -> Solution:
    """From the model's parameters by exact Newton steps: so near, each doubles the digits."""
    facts = model.training
    options: dict[str, Any] = {"C": facts.C, "tol": facts.tol, "watch": watch}
    options |= {"l1_ratio": facts.l1_ratio, "naming": naming}
    if rows.n_columns >= LARGEST_FACTORED or facts.l1_ratio > 0:
        return fit(rows, SigmoidLoss(1), start=(model.W, model.b), **options)
    first = fit(rows, SigmoidLoss(1), start=(model.W, model.b), solver="newton", **options)
    if first.status == "optimal":
        return first
    return first.then(fit(rows, SigmoidLoss(1), start=(first.W, first.b), **options))


def _state_facts(
    before: Model, raw: Table, block: Block, labels: Array, solution: Solution
) -> TrainingFacts:
    """The facts of the rows that are in the model now; what was asked for stays."""
    stated, balance = state_solution(solution), before.training.balance
    if balance is not None:
        stated["remarks"] = (*stated["remarks"], balance.remark(before.positive))
    return replace(
        before.training,
        table=raw.name,
        sha256=raw.sha256,
        rows=block.n_rows,
        positives=int(block.labels.sum()),
        holdout_rows=0,
        holdout=0.0,
        left_out_lines=tuple(line.line for line in raw.left_out),
        without_target=int(np.isnan(labels).sum()),
        test=None,
        **stated,
    )
