"""An evaluation in words: a short first screen, and the details for who asks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from onelayer.cli.amounts import amount, count
from onelayer.cli.output import INDENT, paragraph, quote, show_text, tabulate
from onelayer.cli.threshold import say_threshold

if TYPE_CHECKING:
    from onelayer.judging.audit import Group, GroupAudit
    from onelayer.judging.drift import ColumnDrift, Drift
    from onelayer.judging.evaluate import Evaluation
    from onelayer.measures import Measure, MeasureName, Rate
    from onelayer.model import Model

_TITLES: dict["MeasureName", str] = {
    "log_loss": "log loss",
    "brier": "Brier score",
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "gini": "Gini",
    "ks": "KS",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "mcc": "MCC",
}
_FIRST: tuple["MeasureName", ...] = (
    "log_loss",
    "brier",
    "roc_auc",
    "average_precision",
    "ks",
    "accuracy",
)
_LOWER_IS_BETTER = ("log_loss", "brier")
_MOST_COLUMNS = 5  # of a drift, on the first screen
_MOST_POINTS = 11  # of a curve


def describe_judgement(found: "Evaluation", model: "Model", details: bool = False) -> list[str]:
    """Measures, decisions, calibration, groups and drift."""
    parts = [
        _describe_measures(found, model),
        _describe_decisions(found, model, details),
        _describe_calibration(found, model, details),
        *([_describe_curve(found, model)] if details else []),
        *(_describe_groups(each, model, details) for each in found.groups),
        *([] if found.drift is None else [_describe_drift(found.drift, details)]),
    ]
    return [line for part in parts for line in ["", *part]][1:]


# --- measures -----------------------------------------------------------------------------------


def _describe_measures(found: "Evaluation", model: "Model") -> list[str]:
    """The measures beside those of the best column, and of the same answer for every row."""
    rivals = _rivals(found)
    by_name = {each.name: each for each in found.measures}
    rows = [
        [
            _TITLES[name],
            _show(by_name[name].value),
            _show_range(by_name[name]),
            *(_show(rival.get(name)) for rival in rivals.values()),
            "lower" if name in _LOWER_IS_BETTER else "higher",
        ]
        for name in _FIRST
    ]
    heads = ["", "this model", "95 % interval", *rivals, "better"]
    lines = tabulate(heads, rows, right=range(1, len(heads) - 1))
    commoner = model.positive if found.base_rate > 0.5 else model.negative
    said = (
        f"Knowing nothing is to say {found.base_rate:.1%} for every row, or always "
        f"{quote(commoner)}, the commoner value."
    )
    if found.best_column is not None:
        said += f" The best single column is {show_text(found.best_column.column, 40)}."
    return [*lines, *paragraph(said, INDENT)]


def _rivals(found: "Evaluation") -> dict[str, dict["MeasureName", float | None]]:
    base, best = found.base_rate, found.best_column
    is_defined = found.roc_auc is not None
    nothing: dict[MeasureName, float | None] = {
        "log_loss": found.baseline_log_loss,
        "brier": base * (1 - base),
        "roc_auc": 0.5 if is_defined else None,
        "average_precision": base if is_defined else None,
        "ks": 0.0 if is_defined else None,
        "accuracy": found.baseline_accuracy,
    }
    if best is None:
        return {"knowing nothing": nothing}
    alone: dict[MeasureName, float | None] = {
        "log_loss": best.log_loss,
        "brier": best.brier,
        "roc_auc": best.roc_auc,
        "average_precision": best.average_precision,
        "ks": best.ks,
        "accuracy": best.accuracy,
    }
    return {"best column": alone, "nothing": nothing}


def _show(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _show_range(each: "Measure | Rate", digits: int = 4) -> str:
    if each.low is None or each.high is None:
        return "-"
    return f"{each.low:.{digits}f} to {each.high:.{digits}f}"


# --- decisions ----------------------------------------------------------------------------------


def _describe_decisions(found: "Evaluation", model: "Model", details: bool) -> list[str]:
    """Right and wrong decisions at the model's threshold."""
    yes, no = quote(model.positive), quote(model.negative)
    cells = found.confusion
    rows = [
        [f"really {yes}", amount(cells.tp), amount(cells.fn)],
        [f"really {no}", amount(cells.fp), amount(cells.tn)],
    ]
    title = f"Decisions ({yes} where its probability is above {found.threshold:.6g})"
    if abs(cells.tp + cells.fn + cells.fp + cells.tn - found.n) > 1e-6 * found.n:
        title += ", sums of weights"
    lines = [*paragraph(title), *tabulate(["", f"said {yes}", f"said {no}"], rows, right=[1, 2])]
    names: tuple[MeasureName, ...] = ("precision", "recall", "f1", "mcc", "balanced_accuracy")
    if details:
        shown = [
            [_TITLES[each.name], _show(each.value), _show_range(each)]
            for each in found.measures
            if each.name in (*names, "gini")
        ]
        lines += tabulate(["", "value", "95 % interval"], shown, right=[1, 2])
    else:
        said = ", ".join(f"{_TITLES[name]} {_show(found.value_of(name))}" for name in names)
        lines += paragraph(said, INDENT)
    return [*lines, *_describe_costs(found, model), *say_threshold(model)]


