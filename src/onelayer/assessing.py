"""A model judged on rows that come in parts: measures, the best column, groups, drift and costs.

Whatever is not ranked is a sum over rows, exact and rounded once, so that nothing depends on how
the rows are cut into parts.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from onelayer.exact_sums import sum_in_units, units_to_float
from onelayer.judging.audit import FEWEST_ROWS, Group, GroupAudit
from onelayer.judging.best_column import SingleColumn
from onelayer.judging.drift import BinShare, ColumnDrift, Drift, stability, stability_by_chance
from onelayer.judging.evaluate import Judge
from onelayer.judging.evaluation import Baseline, CostsFound, Evaluation
from onelayer.labelling import Labelled
from onelayer.measures import Rate, wilson
from onelayer.network import log_loss, sigmoid
from onelayer.scoring import predict_logits
from onelayer.summary import WeightKind
from onelayer.table.grouping import group_rows, name_groups
from onelayer.table.reading import Table
from onelayer.table.reference import Bins, Reference, label_bins, read_plainly
from onelayer.table.schema import Schema
from onelayer.thresholds.choice import Costs
from onelayer.thresholds.costs import read_costs

Array = NDArray[Any]
_Z = 1.959963984540054


@dataclass(frozen=True)
class Subject:
    """The model to be judged, as far as that needs it.

    `reference` and `best_column` are None in models that lack them, `costs` where the threshold was
    not chosen by costs.
    """

    schema: Schema
    W: Array
    b: Array
    threshold: float
    weight_kind: WeightKind
    best_column: SingleColumn | None = None
    reference: Reference | None = None
    costs: Costs | None = None

    @property
    def scorer(self) -> "Scorer":
        """What gives rows their scores."""
        alone = self.best_column
        rival = None if alone is None else alone.spread(self.schema.feature_columns)
        return Scorer(self.W, self.b, rival)


class Scored(NamedTuple):
    """Rows with a known answer and their scores; like `Labelled`, without the features.

    `rivals` are the logits by the best single column, None where there is none.
    """

    labels: Array
    weights: Array | None
    logits: Array
    rivals: Array | None
    table: Table | None = None
    there: NDArray[np.bool_] | None = None
    unseen: Mapping[str, int] = {}


@dataclass(frozen=True)
class Scorer:
    """A model's parameters, and those of the best single column: enough to score rows with."""

    W: Array
    b: Array
    rival: tuple[Array, Array] | None

    def score(self, part: Labelled, n_jobs: int | None = None) -> Scored:
        """The rows with their scores."""
        logits = predict_logits(part.features, self.W, self.b, n_jobs)[0]
        rivals = None
        if self.rival is not None:
            rivals = np.asarray(predict_logits(part.features, *self.rival, n_jobs)[0])
        return Scored(
            part.labels,
            part.weights,
            np.asarray(logits),
            rivals,
            part.table,
            part.there,
            part.unseen,
        )


def assess(
    subject: Subject,
    parts: Iterable[Labelled | Scored],
    *,
    run_rows: int | None = None,
    folder: str | None = None,
    n_jobs: int | None = None,
    drift: bool = True,
) -> Evaluation:
    """Judge a model on rows with a known answer.

    Args:
        subject: The model.
        parts: The rows, or rows that have been scored; groups, drift and columns of costs need
            their `table`.
        run_rows, folder: As in `evaluate_batches`.
        n_jobs: Threads for the scores.
        drift: Whether to hold the rows to those trained on.

    Raises:
        InputError: There is no row; a column of costs is not there, or holds what is no number.
    """
    protected = _list_groups(subject)
    moves = _Moves(subject) if drift and subject.reference is not None else None
    spent = None if subject.costs is None else _Spent(subject.costs)
    ways: dict[str, Any] = {"run_rows": run_rows, "folder": folder}
    ways["weight_kind"] = subject.weight_kind
    alone, scorer = subject.best_column, subject.scorer
    with (
        Judge(subject.threshold, **ways) as judge,
        Judge(subject.threshold, whole=False, **ways) as other,
    ):
        for part in parts:
            scored = part if isinstance(part, Scored) else scorer.score(part, n_jobs)
            judge.add(scored.labels, scored.logits, scored.weights)
            if scored.rivals is not None:
                other.add(scored.labels, scored.rivals, scored.weights)
            rows = _Rows.of(scored, subject)
            if spent is not None:
                spent.add(rows)
            for each in () if scored.table is None else (*protected, moves):
                if each is not None:
                    each.add(rows)
        found = judge.conclude()
        best = None if alone is None else _name_baseline(alone.column, other.conclude())
    return replace(
        found,
        best_column=best,
        groups=tuple(each.conclude() for each in protected if each.n),
        drift=None if moves is None or not moves.n else moves.conclude(),
        costs=None if spent is None or not spent.n else spent.conclude(),
    )


