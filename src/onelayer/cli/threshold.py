"""How a threshold was chosen, in words, and the curve it was chosen from."""

from typing import TYPE_CHECKING

from onelayer.cli.amounts import count
from onelayer.cli.output import INDENT, paragraph, quote, show_text, tabulate

if TYPE_CHECKING:
    from onelayer.model import Model
    from onelayer.thresholds.choice import Amount, ThresholdChoice, Tried

_POINTS = 8  # of the curve, beside the chosen one


def describe_threshold(model: "Model") -> list[str]:
    """The wish, what the chosen threshold does out of fold, and others around it."""
    choice = model.threshold_choice
    if choice is None:
        return []
    title = (
        f"The threshold {choice.chosen.threshold:.6g} was chosen {_say_wish(choice, model)}, on "
        f"{count(choice.rows, 'row')} scored by fits that had not seen them ({choice.folds} folds)"
    )
    steps = max(1, len(choice.curve) // _POINTS)
    shown = [each for k, each in enumerate(choice.curve) if k % steps == 0]
    shown = sorted({*shown, choice.chosen, choice.curve[-1]}, key=lambda each: each.called)
    heads = ["threshold", "said so", "precision", "recall", "false alarms"]
    heads += ["cost a row"] if choice.costs is not None else []
    rows = [_row_of(each, each == choice.chosen) for each in shown]
    return [*paragraph(title), *tabulate([*heads, ""], rows, right=range(len(heads)))]


def say_threshold(model: "Model") -> list[str]:
    """The same in a sentence."""
    choice = model.threshold_choice
    if choice is None:
        return []
    return paragraph(
        f"The threshold was chosen {_say_wish(choice, model)}, on {count(choice.rows, 'row')} "
        f"scored by fits that had not seen them; `onelayer show` has the curve.",
        INDENT,
    )


def _row_of(each: "Tried", chosen: bool) -> list[str]:
    precision = "-" if each.precision is None else f"{each.precision:.4f}"
    row = [f"{each.threshold:.6g}", f"{each.called:.1%}", precision]
    row += [f"{each.recall:.4f}", f"{each.false_alarms:.4f}"]
    row += [] if each.cost is None else [f"{each.cost:,.4g}"]
    return [*row, "chosen" if chosen else ""]


def _say_wish(choice: "ThresholdChoice", model: "Model") -> str:
    yes, value = quote(model.positive), choice.value
    if choice.costs is not None:
        costs = choice.costs
        said = f"by costs ({_say(costs.fp)} for a wrong {yes}, {_say(costs.fn)} for a missed one"
        if _say(costs.tp) != "0":
            said += f", {_say(costs.tp)} for a right one"
        if _say(costs.tn) != "0":
            said += f", {_say(costs.tn)} for each other row"
        return said + ")"
    words = {
        "accept": f"to say {yes} to {value:.4g} of the rows",
        "min_precision": f"for a precision of at least {value:.4g}",
        "max_fpr": f"for a false positive rate of at most {value:.4g}",
    }
    return words[choice.wish]


def _say(amount: "Amount") -> str:
    return f"{amount.value:g}" if amount.kind == "fixed" else f"column {show_text(amount.column)}"
