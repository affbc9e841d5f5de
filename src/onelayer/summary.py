"""What a fit says of each coefficient and of the whole: frozen results, and their table as text.

    z = coefficient / error,    p = 2 Phi(-|z|),    interval = coefficient -+ error Phi^-1(.),

with Phi the normal distribution; the odds ratio is e^coefficient. How the errors come about is told
in `inference/`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from textwrap import wrap
from typing import Any, Literal, get_args

from scipy.special import ndtr, ndtri

WeightKind = Literal["frequency", "sampling"]
WEIGHT_KINDS = get_args(WeightKind)
BIAS = "(bias)"
WIDTH = 80
SHORTEST_NAME = 8
MOST_PLACES = 7
LARGEST_EXPONENT = 709.0  # e to it is just within float64


@dataclass(frozen=True)
class OddsRatio:
    """By what the odds are multiplied, and the ends of its interval; None where there is none."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Coefficient:
    """One coefficient with its error.

    Attributes
    ----------
    name: of the feature, or `BIAS`.
    output: the class that stands against the reference class, or the output of a multi-label fit;
        empty where there is one output alone.
    value: the coefficient, log-odds per unit of the feature.
    error: its standard error, or posterior spread (`Summary.penalised` says which); None where
        there is none.
    deviation: standard deviation of the feature over the rows (weighted; the divisor is the sum of
        the weights); None for the bias.
    level: of the interval, above 0 and below 1.
    remark: "constant" or "unsettled" where that is why there is no error; else empty.

    >>> slope = Coefficient("age", "", 0.5, 0.25, 2.0, 0.95)
    >>> slope.z, round(slope.p, 4), [round(end, 3) for end in slope.interval]
    (2.0, 0.0455, [0.01, 0.99])
    >>> round(slope.odds_ratio_per_deviation.value, 4)
    2.7183
    """

    name: str
    output: str
    value: float
    error: float | None
    deviation: float | None
    level: float
    remark: str = ""

    @property
    def z(self) -> float | None:
        """The coefficient in units of its error."""
        if self.error is None:
            return None
        return self.value / self.error if self.error > 0 else math.copysign(math.inf, self.value)

    @property
    def p(self) -> float | None:
        """The probability of so large a |z|, or a larger one, where the coefficient is really 0."""
        return None if self.z is None else float(2 * ndtr(-abs(self.z)))

    @property
    def interval(self) -> tuple[float, float] | None:
        """The ends of the interval for the coefficient, of probability `level`."""
        if self.error is None:
            return None
        reach = float(ndtri(0.5 + self.level / 2)) * self.error
        return self.value - reach, self.value + reach

    @property
    def odds_ratio(self) -> OddsRatio:
        """By what one unit of the feature multiplies the odds."""
        return self._multiply_odds(1.0)

    @property
    def odds_ratio_per_deviation(self) -> OddsRatio | None:
        """By what one standard deviation of the feature multiplies them; None for the bias."""
        return None if self.deviation is None else self._multiply_odds(self.deviation)

    def _multiply_odds(self, unit: float) -> OddsRatio:
        value = _exponentiate(self.value * unit)
        if self.interval is None:
            return OddsRatio(value, None, None)
        low, high = self.interval
        return OddsRatio(value, _exponentiate(low * unit), _exponentiate(high * unit))


def _exponentiate(x: float) -> float:
    return math.exp(x) if x <= LARGEST_EXPONENT else math.inf


