"""`Schema`: the one description of how a raw table becomes numbers, and how it is inferred."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onelayer.errors import InputError
from onelayer.stored import from_stored, to_stored
from onelayer.table.columns import Training, infer_column, see_protected
from onelayer.table.describe import Description, describe_column
from onelayer.table.encode import Encoded, encode
from onelayer.table.features import find_steps, find_units, name_features
from onelayer.table.numerals import Floats, read_numbers
from onelayer.table.target import Target, infer_target
from onelayer.table.terms import Column, Number
from onelayer.table.values import list_some, map_in_threads, refuse_value, require_columns

if TYPE_CHECKING:
    from onelayer.table.reading import Table

FORCED_ROLES = ("numeric", "categorical", "text", "date", "drop")
"""What `roles` may say of a column."""


@dataclass(frozen=True)
class Schema:
    """Every column of a table: its role, why, how it is read, and the terms it becomes.

    Attributes
    ----------
    columns : in the order of the table it was inferred from
    target : the column learnt, and which of its values is 1
    weight : the column of row weights, or None
    na : the user's own words for missing, beside the usual ones
    """

    columns: tuple[Column, ...]
    target: Target
    weight: str | None = None
    na: tuple[str, ...] = ()

    def encode(self, table: Table) -> Encoded:
        """Return the table's rows as the learning core takes them.

        Columns are found by name, in any order; others are not looked at. It does not matter
        whether values come as text or typed: "1", 1, 1.0 and True encode alike.

        Raises
        ------
        InputError
            Naming a column that is absent, or file, line, column and value of what cannot be read.
        """
        return encode(self.columns, table, self._words_for_missing(table))

    def labels(self, table: Table) -> NDArray[np.float64]:
        """Return (n,) labels 0 and 1, nan where the target is missing; see `Target.labels`."""
        return self.target.labels(table, self._words_for_missing(table))

    def weights(self, table: Table, some: bool = True) -> NDArray[np.float64] | None:
        """Return (n,) weights, not negative and not all 0; None where no column has them.

        Without `some` the rows are a part of the table, and all of them may well have none.

        Raises
        ------
        InputError
            Naming the line and value of a weight that is negative, missing or no number.
        """
        if self.weight is None:
            return None
        return read_weights(table, self.weight, self._words_for_missing(table), some)

    def _words_for_missing(self, table: Table) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.na, *table.na)))

    @property
    def protected(self) -> tuple[str, ...]:
        """Return the columns that are never learnt from and are kept for audits."""
        return tuple(column.name for column in self.columns if column.role == "protected")

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Return a name for each parameter: numbers, then levels, then words."""
        return tuple(feature for feature, _ in name_features(self.columns))

    @property
    def feature_columns(self) -> tuple[str, ...]:
        """Return for each parameter the column of the table that it belongs to."""
        return tuple(column for _, column in name_features(self.columns))

    @property
    def feature_units(self) -> tuple[tuple[float, float], ...]:
        """Return (scale, origin) for each parameter: the table's number is scale * x + origin."""
        return find_units(self.columns)

    @property
    def feature_steps(self) -> tuple[float | None, ...]:
        """Return for each parameter how many units of its column one of its own is, if so many."""
        return find_steps(self.columns)

    def describe(self) -> tuple[Description, ...]:
        """Return for each column its role, what was done with it and why, in short texts."""
        return tuple(describe_column(column) for column in self.columns)

    def to_dict(self) -> dict[str, Any]:
        """Return the schema as plain JSON values; floats are exact."""
        stored: dict[str, Any] = to_stored(self)
        return stored

    @classmethod
    def from_dict(cls, stored: object, path: str = "schema") -> Schema:
        """Build a schema from what `to_dict` gave.

        Raises
        ------
        ModelFileError
            Naming the path to the field that is absent, unknown or of another type.
        """
        schema: Schema = from_stored(cls, stored, path)
        return schema

    def problem(self) -> str | None:
        """Return what the types of the fields cannot say, or None."""
        names = [column.name for column in self.columns]
        if len(set(names)) < len(names):
            return "a column stands twice"
        special = {"target": [self.target.name], "weight": [self.weight] if self.weight else []}
        for role, wanted in special.items():
            if [column.name for column in self.columns if column.role == role] != wanted:
                return f"the column of role {role!r} is not the {role} named"
        return None