def _describe_costs(found: "Evaluation", model: "Model") -> list[str]:
    costs, yes = found.costs, quote(model.positive)
    if costs is None:
        return []
    return paragraph(
        f"Cost a row: {costs.at_threshold:,.4g}; never saying {yes} {costs.never:,.4g}, always "
        f"saying it {costs.always:,.4g}",
        INDENT,
    )


# --- calibration --------------------------------------------------------------------------------


def _describe_calibration(found: "Evaluation", model: "Model", details: bool) -> list[str]:
    """Whether what is said with a probability happens as often as it was said."""
    bins = found.calibration
    title = f"Calibration: the probability of {quote(model.positive)} said, and how often it was so"
    known = [each for each in bins if each.low is not None and each.high is not None]
    outside = [
        each
        for each in known
        if not (each.low or 0.0) <= each.mean_predicted <= (1.0 if each.high is None else each.high)
    ]
    if details or not known:
        rows = [
            [f"{each.n:,}", f"{each.mean_predicted:.3f}", f"{each.observed:.3f}", _bin_range(each)]
            for each in bins
        ]
        heads = ["rows", "said", "was so", "95 % interval"]
        return [title, *tabulate(heads, rows, right=[0, 1, 2, 3]), *_describe_brier(found)]
    middle = bins[len(bins) // 2]
    said = (
        f"Of {count(len(bins), 'bin')} the lowest said {bins[0].mean_predicted:.3f} (so in "
        f"{bins[0].observed:.3f}), the middle one {middle.mean_predicted:.3f} "
        f"({middle.observed:.3f}), the highest {bins[-1].mean_predicted:.3f} "
        f"({bins[-1].observed:.3f}). {len(outside)} of them said what lies outside the 95 % "
        "interval of what was so."
    )
    return [title, *paragraph(said, INDENT)]


def _bin_range(each: object) -> str:
    low, high = getattr(each, "low", None), getattr(each, "high", None)
    return "-" if low is None else f"{low:.3f} to {high:.3f}"


def _describe_brier(found: "Evaluation") -> list[str]:
    parts = found.brier_parts
    if parts is None:
        return []
    return paragraph(
        f"Brier score {found.brier:.4f} = reliability {parts.reliability:.4f} (0 is best) - "
        f"resolution {parts.resolution:.4f} + uncertainty {parts.uncertainty:.4f} + within the "
        f"bins {parts.within:+.4f}",
        INDENT,
    )


# --- curves -------------------------------------------------------------------------------------


def _describe_curve(found: "Evaluation", model: "Model") -> list[str]:
    """ROC, precision-recall, gain and lift as numbers, at about equal shares of rows called."""
    curve = found.curve
    title = f"Where to cut: the rows said {quote(model.positive)} at other thresholds"
    if curve is None:
        return [title, *paragraph("All rows are of one class: there is no curve.", INDENT)]
    rows = []
    for k in range(1, _MOST_POINTS):
        goal = k / (_MOST_POINTS - 1)
        cut = min(curve.cuts[1:], key=lambda cut: abs(curve.share_called(cut) - goal))
        called = curve.share_called(cut)
        precision = found.base_rate * cut.recall / called if called else 0.0
        row = [f"{called:.1%}", f"{cut.threshold:.4f}", f"{cut.recall:.4f}"]
        row += [f"{cut.false_alarms:.4f}", f"{precision:.4f}", f"{cut.recall / called:.2f}"]
        if row not in rows:
            rows.append(row)
    heads = ["said so", "threshold", "recall", "false alarms", "precision", "lift"]
    return [title, *tabulate(heads, rows, right=range(6))]


# --- groups -------------------------------------------------------------------------------------


def _describe_groups(audit: "GroupAudit", model: "Model", details: bool) -> list[str]:
    yes, no = quote(model.positive), quote(model.negative)
    title = f"Groups by {show_text(audit.column, 40)}"
    heads = ["", "rows", f"said {yes}", "recall", "false alarms", "said", "was so"]
    rows = [_row_of(each) for each in audit.groups if each.is_judged]
    lines = [title, *tabulate(heads, rows, right=range(1, 7))]
    if details:
        lines += _detail_groups(audit)
    few = [each for each in audit.groups if not each.is_judged]
    if few:
        names = ", ".join(f"{show_text(each.value, 24)} ({each.n:,})" for each in few[:8])
        more = f" and {len(few) - 8:,} more" if len(few) > 8 else ""
        lines += paragraph(f"Under 30 rows, not judged: {names}{more}", INDENT)
    return [*lines, *_say_impact(audit, yes, no)]


def _say_impact(audit: "GroupAudit", yes: str, no: str) -> list[str]:
    """The lowest rate over the highest, for whichever decision people hope for."""
    said = [
        f"{ratio:.2f} if {word} is hoped for, {'under' if ratio < 0.8 else 'at least'} four fifths"
        for word, ratio in ((yes, audit.selected_impact), (no, audit.rejected_impact))
        if ratio is not None
    ]
    return paragraph(f"Adverse impact ratio: {'; '.join(said)}", INDENT) if said else []


def _row_of(group: "Group") -> list[str]:
    rates = [group.selected, group.recall, group.false_alarms]
    shown = ["-" if each is None else f"{each.value:.1%}" for each in rates]
    assert group.mean_predicted is not None
    assert group.observed is not None
    said = [f"{group.mean_predicted:.3f}", f"{group.observed.value:.3f}"]
    return [show_text(group.value, 24), f"{group.n:,}", *shown, *said]


def _detail_groups(audit: "GroupAudit") -> list[str]:
    rows = [
        [
            show_text(each.value, 20),
            *(_show_span(rate) for rate in (each.selected, each.recall, each.false_alarms)),
            "-" if each.log_loss is None else f"{each.log_loss.value:.3f}",
            "-" if each.log_loss is None else _show_range(each.log_loss, 3),
        ]
        for each in audit.groups
        if each.is_judged
    ]
    heads = ["", "said so", "recall", "false alarms", "log loss", "95 % interval"]
    return ["  95 % intervals", *tabulate(heads, rows, right=range(1, 6))]


def _show_span(rate: "Rate | None") -> str:
    return "-" if rate is None else f"{rate.low:.1%}-{rate.high:.1%}"


# --- drift --------------------------------------------------------------------------------------


def _describe_drift(drift: "Drift", details: bool) -> list[str]:
    """The score and the columns that moved most against the rows trained on."""
    moved = [each for each in drift.columns if _verdict(each) != "steady"]
    if not details and not moved and not drift.absent and _verdict(drift.score) == "steady":
        highest = max((each.psi for each in drift.columns), default=0.0)
        return paragraph(
            f"Drift since the training: none to speak of (PSI of the score {drift.score.psi:.3f}, "
            f"of {count(len(drift.columns), 'column')} at most {highest:.3f}; under 0.1 is steady)"
        )
    shown = drift.columns if details else moved[:_MOST_COLUMNS]
    rows = [_row_of_drift(each) for each in (drift.score, *shown)]
    heads = ["", "PSI", "by chance", "missing", "then", "unseen", ""]
    lines = ["Drift since the training", *tabulate(heads, rows, right=range(1, 6))]
    rest = len(moved) - len(shown)
    if rest > 0:
        lines += paragraph(f"and {count(rest, 'more column')} that moved; see --details", INDENT)
    if drift.absent:
        names = ", ".join(show_text(name, 24) for name in drift.absent[:8])
        lines += paragraph(f"Not in this table: {names}", INDENT)
    return lines


def _row_of_drift(each: "ColumnDrift") -> list[str]:
    shares = (each.missing_now, each.missing_before, each.unseen_now)
    name = "the score" if each.role == "score" else show_text(each.column, 28)
    return [
        name,
        f"{each.psi:.3f}",
        f"{each.noise:.3f}",
        *(f"{share:.1%}" for share in shares),
        _verdict(each),
    ]


def _verdict(each: "ColumnDrift") -> str:
    """By the usual marks, where chance alone would not do as much."""
    if each.psi < 0.1 or each.psi < 3 * each.noise:
        return "steady"
    return "moved" if each.psi < 0.25 else "moved much"


def list_measures(found: "Evaluation") -> "Sequence[dict[str, object]]":
    """All measures worked out, for the JSON document."""
    return [
        {"measure": each.name, "value": each.value, "low": each.low, "high": each.high}
        for each in found.measures
    ]