def _list_groups(subject: Subject) -> list["_Groups"]:
    """The audit of each protected column that the training has seen values of."""
    return [
        _Groups(column, subject.weight_kind == "sampling")
        for column in subject.schema.columns
        if column.role == "protected" and column.seen is not None
    ]


def _name_baseline(column: str, found: Evaluation) -> Baseline:
    return Baseline(
        column,
        found.log_loss,
        found.brier,
        found.roc_auc,
        found.average_precision,
        found.ks,
        found.accuracy,
    )


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows of a part with all that is added up of them."""

    table: Table | None
    there: NDArray[np.bool_]
    na: tuple[str, ...]
    labels: Array
    weights: Array
    logits: Array
    probabilities: Array
    is_called: NDArray[np.bool_]
    unseen: Any

    @classmethod
    def of(cls, part: Scored, subject: Subject) -> "_Rows":
        logits = part.logits
        probabilities = np.asarray(sigmoid(logits))
        weights = np.ones(len(logits)) if part.weights is None else part.weights
        return cls(
            part.table,
            np.ones(len(logits), dtype=bool) if part.there is None else part.there,
            (*subject.schema.na, *(() if part.table is None else part.table.na)),
            part.labels,
            weights,
            logits,
            probabilities,
            probabilities > subject.threshold,
            part.unseen,
        )


# --- groups -------------------------------------------------------------------------------------

_FIELDS = 12


class _Groups:
    """Sums over the rows of each group of one protected column."""

    def __init__(self, column: Any, by_row: bool) -> None:
        self.column, self.by_row, self.n = column, by_row, 0
        self.names = name_groups(column)
        self._units = np.zeros((_FIELDS, len(self.names)), dtype=object)

    def add(self, rows: _Rows) -> None:
        """Add up some more rows."""
        assert rows.table is not None
        if self.column.name not in rows.table.frame.columns:
            return
        raw = rows.table.frame[self.column.name]
        codes = group_rows(self.column, raw, rows.na)[rows.there]
        self.n += len(codes)
        s, y, c = rows.weights, rows.labels, rows.is_called.astype(np.float64)
        loss = np.asarray(log_loss(rows.logits, y))
        fields = (np.ones(len(s)), y, s, s * s, s * y, s * s * y, s * c, s * y * c)
        for k, values in enumerate((*fields, s * rows.probabilities, s * loss)):
            self._units[k] += sum_in_units(values, codes, len(self.names))
        own = s * s if self.by_row else s  # of frequency weights each copy varies by itself
        for k, values in ((10, own * loss), (11, own * loss * loss)):
            self._units[k] += sum_in_units(values, codes, len(self.names))

    def conclude(self) -> GroupAudit:
        """The audit of all rows that were added."""
        sums = np.array([[units_to_float(each) for each in row] for row in self._units])
        whole = sums[2].sum()
        groups = [
            self._judge(name, column, whole)
            for name, column in zip(self.names, sums.T)
            if column[0] > 0
        ]
        if self.column.seen.numbers is None:  # ranges stay in their order
            groups.sort(key=lambda group: -group.n)
        groups, impacts = _compare(groups)
        return GroupAudit(self.column.name, tuple(groups), *impacts)

    def _judge(self, name: str, sums: Array, whole: float) -> Group:
        n, positives, s, squares, sy, squares_y, called, hits, said, loss = sums[:10].tolist()
        bare = Group(name, int(n), int(positives), min(1.0, s / whole))
        if n < FEWEST_ROWS:
            return bare
        copies = s * s / squares if self.by_row else s
        of_positives = (sy * sy / squares_y if self.by_row else sy) if sy else 0.0
        others, squares_n = s - sy, squares - squares_y
        of_negatives = (others * others / squares_n if self.by_row else others) if others else 0.0
        mean = loss / s
        spread = sums[11] - 2 * mean * sums[10] + mean * mean * (squares if self.by_row else s)
        error = sqrt(max(0.0, spread)) / s
        return replace(
            bare,
            selected=wilson(min(1.0, called / s), copies),
            recall=wilson(min(1.0, hits / sy), of_positives) if sy else None,
            false_alarms=wilson(min(1.0, max(0.0, (called - hits) / others)), of_negatives)
            if others > 0
            else None,
            mean_predicted=min(1.0, said / s),
            observed=wilson(min(1.0, sy / s), copies),
            log_loss=Rate(mean, max(0.0, mean - _Z * error), mean + _Z * error),
        )


def _compare(groups: Sequence[Group]) -> tuple[list[Group], tuple[float | None, float | None]]:
    """Each group's rates over the highest ones, and the lowest of these ratios."""
    rates = [group.selected.value for group in groups if group.selected is not None]
    most, least = max(rates, default=0.0), min(rates, default=1.0)
    compared = [
        group
        if group.selected is None
        else replace(
            group,
            selected_ratio=group.selected.value / most if most > 0 else None,
            rejected_ratio=(1 - group.selected.value) / (1 - least) if least < 1 else None,
        )
        for group in groups
    ]
    several = len(rates) > 1
    return compared, (
        least / most if several and most > 0 else None,
        (1 - most) / (1 - least) if several and least < 1 else None,
    )


