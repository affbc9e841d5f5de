"""Counts and sums of weights in words."""


def count(number: float, noun: str) -> str:
    """A number with its noun.

    >>> count(1, "row"), count(12345, "row")
    ('1 row', '12,345 rows')
    """
    return f"{amount(number)} {noun}{'' if number == 1 else 's'}"


def amount(number: float) -> str:
    """A count, or a sum of weights.

    >>> amount(1234.0), amount(0.5)
    ('1,234', '0.5')
    """
    return f"{number:,.0f}" if float(number).is_integer() else f"{number:,.1f}"
