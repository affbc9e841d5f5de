"""The training rows that move a decision, a coefficient, or most decisions."""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from onelayer.blocks import Block
from onelayer.encoding import encode_rows, read_rows
from onelayer.errors import InputError
from onelayer.features.mixed import MixedFeatures
from onelayer.holdout import find_training_rows
from onelayer.inference import scale_weights
from onelayer.model import Model
from onelayer.network import sigmoid
from onelayer.removal import Penalty, Removal, choose_refits, prepare_removal
from onelayer.scoring import predict_logits
from onelayer.streaming import is_streamed
from onelayer.summary import BIAS
from onelayer.table.reading import Table, read_table
from onelayer.table.stream import open_stream, read_whole
from onelayer.table.values import list_some, suggest

Array = NDArray[Any]

REFIT_WORK = 5e9  # multiplications for exact fits without a row, some seconds
MOST_REFITS = 60
AT_ONCE = 256  # rows whose decisions are counted together


@dataclass(frozen=True)
class InfluentialRow:
    """A training row, and what would be otherwise if it had not been there.

    Attributes
    ----------
    row: its number in the table, from 1; line: where it begins in the file, or None.
    value: of the target; weight: its own.
    change: of the log-odds, or of the coefficient, by an exact fit without the row; of many
        decisions the largest change of a log-odds. estimate: the same by one Newton step; None for
        many decisions.
    turned: decisions that would be others (of one decision 0 or 1).
    """

    row: int
    line: int | None
    value: str
    weight: float
    change: float
    estimate: float | None
    turned: int


@dataclass(frozen=True)
class Influence:
    """What single training rows do to a model; see `find_influence`.

    Attributes
    ----------
    subject: "decision" (of one row), "coefficient" or "decisions" (of many rows).
    name: of the table and row, the feature, or the table.
    value: the log-odds or the coefficient with all rows; of many decisions their number.
    spread: its standard error, with a penalty the posterior's spread; None for many decisions.
    threshold: above which a probability is the positive decision.
    rows: those that do most, the most first. refitted: how many rows were taken out exactly.
    """

    subject: Literal["decision", "coefficient", "decisions"]
    name: str
    value: float
    spread: float | None
    threshold: float
    rows: tuple[InfluentialRow, ...]
    refitted: int

    def to_dict(self) -> dict[str, Any]:
        """Give plain dicts, lists, text and numbers, for JSON."""
        return {**asdict(self), "rows": [asdict(row) for row in self.rows]}


def find_influence(
    model: Model,
    training: Any,
    *,
    table: Any = None,
    row: int | None = None,
    coefficient: str | None = None,
    top: int = 10,
    n_jobs: int | None = None,
) -> Influence:
    """Find the training rows whose absence would change most.

    Each row is taken out by one Newton step from the fit of all; those that seem to do most, and
    those for which one step may not be enough, are taken out by a fit without them, so that
    `change` is exact. A row of a weight goes as a whole.

    Parameters
    ----------
    model: a trained model. training: the table that it was trained on, the same file; its held-out
        rows are found again and left out.
    table, row: the decision looked at, of row `row` (from 0) of a table; of all its rows where
        `row` is not given; of all training rows where there is no table.
    coefficient: a feature's name, a column's that has one feature, or "(bias)", to look at instead.
    top: how many rows to return.

    Raises
    ------
    InputError: `training` is not the table that the model was trained on; there is no such row or
        coefficient; or the model has too many weights.

    Examples
    --------
    >>> from onelayer.training import train
    >>> rows = {"debt": [10, 20, 30, 40, 50, 60] * 5, "granted": ["yes", "yes", "no"] * 10}
    >>> model = train(rows, target="granted", holdout=0)
    >>> found = find_influence(model, rows, table={"debt": [30]}, row=0, top=2)
    >>> found.subject, len(found.rows), found.rows[0].turned
    ('decision', 2, 0)
    """
    if coefficient is not None and (table is not None or row is not None):
        raise InputError("a coefficient or the decisions of a table: leave out one of the two")
    if top < 1:
        raise InputError(f"top is {top}: expected how many rows, 1 or more")
    raw = read_training(model, training)
    chosen = np.flatnonzero(find_training_rows(model, raw))
    removal = _prepare(model, raw, chosen, n_jobs)
    weights = model.schema.weights(raw)
    weights = np.ones(len(chosen)) if weights is None else weights[chosen]
    study = _Study(model, raw, chosen, weights, removal, top)
    if coefficient is not None:
        return study.of_coefficient(coefficient)
    if table is None:
        features, own = removal.rows.block.features, np.arange(len(chosen))
        assert isinstance(features, MixedFeatures)
        return study.of_decisions(raw.name, features, own)
    other = read_rows(table)
    if row is None:
        features = encode_rows(model.schema, other)
        return study.of_decisions(other.name, features, np.full(len(chosen), -1))
    if not 0 <= row < other.frame.height:
        raise InputError(f"{other.name} has rows 0 to {other.frame.height - 1:,}, not {row}")
    return study.of_decision(f"{other.name}, row {row + 1:,}", other.pick(row))