# --- drift --------------------------------------------------------------------------------------


class _Moves:
    """How much weight lies in each bin of each column, and of the score."""

    def __init__(self, subject: Subject) -> None:
        assert subject.reference is not None
        self.reference, self.n, self._read = subject.reference, 0, 0
        self._columns = {column.name: column for column in subject.schema.columns}
        bins = (subject.reference.score, *subject.reference.columns)
        self._units = {each.column: np.zeros(len(each.shares), dtype=object) for each in bins[1:]}
        self._score = np.zeros(len(bins[0].shares), dtype=object)
        self._unseen: Counter[str] = Counter()
        self._absent: set[str] = set()

    def add(self, rows: _Rows) -> None:
        """Add up some more rows."""
        assert rows.table is not None
        self.n, self._read = self.n + len(rows.labels), self._read + len(rows.there)
        self._unseen.update(rows.unseen)
        places = self.reference.score.place(rows.probabilities)
        self._score += sum_in_units(rows.weights, places, len(self._score))
        for bins in self.reference.columns:
            if bins.column not in rows.table.frame.columns:
                self._absent.add(bins.column)
                continue
            column, raw = self._columns[bins.column], rows.table.frame[bins.column]
            places = bins.place(read_plainly(column, raw, rows.na))[rows.there]
            self._units[bins.column] += sum_in_units(rows.weights, places, len(bins.shares))

    def conclude(self) -> Drift:
        """The drift of all rows that were added, the columns that moved most first."""
        there = [each for each in self.reference.columns if each.column not in self._absent]
        columns = [
            self._compare(bins, self._units[bins.column], self._columns[bins.column])
            for bins in there
        ]
        columns.sort(key=lambda each: (-each.psi, each.column))
        score = self._compare(self.reference.score, self._score, None)
        return Drift(self.n, score, tuple(columns), tuple(sorted(self._absent)))

    def _compare(self, bins: Bins, units: Array, column: Any) -> ColumnDrift:
        sums = np.array([units_to_float(each) for each in units])
        now = np.minimum(sums / sums.sum(), 1.0)
        before = np.array(bins.shares)
        held = int(np.count_nonzero((before > 0) | (now > 0)))
        return ColumnDrift(
            column=bins.column,
            role=bins.role,
            psi=stability(before, now, self.reference.rows, self.n),
            noise=stability_by_chance(held, self.reference.rows, self.n),
            missing_before=float(before[-1]),
            missing_now=float(now[-1]),
            unseen_now=0.0 if column is None else self._unseen[bins.column] / max(1, self._read),
            bins=tuple(map(BinShare, label_bins(bins, column), before.tolist(), now.tolist())),
        )


# --- costs --------------------------------------------------------------------------------------


class _Spent:
    """What the decisions cost, and what always saying the same would."""

    def __init__(self, costs: Costs) -> None:
        self.costs, self.n = costs, 0
        # Exact sums are of numbers from 0 on: what is earned is added up apart.
        self._units = np.zeros((2, 3), dtype=object)
        self._weight = np.zeros(1, dtype=object)

    def add(self, rows: _Rows) -> None:
        """Add up some more rows."""
        known = [] if rows.table is None else rows.table.frame.columns
        if any(name not in known for name in self.costs.columns):
            return
        yes, no = read_costs(self.costs, rows.table, rows.labels, rows.there, rows.na)
        self.n += len(yes)
        self._weight += sum_in_units(rows.weights, np.zeros(len(yes), dtype=np.intp), 1)
        for k, cost in enumerate((np.where(rows.is_called, yes, no), no, yes)):
            spent = rows.weights * cost
            for sign, part in enumerate((np.maximum(spent, 0), np.maximum(-spent, 0))):
                self._units[sign, k : k + 1] += sum_in_units(
                    part, np.zeros(len(part), dtype=np.intp), 1
                )

    def conclude(self) -> CostsFound:
        """The means of all rows that were added."""
        whole = units_to_float(self._weight[0])
        spent = [
            (units_to_float(more) - units_to_float(less)) / whole for more, less in self._units.T
        ]
        return CostsFound(*spent)
