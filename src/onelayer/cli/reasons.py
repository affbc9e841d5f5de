"""What there is to say of one row, in 80 columns: the decision and its reasons."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from onelayer.cli.amounts import count
from onelayer.cli.output import paragraph, quote, show_text, tabulate

if TYPE_CHECKING:
    from onelayer.explaining.changes import Change
    from onelayer.explaining.explain import Explanation, Push
    from onelayer.explaining.unanswered import Unanswered
    from onelayer.model import Model
    from onelayer.table.reading import Table

USUAL_THRESHOLD = 0.5
_BAR_WIDTH = 10
_NAME_WIDTH = 40
_VALUE_WIDTH = 24
_MOST_NAMES = 5
_WORDS_WIDTH = 2 * 53  # two lines of a cell at most


def describe_explanation(
    found: "Explanation",
    model: "Model",
    raw: "Table",
    row: int,
    top: int,
    fixed: Sequence[str] = (),
) -> list[str]:
    """The decision, the row's log-odds as a sum, and what would turn the decision.

    What speaks most against it comes first; `top` columns stand by themselves; `fixed` may not
    change.
    """
    return [
        *paragraph(_say_decision(found, model, raw, row)),
        "",
        *paragraph(
            f"Log-odds of {quote(model.positive)}, from the average row of the training to this "
            f"one; what speaks most against {quote(found.wanted)} first"
        ),
        *tabulate(["", "", ""], _tabulate_pushes(found, top), right=[1]),
        "",
        *([] if found.change is None else paragraph(_say_change(found.change, fixed))),
        *([] if found.unanswered is None else ["", *_say_unanswered(found.unanswered)]),
    ]


def _say_decision(found: "Explanation", model: "Model", raw: "Table", row: int) -> str:
    line = raw.line_of(0)
    where = f"row {row:,}" if line is None else f"row {row:,} (line {line:,})"
    said = (
        f"{show_text(raw.name)}, {where}: the probability of {quote(model.positive)} is "
        f"{found.probability:.4f}{_say_threshold(found, model)}, so that the model says "
        f"{quote(str(found.decision))}"
    )
    if model.target in raw.frame.columns:
        value = raw.frame[model.target][0]
        truth = "is missing" if value is None or not str(value).strip() else quote(str(value))
        said += f"; in the table {show_text(model.target)} is {truth.removeprefix('is ')}"
    return f"{said}."


def _say_threshold(found: "Explanation", model: "Model") -> str:
    """Which side of the threshold that is, where it is not the usual one."""
    if model.threshold == USUAL_THRESHOLD:
        return ""
    side = "above" if found.decision == model.positive else "not above"
    return f", {side} the threshold {model.threshold:.4g}"


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


def _say_change(change: "Change", fixed: Sequence[str]) -> str:
    from onelayer.naming import list_words

    kept = f" ({', '.join(show_text(name, _NAME_WIDTH) for name in fixed)} kept)" if fixed else ""
    if not change.values:
        return (
            f"No change within the values seen in training turns this decision{kept}: the "
            f"probability would come to {change.probability:.4f} and no further."
        )
    now = [
        f"{show_text(each.words, _WORDS_WIDTH)} (now {show_text(each.before, _VALUE_WIDTH)})"
        for each in change.values
    ]
    least = "Smallest change that turns it" if change.is_least else "A change that turns it"
    return (
        f"{least}{kept}: {quote(change.decision)} if {list_words(now)}. The probability would be "
        f"{change.probability:.4f}."
    )


def _say_unanswered(found: "Unanswered") -> list[str]:
    from onelayer.naming import list_words

    names = [show_text(each.column, _NAME_WIDTH) for each in found.answers]
    are = "is" if len(names) == 1 else "are"
    over = (
        f"{list_words(names[:_MOST_NAMES], len(names))} {are} missing. Over all that training has "
        "seen there the probability "
    )
    if not found.depends:
        return paragraph(
            f"{over}lies between {found.lowest:.4f} and {found.highest:.4f}: the decision does not "
            "depend on it."
        )
    alone = [name for name, each in zip(names, found.answers) if each.depends and len(names) > 1]
    said = (
        f"{over}lies between {found.lowest:.4f} and {found.highest:.4f}: the decision depends on it"
    )
    return paragraph(
        f"{said}, on {list_words(alone[:_MOST_NAMES], len(alone))} alone already."
        if alone
        else f"{said}."
    )