def read_training(
    model: Model, source: Any, *, names: Sequence[str] | None = None, na: Sequence[str] = ()
) -> Table:
    """Read the table that a model was trained on, also one that was read in batches, as a whole.

    Such a training knows its files by their names, sizes and times, not by their bytes.
    """
    if isinstance(source, str | os.PathLike) and is_streamed(source, None):
        return read_whole(open_stream(source, names=names, na=na))
    if not isinstance(source, str | os.PathLike) or str(source) == "-":
        return read_rows(source) if names is None else read_table(source, names=names, na=na)
    raw, known = read_table(source, names=names, na=na), model.training.sha256
    if known not in (None, raw.sha256):
        stream = open_stream(source, names=names, na=na)
        raw = replace(raw, sha256=stream.fingerprint) if stream.fingerprint == known else raw
    return raw


def _prepare(model: Model, raw: Table, chosen: Array, n_jobs: int | None) -> Removal:
    features = encode_rows(model.schema, raw)
    labels, weights = model.schema.labels(raw), model.schema.weights(raw)
    weights = np.ones(len(labels)) if weights is None else weights
    block = Block(features, labels[None], weights).take(chosen)
    facts = model.training
    block = Block(block.features, block.labels, scale_weights(block.weights, facts.weight_kind))
    return prepare_removal(
        block, Penalty(facts.C, facts.l1_ratio, facts.balance), (model.W, model.b), n_jobs
    )


@dataclass(frozen=True, eq=False)
class _Study:
    """A model and its training rows, looked at from one side or another."""

    model: Model
    raw: Table
    chosen: Array
    weights: Array
    removal: Removal
    top: int

    @property
    def _most(self) -> int:
        """How many rows are taken out exactly."""
        rows = self.removal.rows
        work = 3 * rows.n_rows * (rows.n_columns + 1) ** 2
        return max(2 * self.top, min(MOST_REFITS, int(REFIT_WORK / work)))

    def of_coefficient(self, name: str) -> Influence:
        """The rows that move one weight, or the bias."""
        name = self._name_coefficient(name)
        j = None if name == BIAS else self.model.schema.feature_names.index(name)

        def read(W: Array, b: Array) -> float:
            return float(b[0, 0] if j is None else W[0, j])

        return self._study_number(
            "coefficient", name, self.removal.point_at(j), read, biased=j is None
        )

    def _name_coefficient(self, name: str) -> str:
        """The feature of a name, or the one feature of the column of that name."""
        schema = self.model.schema
        names = schema.feature_names
        if name == BIAS or name in names:
            return name
        own = [f for f, column in zip(names, schema.feature_columns) if column == name]
        if len(own) == 1:
            return own[0]
        if own:
            raise InputError(f"column {name!r} has several coefficients: {list_some(own, 10)}")
        raise InputError(f"no coefficient {name!r}{suggest(name, [*names, BIAS])}")

    def of_decision(self, name: str, one: Table) -> Influence:
        """The rows that move the log-odds of the one row of a table."""
        features = encode_rows(self.model.schema, one)

        def read(W: Array, b: Array) -> float:
            return float(predict_logits(features, W, b)[0, 0])

        return self._study_number("decision", name, self.removal.point(features), read)

    def _study_number(
        self,
        subject: Literal["decision", "coefficient"],
        name: str,
        point: Array,
        read: Callable[[Array, Array], float],
        biased: bool = True,
    ) -> Influence:
        removal = self.removal
        estimate, spread = removal.estimate(point, biased), float(removal.measure(point)[0])
        refits = choose_refits(removal, np.abs(estimate), removal.length * spread, self._most)
        now = read(removal.W, removal.b)
        changes = {i: read(*removal.refit(i)) - now for i in refits}

        def turn(change: float) -> int:
            if subject == "coefficient":
                return 0
            return int(self._is_positive(now + change) != self._is_positive(now))

        best = sorted(changes, key=lambda i: -abs(changes[i]))[: self.top]
        rows = [self._name(i, changes[i], float(estimate[i]), turn(changes[i])) for i in best]
        return Influence(subject, name, now, spread, self.model.threshold, tuple(rows), len(refits))

    def of_decisions(self, name: str, features: MixedFeatures, own: Array) -> Influence:
        """The rows that turn most decisions; `own` (n,) is where each training row is among them.

        A row that is taken out has no decision of its own any more, which is not counted.
        """
        removal = self.removal
        now = predict_logits(features, removal.W, removal.b)[0]
        counts = _count_turned(removal, features, now - self._border, own, self.top)
        reach = removal.length / max(float(removal.length.max()), 1e-300)
        refits = choose_refits(removal, counts + 0.5 * reach, removal.length, self._most)
        found: list[tuple[int, float, int]] = []
        for i in refits:
            after = predict_logits(features, *removal.refit(i))[0]
            turned = self._is_positive(after) != self._is_positive(now)
            change = after - now
            if own[i] >= 0:
                turned[own[i]], change[own[i]] = False, 0.0
            largest = float(change[np.argmax(np.abs(change))]) if change.size else 0.0
            found.append((i, largest, int(turned.sum())))
        found.sort(key=lambda each: (-each[2], -abs(each[1])))
        rows = [self._name(i, change, None, turned) for i, change, turned in found[: self.top]]
        threshold = self.model.threshold
        return Influence("decisions", name, len(now), None, threshold, tuple(rows), len(refits))

    @property
    def _border(self) -> float:
        """The log-odds of the threshold."""
        with np.errstate(divide="ignore"):
            return float(np.log(self.model.threshold) - np.log1p(-self.model.threshold))

    def _is_positive(self, logits: Any) -> Any:
        return np.asarray(sigmoid(logits)) > self.model.threshold

    def _name(self, i: int, change: float, estimate: float | None, turned: int) -> InfluentialRow:
        row, block = int(self.chosen[i]), self.removal.rows.block
        return InfluentialRow(
            row=row + 1,
            line=self.raw.line_of(row),
            value=self.model.positive if block.labels[0, i] > 0.5 else self.model.negative,
            weight=float(self.weights[i]),
            change=change,
            estimate=estimate,
            turned=turned,
        )


