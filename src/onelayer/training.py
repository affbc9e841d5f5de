"""From a raw table to a model: schema, holdout, objective, solver and evaluation put together."""

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block
from onelayer.encoding import name_rows, to_features, warn_of_rows_without_target
from onelayer.errors import DataWarning, InputError
from onelayer.evaluate import Evaluation, evaluate
from onelayer.facts import TrainingFacts
from onelayer.features.mixed import MixedFeatures
from onelayer.fitting import fit
from onelayer.inference import check_weight_kind, scale_weights, summarise_training
from onelayer.loss import SigmoidLoss
from onelayer.model import Model
from onelayer.outcome import warn_of_outcome, warn_of_strength
from onelayer.rows.memory import MemoryRows
from onelayer.scoring import predict_logits
from onelayer.solvers.descent import seed_descent
from onelayer.solvers.solution import Progress, Solution
from onelayer.strength import StrengthChoice, settle_strength
from onelayer.summary import WeightKind
from onelayer.table.reading import Table, read_table
from onelayer.table.schema import infer_schema, read_weights
from onelayer.table.target import infer_target

Array = NDArray[Any]

THRESHOLD = 0.5  # the article's


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
) -> Model:
    """Train a one-layer network on a raw table and judge it on rows it has not seen.

    Parameters
    ----------
    table: a path (CSV, TSV, Parquet, Arrow; compressed or not), "-", or any frame.
    target: the column to predict, of two values. positive: the value that is 1, of any number.
    weight: the column of row weights. drop: columns to leave out. keep: columns to use though they
        look like identifiers or leaks. protected: columns kept for audit, never used.
    roles: a role for a column: numeric, categorical, text, date or drop.
    names: the header of a text file without one. na: further words for a missing value.
    holdout: share of the rows, 0 up to 1, drawn at random within each class, judged and never
        trained on; 0 trains on every row. test: another table to judge on instead; `table` is
        then trained on whole.
    seed: of the draw, and of gradient descent's random start and order of rows.
    C: inverse strength of the penalty; `inf` for none; "auto" for the one that does best on rows
        left out one by one, see `choose_strength`. l1_ratio: share of L1 in the penalty, 0 to 1;
        above 0 some weights are exactly 0. solver, tol, n_jobs, watch: see `fitting.fit`.
        learning_rate, num_iterations, optimizer, batch_size: see `Descent`.

    weight_kind: what the weights are: "frequency" (2 is the row twice) or "sampling" (survey
        weights: divided by their mean, and the summary's errors are robust).

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
    check_weight_kind(weight_kind, weight is not None)
    descent = seed_descent(seed, learning_rate, num_iterations, optimizer, batch_size)
    raw, other = read_table(table, names=names, na=na), _read_other(test, names)
    rows = _split(raw, target, positive, weight, 0.0 if test is not None else holdout, seed)
    warn_of_rows_without_target(raw, target, int(np.isnan(rows.labels).sum()))
    schema = infer_schema(
        raw,
        target=target,
        positive=positive,
        weight=weight,
        drop=drop,
        keep=keep,
        protected=protected,
        roles=roles or {},
        training=rows.trained,
    )
    features = to_features(schema.encode(raw))
    block = rows.block(features, rows.trained)
    block = replace(block, weights=scale_weights(block.weights, weight_kind))
    asked = {"l1_ratio": l1_ratio, "tol": tol}
    naming = name_rows(schema, raw, rows.trained)
    how = {"solver": solver, "descent": descent, "watch": watch, "naming": naming}
    copies = block.weights if weight_kind == "sampling" else None  # such a row goes out whole
    solution, C, choice = _fit(block, n_jobs, C, copies, **asked, **how)
    model = Model(
        schema=schema,
        W=solution.W,
        b=solution.b,
        averages=block.features.back(block.weights[None] / block.weights.sum())[0],
        certificate=solution.certificate,
        training=_state_facts(raw, target, rows, solution, seed, weight_kind, C=C, **asked),
        evaluation=_judge(rows.block(features, rows.held), solution, n_jobs),
        threshold=THRESHOLD,
        strength=choice,
        summary=summarise_training(
            MemoryRows(block, n_jobs), solution, schema.feature_names, C, weight_kind, l1_ratio
        ),
    )
    return model if other is None else model.judged_on(other)


def holdout_mask(labels: Array, share: float, seed: int) -> NDArray[np.bool_]:
    """True for the rows held out: `share` of each class, drawn at random.

    Of no class the last row is held out, so that there is always something to train on.

    Parameters
    ----------
    labels: (n,) 0, 1, or nan for rows that are not there (no target, no weight).
    share: 0 up to 1. seed: of NumPy's `default_rng`.

    >>> holdout_mask(np.array([0.0, 0.0, 1.0, 1.0]), 0.5, seed=0).sum()
    np.int64(2)
    """
    held = np.zeros(len(labels), dtype=bool)
    # One shuffle for both classes: which of them is called 1 changes nothing.
    shuffled = np.random.default_rng(seed).permutation(np.flatnonzero(~np.isnan(labels)))
    for label in (0, 1):
        rows = shuffled[labels[shuffled] == label]
        held[rows[: min(round(share * len(rows)), max(0, len(rows) - 1))]] = True
    return held


@dataclass(frozen=True)
class _Rows:
    """What is known of each row: its label, its weight, and what it is used for."""

    labels: Array  # (n,) 0, 1, nan where the target is missing
    weights: Array  # (n,)
    trained: NDArray[np.bool_]
    held: NDArray[np.bool_]

    def block(self, features: MixedFeatures, chosen: NDArray[np.bool_]) -> Block:
        """The chosen rows as the solvers take them."""
        return Block(features, self.labels[None], self.weights).take(np.flatnonzero(chosen))


def _split(
    raw: Table, target: str, positive: Any, weight: str | None, share: float, seed: int
) -> _Rows:
    """Read labels and weights, and draw the rows to be held out among those that count."""
    labels = infer_target(raw, target, positive, raw.na).labels(raw, raw.na)
    weights = np.ones(len(labels)) if weight is None else read_weights(raw, weight, raw.na)
    there = ~np.isnan(labels) & (weights > 0)
    held = holdout_mask(np.where(there, labels, np.nan), share, seed)
    if share > 0 and not held.any():
        warnings.warn(
            f"{raw.name}: {there.sum():,} rows are too few to hold {share:.0%} of each class out: "
            "the model is not judged",
            DataWarning,
            stacklevel=3,
        )
    return _Rows(labels, weights, there & ~held, held)


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


def _read_other(test: Any, names: Sequence[str] | None) -> Table | None:
    """The table to judge on, if any; a text file has no header where the other one has none."""
    if test is None:
        return None
    is_file = isinstance(test, str | os.PathLike) or hasattr(test, "read")
    return read_table(test, names=names if is_file else None)


def _fit(
    block: Block, n_jobs: int | None, C: float | str, copies: Array | None, **options: Any
) -> tuple[Solution, float, StrengthChoice | None]:
    """The solution, the C it is of, and how that was chosen; `copies` as in `choose_strength`."""
    rows, loss = MemoryRows(block, n_jobs), SigmoidLoss(1)
    chosen, choice, start = settle_strength(
        rows, loss, C, l1_ratio=options["l1_ratio"], copies=copies
    )
    warn_of_strength(choice)
    solution = fit(rows, loss, C=chosen, start=start, remarks=True, **options)
    warn_of_outcome(solution)
    return solution, chosen, choice


def _judge(block: Block, solution: Solution, n_jobs: int | None) -> Evaluation | None:
    if not block.n_rows:
        return None
    logits = predict_logits(block.features, solution.W, solution.b, n_jobs)[0]
    return evaluate(block.labels[0], logits, block.weights, threshold=THRESHOLD)


def _state_facts(
    raw: Table,
    target: str,
    rows: _Rows,
    solution: Solution,
    seed: int,
    weight_kind: WeightKind,
    *,
    C: float,
    l1_ratio: float,
    tol: float,
) -> TrainingFacts:
    return TrainingFacts(
        table=raw.name,
        sha256=raw.sha256,
        target=target,
        rows=int(rows.trained.sum()),
        positives=int(rows.labels[rows.trained].sum()),
        holdout_rows=int(rows.held.sum()),
        left_out_lines=tuple(line.line for line in raw.left_out),
        without_target=int(np.isnan(rows.labels).sum()),
        seed=int(seed),
        C=float(C),
        l1_ratio=float(l1_ratio),
        tol=float(tol),
        solver=solution.solver,
        status=solution.status,
        message=solution.message,
        objective=solution.objective,
        cost=solution.cost,
        passes=solution.passes,
        iterations=solution.iterations,
        seconds=solution.seconds,
        history=solution.history,
        remarks=solution.remarks,
        weight_kind=weight_kind,
    )
