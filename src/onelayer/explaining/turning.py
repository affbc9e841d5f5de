"""What would turn the decisions of a model: changed values, and values that are not there."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from onelayer.encoding import Surprises, encode_rows
from onelayer.explaining.changes import (
    Change,
    Move,
    Standing,
    describe_move,
    find_change,
    find_farthest,
)
from onelayer.explaining.unanswered import Unanswered, find_unanswered
from onelayer.features.mixed import MixedFeatures
from onelayer.network import sigmoid
from onelayer.scoring import predict_logits
from onelayer.table.curves import Curve, Places, change_values, draw_curves, find_reach
from onelayer.table.effects import Effect
from onelayer.table.levels import read_levels
from onelayer.table.reading import Table
from onelayer.table.schema import Schema
from onelayer.table.values import require_names

Array = NDArray[Any]

MARGINS = (1e-9, 1e-6)  # of log-odds beyond the threshold; more than rounding can take back


@dataclass(frozen=True, eq=False)
class Rows:
    """The n rows of a table that are looked at.

    Attributes
    ----------
    features: theirs. adds: (n, n_columns), what their columns add to the log-odds.
    places: where they stand on the curves.
    """

    raw: Table
    features: MixedFeatures
    adds: Array
    places: Mapping[str, Places]


@dataclass(frozen=True, eq=False)
class Turner:
    """What finds the changes that turn the decisions of one model.

    Attributes
    ----------
    schema, W, b, threshold: the model's. effects: of the columns learnt from.
    decisions: its positive and its negative value, as words.
    """

    schema: Schema
    effects: tuple[Effect, ...]
    W: Array
    b: Array
    threshold: float
    decisions: tuple[str, str]

    @cached_property
    def curves(self) -> dict[str, Curve]:
        """What each column would add with any value that training has seen."""
        curves = draw_curves(self.effects, self.schema.na)
        return {curve.column.name: curve for curve in curves}

    def locate(self, raw: Table) -> dict[str, Places]:
        """Where the rows of a table stand on each curve."""
        na, columns = (*self.schema.na, *raw.na), raw.frame.to_dict(as_series=True)
        return {name: curve.read(columns[name], na) for name, curve in self.curves.items()}

    def find_changes(self, rows: Rows, fixed: Sequence[str]) -> list[Change]:
        """The smallest change of each row, tried out on the rows themselves.

        Parameters
        ----------
        fixed: columns that cannot change.

        Raises
        ------
        InputError: there is no column of a name in `fixed`.
        """
        require_names("the model's table", [each.name for each in self.schema.columns], fixed)
        logits = self._score(rows.features)
        positive: list[bool] = self._is_positive(logits).tolist()
        found: list[Change | None] = [None] * len(logits)
        left = list(enumerate(self._stand(rows, fixed)))
        for margin in MARGINS:
            turned: dict[int, tuple[list[Move], bool]] = {}
            for row, standings in left:
                sign: Literal[-1, 1] = -1 if positive[row] else 1
                need = self._find_need(float(logits[row]), sign, margin)
                moves, proved = find_change(standings, need, sign)
                if moves:
                    turned[row] = moves, proved
                else:
                    found[row] = self._give_up(float(logits[row]), standings, sign)
            after = self._apply(rows.raw, {row: moves for row, (moves, _) in turned.items()})
            for row, (moves, proved) in turned.items():
                if bool(self._is_positive(after[row])) != positive[row]:
                    found[row] = self._describe(moves, proved, float(after[row]), positive[row])
            left = [each for each in left if found[each[0]] is None]
            if not left:
                break
        assert not left, "a change that the scores do not bear out"
        return [each for each in found if each is not None]

    def _score(self, features: MixedFeatures) -> Array:
        return np.asarray(predict_logits(features, self.W, self.b)[0])

    def _is_positive(self, logits: Array) -> Array:
        return np.asarray(sigmoid(logits) > self.threshold)

    def _stand(self, rows: Rows, fixed: Sequence[str]) -> Iterator[list[Standing]]:
        """Where each row stands on the curves of the columns that may change."""
        columns = []
        for j, effect in enumerate(self.effects):
            name = effect.column.name
            if name in rows.places and name not in fixed:
                places = rows.places[name]
                here = places.values.tolist(), (rows.adds[:, j] - places.aside).tolist()
                texts = places.names.to_list(), places.missing.tolist()
                columns.append((self.curves[name], *here, *texts))
        for row in range(len(rows.adds)):
            yield [
                Standing(curve, values[row], own[row], None if missing[row] else names[row])
                for curve, values, own, names, missing in columns
            ]

    def _find_need(self, logit: float, sign: int, margin: float) -> float:
        """By how much the log-odds must move, and a trace more: sums may round against us."""
        with np.errstate(divide="ignore"):  # thresholds of 0 and 1 are out of reach
            border = float(np.log(self.threshold) - np.log1p(-self.threshold))
        return sign * (border - logit) + margin * (1 + abs(logit) + abs(border))

    def _apply(self, raw: Table, turned: dict[int, list[Move]]) -> Array:
        """The log-odds of the rows with other values, written as they would be in a table."""
        texts: dict[str, dict[int, str]] = {}
        for row, moves in turned.items():
            for move in moves:
                texts.setdefault(move.standing.curve.column.name, {})[row] = move.text
        return self._score(encode_rows(self.schema, change_values(raw, texts), Surprises()))

    def _describe(
        self, moves: Sequence[Move], proved: bool, after: float, positive: bool
    ) -> Change:
        return Change(
            self.decisions[positive],
            tuple(describe_move(move) for move in moves),
            sum(move.distance for move in moves),
            float(sigmoid(after)),
            proved,
        )

    def _give_up(self, logit: float, standings: Sequence[Standing], sign: Literal[-1, 1]) -> Change:
        farthest = logit + find_farthest(standings, sign)
        return Change(self.decisions[sign < 0], (), 0.0, float(sigmoid(farthest)))

    def find_unanswered(self, one: Rows) -> Unanswered | None:
        """What the missing values of the one row of a table could make of it."""
        na, columns = (*self.schema.na, *one.raw.na), []
        for j, effect in enumerate(self.effects):
            name = effect.column.name
            if name in one.places:
                missing = one.places[name].missing[0]
            else:
                missing = read_levels(one.raw.frame[name], na).is_null()[0]
            if missing:
                reach = find_reach(effect, self.curves.get(name))
                columns.append((name, float(one.adds[0, j]), *reach))
        return find_unanswered(float(self._score(one.features)[0]), self.threshold, columns)