@dataclass(frozen=True)
class Summary:
    """The coefficients of a fit with their errors, and how well the whole fits.

    Attributes
    ----------
    coefficients: output by output, the features in their order and then the bias. Of several
        classes each is that of a class less that of `reference`.
    errors: "model" (inverse Hessian), "HC0" (sandwich), "HC1" (HC0 times n / (n - parameters)),
        "cluster" (G / (G - 1) (n - 1) / (n - parameters), G clusters) or "none".
    clusters: how many, or None.
    level: of the intervals.
    n: the number of rows; with weights that are frequencies their sum.
    weight_kind: "frequency" or "sampling".
    C: inverse strength of the penalty, inf for none.
    parameters: how many were fitted; with a penalty the effective number, tr(H^-1 (H - penalty));
        None where that was not computed.
    log_likelihood: in nats; null_log_likelihood: that of the biases alone (of no parameter at all
        where no bias was fitted).
    reference: the class that the others stand against, or None.
    notes: what a reader must know before using the errors, each a sentence.
    """

    coefficients: tuple[Coefficient, ...]
    errors: str
    clusters: int | None
    level: float
    n: float
    weight_kind: str
    C: float
    parameters: float | None
    log_likelihood: float
    null_log_likelihood: float
    reference: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def penalised(self) -> bool:
        """Whether the errors are posterior spreads, for want of C = inf."""
        return math.isfinite(self.C)

    @property
    def deviance(self) -> float:
        """-2 log-likelihood: that of the saturated model is 0, row by row."""
        return -2 * self.log_likelihood

    @property
    def null_deviance(self) -> float:
        """-2 null log-likelihood."""
        return -2 * self.null_log_likelihood

    @property
    def mcfadden_r2(self) -> float:
        """1 - log-likelihood / null log-likelihood."""
        return 1 - self.log_likelihood / self.null_log_likelihood

    @property
    def aic(self) -> float | None:
        """Deviance + 2 parameters; None with survey weights, whose likelihood is none."""
        return self._penalise_parameters(2.0)

    @property
    def bic(self) -> float | None:
        """Deviance + log(n) parameters; None with survey weights."""
        return self._penalise_parameters(math.log(self.n))

    def _penalise_parameters(self, price: float) -> float | None:
        if self.parameters is None or self.weight_kind == "sampling":
            return None
        return self.deviance + price * self.parameters

    def find(self, name: str, output: str = "") -> Coefficient:
        """The coefficient of that name (and output); KeyError where there is none."""
        for each in self.coefficients:
            if each.name == name and each.output == output:
                return each
        raise KeyError(f"no coefficient {name!r} of output {output!r}")

    def to_dict(self) -> dict[str, Any]:
        """Everything, the derived numbers too, as plain values; an infinite number is "inf"."""
        names = ("n", "parameters", "log_likelihood", "null_log_likelihood", "deviance")
        whole = {name: getattr(self, name) for name in (*names, "mcfadden_r2", "aic", "bic")}
        return {
            "errors": self.errors,
            "clusters": self.clusters,
            "level": self.level,
            "weight_kind": self.weight_kind,
            "C": _name_infinity(self.C),
            "reference": self.reference,
            **whole,
            "coefficients": [_to_record(each) for each in self.coefficients],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        lines = [*describe_whole(self), ""]
        for output in dict.fromkeys(each.output for each in self.coefficients):
            held = [each for each in self.coefficients if each.output == output]
            against = "" if self.reference is None else f" against {self.reference}"
            lines += [f"{output}{against}"] if output else []
            lines += [*_align(*tabulate_errors(self, held)), ""]
            lines += [*_align(*tabulate_odds(self, held)), ""]
        for note in self.notes:
            lines += wrap(note, WIDTH)
        return "\n".join(line.rstrip() for line in lines).rstrip()


def _to_record(each: Coefficient) -> dict[str, Any]:
    ratios = [
        None if ratio is None else [_name_infinity(x) for x in (ratio.value, ratio.low, ratio.high)]
        for ratio in (each.odds_ratio, each.odds_ratio_per_deviation)
    ]
    return {
        "name": each.name,
        "output": each.output,
        "coefficient": each.value,
        "error": each.error,
        "z": _name_infinity(each.z),
        "p": each.p,
        "interval": None if each.interval is None else list(each.interval),
        "odds_ratio": ratios[0],
        "deviation": each.deviation,
        "odds_ratio_per_deviation": ratios[1],
        "remark": each.remark,
    }


def _name_infinity(x: float | None) -> float | str | None:
    return x if x is None or math.isfinite(x) else ("inf" if x > 0 else "-inf")


def describe_whole(summary: Summary) -> list[str]:
    """The fit as a whole: what errors these are, log-likelihood and what is drawn from it."""
    null, r2 = f"{summary.null_log_likelihood:.4f}", f"{summary.mcfadden_r2:.4f}"
    rows = [
        ("rows", f"{summary.n:,.10g}", "parameters", _show(summary.parameters, ".6g")),
        ("log-likelihood", f"{summary.log_likelihood:.4f}", "AIC", _show(summary.aic, ".4f")),
        ("of the null model", null, "BIC", _show(summary.bic, ".4f")),
        ("deviance", f"{summary.deviance:.4f}", "McFadden R2", r2),
    ]
    widths = [max(len(row[k]) for row in rows) for k in range(4)]
    lines = [
        f"{a:<{widths[0]}}  {b:>{widths[1]}}    {c:<{widths[2]}}  {d:>{widths[3]}}"
        for a, b, c, d in rows
    ]
    return [*lines, f"errors: {_ERRORS[summary.errors].format(G=summary.clusters)}"]


def tabulate_errors(
    summary: Summary, held: Sequence[Coefficient], digits: int = 4
) -> tuple[list[str], list[list[str]]]:
    """Titles and cells: coefficient, error, z, p and the ends of the interval, where there are."""
    form = f".{digits}g"
    heads, error = ["", "coefficient"], "spread" if summary.penalised else "std error"
    rows = [[each.name, f"{each.value:{form}}"] for each in held]
    if summary.errors == "none":
        return heads, rows
    heads += [error, "z", "p", *_name_ends(summary.level)]
    for row, each in zip(rows, held, strict=True):
        ends = each.interval or (None, None)
        row += [each.remark or _show(each.error, form), _show(each.z, ".2f"), _show_p(each.p)]
        row += [_show(end, form) for end in ends]
    return heads, rows


def tabulate_odds(
    summary: Summary, held: Sequence[Coefficient], digits: int = 4
) -> tuple[list[str], list[list[str]]]:
    """Titles and cells: odds ratios per unit and per standard deviation, with their intervals."""
    ends = [] if summary.errors == "none" else list(_name_ends(summary.level))
    rows = []
    for each in held:
        ratios = (each.odds_ratio, each.odds_ratio_per_deviation or OddsRatio(math.nan, None, None))
        numbers = [
            x
            for ratio in ratios
            for x in ((ratio.value, ratio.low, ratio.high) if ends else (ratio.value,))
        ]
        rows.append([each.name, *(_show_ratio(x, digits) for x in numbers)])
    return ["odds ratio", "per unit", *ends, "per sd", *ends], rows


_ERRORS = {
    "none": "none",
    "model": "of the model (inverse Hessian)",
    "HC0": "robust, HC0 (sandwich, no small-sample factor)",
    "HC1": "robust, HC1 (sandwich, n / (n - parameters))",
    "cluster": "robust, clustered ({G:,} clusters, G/(G-1) (n-1)/(n-parameters))",
}


def _name_ends(level: float) -> tuple[str, str]:
    """The interval's ends as quantiles.

    >>> _name_ends(0.95)
    ('2.5 %', '97.5 %')
    """
    return f"{50 * (1 - level):.4g} %", f"{50 * (1 + level):.4g} %"


def _show(number: float | None, form: str = ".4g") -> str:
    return "-" if number is None or math.isnan(number) else f"{number:{form}}"


def _show_ratio(ratio: float | None, digits: int) -> str:
    """A ratio, near 1 with as many digits as its distance from 1 needs.

    >>> _show_ratio(1.00226, 3), _show_ratio(0.5, 3), _show_ratio(1.0, 3)
    ('1.00226', '0.5', '1')
    """
    if ratio is None or not 0 < abs(ratio - 1) < 0.1:
        return _show(ratio, f".{digits}g")
    places = digits - 1 - math.floor(math.log10(abs(ratio - 1)))
    return f"{ratio:.{min(places, MOST_PLACES)}f}"


def _show_p(p: float | None) -> str:
    if p is None:
        return "-"
    return f"{p:.3f}" if p >= 5e-4 else f"{p:.0e}"


def _align(heads: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of at most `WIDTH` columns: names are cut for it, numbers never."""
    rows = [heads, *rows]
    widths = [max(len(row[k]) for row in rows) for k in range(len(heads))]
    room = max(SHORTEST_NAME, WIDTH - sum(widths[1:]) - 2 * len(widths[1:]))
    name = min(widths[0], room)
    return [
        "  ".join([f"{_cut(row[0], name):<{name}}", *map(str.rjust, row[1:], widths[1:])])
        for row in rows
    ]


def _cut(name: str, most: int) -> str:
    shown = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in name)
    return shown if len(shown) <= most else f"{shown[: most - 3]}..."


BALANCED = (
    "The classes were weighed or the table was resampled: the errors are those of that fit, and "
    "the bias, solved again afterwards, has none."
)


def note_balance(summary: Summary | None, bias: float) -> Summary | None:
    """The summary of a fit whose bias was solved again for another base rate."""
    if summary is None:
        return None
    held = summary.coefficients
    last = replace(held[-1], value=bias, error=None, remark="unsettled")
    return replace(summary, coefficients=(*held[:-1], last), notes=(*summary.notes, BALANCED))
