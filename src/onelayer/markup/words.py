"""Numbers and text from tables, written for people."""

import math
import unicodedata
from collections.abc import Callable
from typing import Any

MINUS = "\u2212"
THIN = "\u202f"  # a narrow blank that does not break: 12.3 %
NONE = "\u2013"
LONGEST_NAME = 60


def shown(text: object, most: int = LONGEST_NAME) -> str:
    """Text from a table as one line: what cannot be seen is spelled out, what is long is cut.

    >>> shown("two" + chr(10) + "lines"), shown("a" * 100, 5)
    ('two\\\\nlines', 'aaaa\u2026')
    """
    cut = str(text)[: most + 1]  # at most so many are looked at: a cell may hold 10,000
    visible = "".join(each if _is_seen(each) else ascii(each)[1:-1] for each in cut)
    return visible if len(visible) <= most else f"{visible[: most - 1]}\u2026"


def _is_seen(letter: str) -> bool:
    return letter.isprintable() or unicodedata.category(letter) == "Zs"  # blanks of any width


def amount(number: float | None) -> str:
    """A count, or a sum of weights.

    >>> amount(1234.0), amount(0.5), amount(None)
    ('1,234', '0.5', '\u2013')
    """
    if number is None:
        return NONE
    return f"{number:,.0f}" if float(number).is_integer() else f"{number:,.1f}"


def fixed(number: float | None, places: int = 3) -> str:
    """A number with so many places, and a minus sign that is one.

    >>> fixed(-0.12345), fixed(None)
    ('\u22120.123', '\u2013')
    """
    if number is None or math.isnan(number):
        return NONE
    text = f"{number:,.{places}f}"
    return text.replace("-", MINUS) if float(text.replace(",", "")) else text.lstrip("-")


def percent(share: float | None, places: int = 1) -> str:
    """A share of one.

    >>> percent(0.1234)
    '12.3\u202f%'
    """
    return NONE if share is None else f"{fixed(100 * share, places)}{THIN}%"


def chance(probability: float) -> str:
    """A probability, which is never quite 0 or 1.

    >>> chance(0.12345), chance(1e-9), chance(1.0)
    ('12.35 %', 'under 0.01 %', 'over 99.99 %')
    """
    if probability < 1e-4:
        return f"under 0.01{THIN}%"
    return f"over 99.99{THIN}%" if probability > 1 - 1e-4 else percent(probability, 2)


def short(number: float | None, digits: int = 3) -> str:
    """A number of any size in few characters.

    >>> short(0.25), short(1234567.0), short(-1.5e-9), short(float("inf"))
    ('0.25', '1,230,000', '\u22121.5e\u22129', '\u221e')
    """
    if number is None or math.isnan(number):
        return NONE
    if math.isinf(number):
        return "\u221e" if number > 0 else f"{MINUS}\u221e"
    if number == 0:
        return "0"
    rounded = float(f"{number:.{digits}g}")
    if 1e-4 <= abs(rounded) < 1e7:
        places = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
        text = f"{rounded:,.{places}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    else:
        mantissa, exponent = f"{rounded:.{digits - 1}e}".split("e")
        text = f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return text.replace("-", MINUS)


def count(number: float, noun: str) -> str:
    """A number with its noun.

    >>> count(1, "row"), count(12345, "row")
    ('1 row', '12,345 rows')
    """
    return f"{amount(number)} {noun}{'' if number == 1 else 's'}"


FILTERS: tuple[Callable[..., Any], ...] = (shown, amount, fixed, percent, chance, short, count)

MEASURES = {
    "log_loss": "log loss",
    "brier": "Brier score",
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "gini": "Gini",
    "ks": "Kolmogorov-Smirnov",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "mcc": "Matthews correlation",
}
"""The measures of an evaluation as people call them."""
