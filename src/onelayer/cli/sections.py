"""The parts that reports are made of: columns, evaluation, calibration, parameters."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from onelayer.cli.output import INDENT, paragraph, quote, show_text, tabulate

if TYPE_CHECKING:
    from onelayer.evaluate import Evaluation
    from onelayer.model import Model
    from onelayer.strength.choice import StrengthChoice
    from onelayer.table.describe import Description

_USED = ("numeric", "boolean", "categorical", "date", "text")
_NAME_WIDTH = 40


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


def describe_columns(descriptions: Sequence["Description"]) -> list[str]:
    """What became of every column; columns of one role, treatment and reason stand together."""
    set_aside = [each for each in descriptions if each.role not in _USED and each.role != "target"]
    used = [each for each in descriptions if each.role in _USED]
    return [
        f"Columns: {len(used):,} learnt from",
        *tabulate(["", ""], _group(used)),
        "",
        f"Columns: {len(set_aside):,} left out",
        *tabulate(["", ""], _group(set_aside)),
    ]


def _group(descriptions: Iterable["Description"]) -> list[list[str]]:
    groups: dict[tuple[str, str], list[str]] = {}
    for each in descriptions:
        said = f"{each.done} ({each.reason})" if each.role in _USED else each.reason
        groups.setdefault((each.role, said), []).append(show_text(each.column, _NAME_WIDTH))
    return [
        [role, f"{', '.join(names)}: {show_text(said)}"] for (role, said), names in groups.items()
    ]


def describe_evaluation(found: "Evaluation", model: "Model") -> list[str]:
    """The measures beside those of a model that gives every row the same answer."""
    base = found.base_rate
    commoner = model.positive if base > 0.5 else model.negative
    rows = [
        ["log loss", f"{found.log_loss:.4f}", f"{found.baseline_log_loss:.4f}", "lower is better"],
        ["Brier score", f"{found.brier:.4f}", f"{base * (1 - base):.4f}", "lower is better"],
        ["ROC AUC", *_areas(found.roc_auc, 0.5), "higher is better"],
        ["average precision", *_areas(found.average_precision, base), "higher is better"],
        ["accuracy", f"{found.accuracy:.4f}", f"{found.baseline_accuracy:.4f}", "higher is better"],
    ]
    same = (
        f"Knowing nothing is to say {base:.1%} for every row, or always {quote(commoner)}, "
        "the commoner value."
    )
    return [
        *tabulate(["", "this model", "knowing nothing", ""], rows, right=[1, 2]),
        *paragraph(same, INDENT),
    ]


def _areas(area: float | None, knowing_nothing: float) -> tuple[str, str]:
    return ("-", "-") if area is None else (f"{area:.4f}", f"{knowing_nothing:.4f}")


def describe_confusion(found: "Evaluation", model: "Model") -> list[str]:
    """Right and wrong decisions at the model's threshold."""
    yes, no = quote(model.positive), quote(model.negative)
    cells = found.confusion
    rows = [
        [f"really {yes}", amount(cells.tp), amount(cells.fn)],
        [f"really {no}", amount(cells.fp), amount(cells.tn)],
    ]
    title = f"Decisions ({yes} where its probability is above {found.threshold:g})"
    if abs(cells.tp + cells.fn + cells.fp + cells.tn - found.n) > 1e-6 * found.n:
        title += ", sums of weights"
    return [title, *tabulate(["", f"said {yes}", f"said {no}"], rows, right=[1, 2])]


def describe_calibration(found: "Evaluation", model: "Model") -> list[str]:
    """Whether what is said with a probability happens as often as it was said."""
    rows = [
        [f"{each.n:,}", f"{each.mean_predicted:.3f}", f"{each.observed:.3f}"]
        for each in found.calibration
    ]
    title = f"Calibration: the probability of {quote(model.positive)} said, and how often it was so"
    return [title, *tabulate(["rows", "said", "was so"], rows, right=[0, 1, 2])]


def describe_own_evaluation(model: "Model") -> list[str]:
    """The evaluation that came with the training, and on which rows it was made."""
    found, facts = model.evaluation, model.training
    if found is None and model.history:
        return paragraph(
            f"Since the {model.history[-1].kind} every row is learnt from, and how well the model "
            "does on new rows is not known. --test TABLE or `onelayer evaluate` would tell."
        )
    if found is None:
        return paragraph(
            "Nothing was held out: every row was learnt from, and how well the model does on new "
            "rows is not known. --holdout 0.2 or --test TABLE would tell."
        )
    if facts.test is None:
        title = f"On the {count(found.n, 'row')} held out, which the training never saw"
    else:
        title = f"On {count(found.n, 'row')} of {show_text(facts.test)}"
    return [*paragraph(title), *describe_judgement(found, model)]


def describe_judgement(found: "Evaluation", model: "Model") -> list[str]:
    """Evaluation, decisions and calibration."""
    return [
        *describe_evaluation(found, model),
        "",
        *describe_confusion(found, model),
        "",
        *describe_calibration(found, model),
    ]


def describe_weights(model: "Model", most: int | None) -> list[str]:
    """The largest weights, and what they push towards."""
    weights = model.W[0].tolist()
    names = model.schema.feature_names
    order = sorted(range(len(names)), key=lambda k: -abs(weights[k]))[:most]
    rows = [[show_text(names[k], 56), f"{weights[k]:+.4f}"] for k in order]
    shown = (
        f"the {len(rows):,} largest of {len(names):,} weights"
        if len(rows) < len(names)
        else (f"all {len(names):,} weights")
    )
    title = (
        f"Weights: {shown}, in log-odds of {quote(model.positive)}; numbers are standardised, so "
        "that weights can be compared"
    )
    bias = ["(bias)", f"{float(model.b[0, 0]):+.4f}"]
    return [*paragraph(title), *tabulate(["feature", "weight"], [*rows, bias], right=[1])]


def describe_strength(choice: "StrengthChoice") -> str:
    """How C was chosen: the curve, the value and what is to be known of it."""
    curve = ", ".join(f"{trial.C:g}: {trial.loss:.4f}" for trial in choice.tried)
    text = (
        f"{choice.C:g}, with the least log loss on rows left out ({choice.method}, "
        f"{count(choice.rows, 'row')}) of {curve}"
    )
    return f"{text}; {choice.message}" if choice.message else text


def describe_remarks(model: "Model") -> list[list[str]]:
    """What is to be known of the table: separated classes, dependent columns."""
    return [["remark", show_text(remark)] for remark in model.training.remarks]


def say_certificate(model: "Model") -> list[str]:
    """How far the parameters can at most be from the exact optimum, in plain words."""
    return paragraph(model.certificate.sentence())
