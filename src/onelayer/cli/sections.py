"""The parts that reports are made of: columns, evaluation, parameters."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from onelayer.cli.amounts import count
from onelayer.cli.judgement import describe_judgement
from onelayer.cli.output import paragraph, quote, show_text, tabulate

if TYPE_CHECKING:
    from onelayer.model import Model
    from onelayer.strength.choice import StrengthChoice
    from onelayer.table.describe import Description

_USED = ("numeric", "boolean", "categorical", "date", "text")
_NAME_WIDTH = 40


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


def describe_own_evaluation(model: "Model", details: bool = False) -> list[str]:
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
    return [*paragraph(title), *describe_judgement(found, model, details)]


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
