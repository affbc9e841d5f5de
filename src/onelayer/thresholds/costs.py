"""What a decision costs, for each row of a table."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.table.amounts import read_amounts
from onelayer.table.reading import Table
from onelayer.thresholds.choice import Amount, Costs, Fixed

Array = NDArray[np.float64]


def read_costs(
    costs: Costs,
    table: Table | None,
    labels: NDArray[Any],
    there: NDArray[np.bool_],
    na: tuple[str, ...] = (),
) -> tuple[Array, Array]:
    """The cost of calling each row positive, and of not doing so, (n,) each.

    Args:
        costs: As asked for.
        table: Where columns of costs are read from; None where there are none.
        labels: (n,), of the rows that count.
        there: Which rows of the table these are.
        na: Words for a missing value.

    Raises:
        InputError: A column is not there, or a cost is missing or no number, naming its line.

    >>> there = np.ones(2, dtype=bool)
    >>> read_costs(Costs(Fixed(1.0), Fixed(5.0)), None, np.array([0, 1]), there)
    (array([1., 0.]), array([0., 5.]))
    """

    def read(amount: Amount) -> Array:
        if isinstance(amount, Fixed):
            return np.full(len(labels), amount.value)
        assert table is not None
        return read_amounts(table, amount.column, there, na)[there]

    is_positive = labels > 0
    called = np.where(is_positive, read(costs.tp), read(costs.fp))
    return called, np.where(is_positive, read(costs.fn), read(costs.tn))
