"""A column that others already hold, and the sentence that says how."""

from dataclasses import dataclass
from fractions import Fraction

from onelayer.naming import UNNAMED, Naming

LARGEST_DENOMINATOR = 100


@dataclass(frozen=True)
class Dependence:
    """One column as a sum of others, in the units of the table.

    Attributes
    ----------
    column: the column that adds nothing of its own.
    terms: (column, coefficient) of the others; none for a constant column.
    constant: what is added to them.
    residual: the largest distance of a row from the sum, as a share of the column's range.

    >>> Dependence(2, ((0, 1.0), (1, -0.5)), 3.0).sentence(Naming(("a", "b", "total")))
    '`total` = `a` - 0.5 `b` + 3'
    """

    column: int
    terms: tuple[tuple[int, float], ...]
    constant: float = 0.0
    residual: float = 0.0

    def sentence(self, naming: Naming = UNNAMED) -> str:
        """The relation as a formula in the columns' names."""
        name = naming.column(self.column)
        if not self.terms:
            return f"{name} is constant, {self.constant:.6g}"
        parts = [_say(c, f" {naming.column(j)}") for j, c in self.terms]
        if self.constant:  # in front where the first column is taken off it
            place = 0 if self.constant > 0 > self.terms[0][1] else len(parts)
            parts.insert(place, _say(self.constant, ""))
        text = " ".join(parts).removeprefix("+ ")
        near = f" to within {self.residual:.0e} of its range" if self.residual > 1e-9 else ""
        return f"{name} = {'-' + text[2:] if text.startswith('- ') else text}{near}"


def _say(number: float, name: str) -> str:
    """A signed term: "+ 2 `a`", "- `b`", "+ 3"."""
    size, sign = abs(number), "-" if number < 0 else "+"
    if name and size == 1:
        return f"{sign}{name}"
    ratio = Fraction(size).limit_denominator(LARGEST_DENOMINATOR)
    decimal = f"{size:.6g}"
    as_ratio = float(ratio) == size and ratio.numerator <= LARGEST_DENOMINATOR and len(decimal) > 4
    return f"{sign} {ratio if as_ratio else decimal}{name}"


def tidy(number: float) -> float:
    """The fraction of small numbers that the number all but is; else the number.

    >>> tidy(0.33333333331), tidy(0.1234567)
    (0.3333333333333333, 0.1234567)
    """
    ratio = Fraction(number).limit_denominator(LARGEST_DENOMINATOR)
    near = abs(float(ratio) - number) <= 1e-8 * abs(number)
    return float(ratio) if near else number
