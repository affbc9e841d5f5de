"""Thresholds to choose among, with what each does, for the page's slider."""

from typing import Any

from onelayer.judging.evaluate import Evaluation


def list_cuts(found: Evaluation) -> dict[str, Any] | None:
    """The cuts of the evaluation's curve as plain values, from the lowest threshold to the highest.

    None where there is no curve: an answer was never, or always, the positive one.
    """
    if found.curve is None:
        return None
    cells = found.confusion
    cuts = sorted(found.curve.cuts, key=lambda cut: (cut.threshold, -cut.recall))
    places = [
        {"threshold": cut.threshold, "recall": cut.recall, "falseAlarms": cut.false_alarms}
        for cut in cuts
    ]
    counts = {name: getattr(cells, name) for name in ("tp", "fp", "fn", "tn")}
    return {
        "places": places,
        "own": min(range(len(cuts)), key=lambda k: abs(cuts[k].threshold - found.threshold)),
        "confusion": counts,
        "positives": cells.tp + cells.fn,
        "negatives": cells.tn + cells.fp,
        "whole": all(float(count).is_integer() for count in counts.values()),
    }
