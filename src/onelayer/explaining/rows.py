"""A model's reasons: for one row with all that there is to say, for many rows the strongest."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from onelayer.encoding import encode_rows
from onelayer.errors import InputError
from onelayer.explaining.changes import Change
from onelayer.explaining.contributions import contribute
from onelayer.explaining.explain import Explanation, explain_row
from onelayer.explaining.turning import Rows, Turner
from onelayer.features.mixed import MixedFeatures
from onelayer.table.effects import Effect, find_effects
from onelayer.table.levels import read_levels
from onelayer.table.reading import Table
from onelayer.table.reasons import Ranked, rank_reasons, word_columns
from onelayer.table.schema import Schema

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Explainer:
    """What explains the rows of one model.

    Attributes
    ----------
    schema, W, b, averages: the model's.
    threshold: above which the positive value is the decision.
    decisions: its positive and its negative value, as words.
    """

    schema: Schema
    W: Array
    b: Array
    averages: Array
    threshold: float
    decisions: tuple[str, str]

    @cached_property
    def effects(self) -> tuple[Effect, ...]:
        """What each column learnt from adds to the log-odds."""
        return find_effects(self.schema.columns, self.W[0], self.averages)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The columns learnt from."""
        return tuple(effect.column.name for effect in self.effects)

    @cached_property
    def _owners(self) -> NDArray[np.intp]:
        """For each feature the place of its column among `names`."""
        place = {column: j for j, column in enumerate(self.names)}
        return np.array([place[column] for column in self.schema.feature_columns])

    @cached_property
    def _average(self) -> Array:
        """(n_columns,), what each column adds to the log-odds of the average row."""
        return np.bincount(self._owners, self.W[0] * self.averages, len(self.names))

    def push(self, features: MixedFeatures) -> Array:
        """(n, n_columns), what each column adds to each row beyond the average row."""
        return self._add(features) - self._average

    def _add(self, features: MixedFeatures) -> Array:
        return contribute(features, self.W[0], self._owners, len(self.names))

    def explain(
        self, raw: Table, row: int, wanted: str | None = None, fixed: Sequence[str] = ()
    ) -> Explanation:
        """All that there is to say of one row; see `Model.explain`."""
        sign = self.find_sign(wanted)
        if not 0 <= row < raw.frame.height:
            raise InputError(
                f"{raw.name} has {raw.frame.height:,} rows: row {row} is not among 0 to "
                f"{raw.frame.height - 1}"
            )
        one = self._place(raw.pick(row))
        na = (*self.schema.na, *raw.na)
        found = explain_row(
            self.names,
            [self._show(one, name, na) for name in self.names],
            word_columns(self.effects, one.raw, one.adds - self._average, na),
            one.adds[0],
            self._average,
            float(self.b[0, 0]),
            wanted=self.decisions[sign < 0],
            sign=sign,
        )
        turned = self.turner.find_changes(one, fixed)[0]
        return replace(
            found,
            decision=self.decisions[turned.decision == self.decisions[0]],
            change=turned,
            unanswered=self.turner.find_unanswered(one),
        )

    def find_changes(self, raw: Table, fixed: Sequence[str] = ()) -> list[Change]:
        """The smallest change of each row that turns its decision; see `Model.changes`."""
        return self.turner.find_changes(self._place(raw), fixed)

    def _place(self, raw: Table) -> Rows:
        features = encode_rows(self.schema, raw)
        return Rows(raw, features, self._add(features), self.turner.locate(raw))

    def _show(self, one: Rows, name: str, na: Sequence[str]) -> str:
        """The value of the one row as text."""
        if name in one.places:
            return one.places[name].names[0] or "missing"
        return read_levels(one.raw.frame[name], na)[0] or "missing"

    @cached_property
    def turner(self) -> Turner:
        """What finds the changes."""
        return Turner(self.schema, self.effects, self.W, self.b, self.threshold, self.decisions)

    def rank(
        self, raw: Table, features: MixedFeatures, most: int, wanted: str | None = None
    ) -> Ranked:
        """The `most` strongest reasons of each row; `features` are those of the table's rows."""
        na = (*self.schema.na, *raw.na)
        return rank_reasons(
            self.effects, raw, self.push(features), most, self.find_sign(wanted), na
        )

    def find_sign(self, wanted: str | None) -> Literal[-1, 1]:
        """1 where the positive value of the target is wanted, or nothing said; else -1.

        Raises
        ------
        InputError: it is neither of the two values.
        """
        positive, negative = self.decisions
        if wanted is None or wanted == positive:
            return 1
        if wanted == negative:
            return -1
        raise InputError(
            f"{wanted!r} is wanted: {self.schema.target.name} is {positive!r} or {negative!r}"
        )