def infer_schema(
    table: Table,
    *,
    target: str,
    positive: object = None,
    weight: str | None = None,
    drop: Sequence[str] = (),
    keep: Sequence[str] = (),
    protected: Sequence[str] = (),
    roles: Mapping[str, str] | None = None,
    training: NDArray[np.bool_] | None = None,
    learnt: Target | None = None,
) -> Schema:
    """Decide for every column of a table what it is and becomes, by the rules of docs/tables.md.

    Types and roles are settled over all rows, so that a strange value in the last one counts;
    means, quantiles, levels and transforms come from the training rows alone.

    Arguments
    ---------
    target, positive
        The column to learn, and which of its values is 1; see `infer_target`.
    weight
        A column of row weights; rows of weight 0 count as not there.
    drop, protected
        Columns not to be used; the protected ones are kept for audits.
    keep
        Columns to be used even if they look like an identifier or a leak.
    roles
        Column -> "numeric", "categorical", "text", "date" or "drop".
    training : (n,) booleans
        The training rows; default: all. Rows without a target are never among them.
    learnt
        The target, where it has been settled over more rows than these, of which these may lack
        a class that is rare.

    Raises
    ------
    InputError
        For unknown columns, contradictions, a target that cannot be learnt, weights that are
        none, and a table that leaves nothing to learn from.
    """
    roles = dict(roles or {})
    _check_names(table, target, weight, drop, keep, protected, roles)
    chosen = learnt or infer_target(table, target, positive, table.na)
    labels = chosen.labels(table, table.na)
    weights = np.ones(labels.size) if weight is None else read_weights(table, weight, table.na)
    rows = _find_training_rows(labels, weights, training)
    if learnt is None or not rows.any():
        require_classes(table.name, target, labels[rows])
    facts = Training(rows, labels[rows], weights[rows])
    aside = _name_aside(chosen, weight, drop, roles)

    def infer(name: str) -> Column:
        if name in aside:
            return aside[name]
        if name in protected:
            return see_protected(table, name, facts, table.na)
        return infer_column(table, name, facts, table.na, roles.get(name), name in keep)

    columns = tuple(map_in_threads(infer, table.frame.columns))
    _require_terms(table, columns)
    return Schema(columns, chosen, weight, tuple(table.na))


def read_weights(table: Table, name: str, na: Sequence[str] = (), some: bool = True) -> Floats:
    """Return (n,) weights of a column; `some` requires one above 0; see `Schema.weights`."""
    require_columns(table, [name])
    raw = table.frame[name]
    values = read_numbers(raw, Number(), na)
    wrong = ~(np.isfinite(values) & (values >= 0))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise refuse_value(table, row, name, "is no weight: a number of 0 or more is needed")
    if some and values.size and not values.any():
        raise InputError(f"{table.name}, column {name!r}: all weights are 0")
    return values


def _check_names(
    table: Table,
    target: str,
    weight: str | None,
    drop: Sequence[str],
    keep: Sequence[str],
    protected: Sequence[str],
    roles: Mapping[str, str],
) -> None:
    asked = {"target": [target], "weight": [weight] if weight is not None else []}
    asked |= {"drop": [*drop], "keep": [*keep], "protected": [*protected], "roles": [*roles]}
    for names in asked.values():
        require_columns(table, names)
    for column, role in roles.items():
        if role not in FORCED_ROLES:
            raise InputError(f"column {column!r}: no role {role!r}; use {list_some(FORCED_ROLES)}")
    together = {("keep", "roles")}
    options = list(asked)
    for i, first in enumerate(options):
        for second in options[i + 1 :]:
            both = set(asked[first]) & set(asked[second])
            if both and (first, second) not in together:
                raise InputError(f"column {min(both)!r} is given both as {first} and as {second}")


def _name_aside(
    target: Target,
    weight: str | None,
    drop: Sequence[str],
    roles: Mapping[str, str],
) -> dict[str, Column]:
    """Return the columns whose values are not looked at."""
    aside = {name: Column(name, "dropped", "as you said") for name in drop}
    dropped = [name for name, role in roles.items() if role == "drop"]
    aside |= {name: Column(name, "dropped", "as you said") for name in dropped}
    if weight is not None:
        aside[weight] = Column(weight, "weight", "weighs the rows")
    aside[target.name] = Column(target.name, "target", target.reason)
    return aside


def _find_training_rows(
    labels: Floats, weights: Floats, training: NDArray[np.bool_] | None
) -> NDArray[np.bool_]:
    rows = ~np.isnan(labels) & (weights > 0)
    if training is not None:
        if training.shape != rows.shape:
            raise ValueError(f"training must be {rows.size} booleans, one a row")
        rows &= training
    return rows


def require_classes(name: str, target: str, labels: Floats) -> None:
    """Refuse labels of training rows, in a column of the table called `name`, of one class.

    Raises
    ------
    InputError
        Naming the class.
    """
    held = np.unique(labels[~np.isnan(labels)])
    if held.size < 2:
        only = "no class at all" if not held.size else f"only class {int(held[0])}"
        raise InputError(
            f"{name}, column {target!r}: the training rows hold {only}; both are needed"
        )


def _require_terms(table: Table, columns: Sequence[Column]) -> None:
    if not any(column.terms for column in columns):
        why = ", ".join(f"{column.name}: {column.role}" for column in columns[:8])
        raise InputError(f"{table.name}: no column is left to learn from ({why})")
