"""What there is to say of one row, in 80 columns: the decision and its reasons."""

from typing import TYPE_CHECKING

from onelayer.cli.amounts import count
from onelayer.cli.output import paragraph, quote, show_text, tabulate

if TYPE_CHECKING:
    from onelayer.explain import Explanation, Push
    from onelayer.model import Model
    from onelayer.table.reading import Table

_BAR_WIDTH = 10
_WORDS_WIDTH = 2 * 53  # two lines of a cell at most


def describe_explanation(
    found: "Explanation", model: "Model", raw: "Table", row: int, top: int
) -> list[str]:
    """The decision, and the row's log-odds as a sum: what speaks most against it first."""
    return [
        *paragraph(_say_decision(found, model, raw, row)),
        "",
        *paragraph(
            f"Log-odds of {quote(model.positive)}, from the average row of the training to this "
            f"one; what speaks most against {quote(found.wanted)} first"
        ),
        *tabulate(["", "", ""], _tabulate_pushes(found, top), right=[1]),
    ]


def _say_decision(found: "Explanation", model: "Model", raw: "Table", row: int) -> str:
    line = raw.line_of(0)
    where = f"row {row:,}" if line is None else f"row {row:,} (line {line:,})"
    chosen = model.positive if found.probability > model.threshold else model.negative
    said = (
        f"{show_text(raw.name)}, {where}: the probability of {quote(model.positive)} is "
        f"{found.probability:.4f}, so that the model says {quote(chosen)}"
    )
    if model.target in raw.frame.columns:
        value = raw.frame[model.target][0]
        truth = "is missing" if value is None or not str(value).strip() else quote(str(value))
        said += f"; in the table {show_text(model.target)} is {truth.removeprefix('is ')}"
    return f"{said}."


def _tabulate_pushes(found: "Explanation", top: int) -> list[list[str]]:
    """The `top` largest pushes in the order of the reasons, and the sum of the others."""
    by_size = sorted(found.pushes, key=lambda each: -abs(each.push))
    shown = [each for each in found.pushes if each in by_size[:top]]
    largest = abs(by_size[0].push) if by_size and by_size[0].push else 1.0
    rows = [["the average row", f"{found.average_logit:+.3f}", ""]]
    rows += [[_show_words(each), f"{each.push:+.3f}", _draw(each.push / largest)] for each in shown]
    if others := by_size[top:]:
        rest = sum(each.push for each in others)
        rows.append([count(len(others), "more column"), f"{rest:+.3f}", _draw(rest / largest)])
    rows.append(["this row", f"{found.logit:+.3f}", ""])
    return rows


def _show_words(push: "Push") -> str:
    return show_text(push.words, _WORDS_WIDTH)


def _draw(share: float) -> str:
    return "#" * round(min(1.0, abs(share)) * _BAR_WIDTH)
