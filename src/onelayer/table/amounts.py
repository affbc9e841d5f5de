"""Columns of amounts, such as what a decision costs: a number in every row that counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onelayer.table.numerals import Floats, read_numbers
from onelayer.table.terms import Number
from onelayer.table.values import refuse_value, require_columns

if TYPE_CHECKING:
    from onelayer.table.reading import Table


def read_amounts(
    table: Table, name: str, there: NDArray[np.bool_], na: Sequence[str] = ()
) -> Floats:
    """Return (n,) amounts of a column, of any sign.

    Raises
    ------
    InputError
        Naming the line and value of a row that counts and whose amount is missing or no number.
    """
    require_columns(table, [name])
    values = read_numbers(table.frame[name], Number(), na)
    wrong = there & ~np.isfinite(values)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise refuse_value(table, row, name, "is no amount: a number is needed in every row")
    return values