def _count_turned(
    removal: Removal, features: MixedFeatures, beyond: Array, own: Array, top: int
) -> Array:
    """(n,), how many decisions one Newton step without each row turns; 0 where few would be.

    A row of leverage a is moved by at most `length` sqrt(a), by Cauchy and Schwarz. So only rows
    that lie nearer the threshold than that can turn, and only rows that can turn more than the best
    so far are looked at.

    Parameters
    ----------
    beyond: (k,), how far the rows' log-odds lie above the threshold. own: (n,), see `of_decisions`.
    """
    counts = np.zeros(len(removal.length))
    if not np.isfinite(beyond).all():
        return counts
    length = np.where(removal.alone, 0.0, removal.length)
    with np.errstate(divide="ignore", invalid="ignore"):
        far = np.maximum(np.abs(beyond) - np.abs(removal.offset).max(initial=0.0), 0)
        needed = far / _measure_all(removal, features)
    needed = np.where(np.isnan(needed), np.inf, needed)
    near = np.argsort(needed, kind="stable")
    near = near[needed[near] <= length.max(initial=0.0)]
    order = np.argsort(-length, kind="stable")
    could = np.searchsorted(needed[near], length[order], side="right")
    for start in range(0, len(order), AT_ONCE):
        best = np.partition(counts, -min(top, len(counts)))[-min(top, len(counts))]
        if could[start] <= max(best, 0):
            break
        rows, some = order[start : start + AT_ONCE], near[: could[start]]
        moved = removal.estimate_some(rows, removal.point(features.take(some)))
        turned = (beyond[some] + moved > 0) != (beyond[some] > 0)
        turned &= some != own[rows, None]
        counts[rows] = turned.sum(axis=1)
    return counts


def _measure_all(removal: Removal, features: MixedFeatures) -> Array:
    """sqrt(x~'H^-1 x~) of many rows, some at a time."""
    parts: Sequence[Array] = [
        removal.measure(removal.point(features.rows(start, min(start + 4096, features.n_rows))))
        for start in range(0, features.n_rows, 4096)
    ]
    return np.concatenate([np.zeros(0), *parts])
