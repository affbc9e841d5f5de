"""What the page needs to score a row by itself: the schema's terms with their weights, as JSON."""

from collections.abc import Sequence
from typing import Any

from onelayer.model import Model
from onelayer.report.wording import describe_words
from onelayer.stored import to_stored
from onelayer.table.effects import Effect, Part
from onelayer.table.levels import write_alike
from onelayer.table.values import missing_numbers, missing_words


def describe_scorer(model: Model, na: Sequence[str] = ()) -> dict[str, Any]:
    """The model as plain JSON values, for `markup/script/score.js` to interpret.

    The log-odds of a row are `bias` plus, for each column, the sum over its terms of weight times
    feature; `average` is that sum's mean over the training rows, so that a column's push is its
    sum less `average`, as in `Model.explain`.

    Args:
        model: What the page is to score with.
        na: Words for a missing value that the table was read with.

    >>> from onelayer.training import train
    >>> table = {"debt": [10, 20, 30, 40, 50, 60] * 5, "granted": ["yes", "yes", "no"] * 10}
    >>> found = describe_scorer(train(table, target="granted", holdout=0))
    >>> [column["name"] for column in found["columns"]], found["threshold"]
    (['debt'], 0.5)
    """
    words = tuple(dict.fromkeys((*model.schema.na, *na)))
    return {
        "target": model.target,
        "positive": model.positive,
        "negative": model.negative,
        "threshold": model.threshold,
        "bias": float(model.b[0, 0]),
        "missing": {
            "words": list(dict.fromkeys(missing_words(words))),
            "numbers": missing_numbers(words),
            "names": write_alike(missing_words(words)) if words else [],
        },
        "columns": [_describe_column(effect) for effect in model.explainer.effects],
    }


def _describe_column(effect: Effect) -> dict[str, Any]:
    column = effect.column
    return {
        "name": column.name,
        "reading": to_stored(column.reading),
        "average": sum(part.average for part in effect.parts),
        "terms": [_describe_term(part) for part in effect.parts],
        "said": describe_words(effect),
    }


def _describe_term(part: Part) -> dict[str, Any]:
    """Without the pooled levels: like those never seen, they take the weight of "other"."""
    stored = to_stored(part.term)
    term = {name: value for name, value in stored.items() if not name.startswith("pooled")}
    return {**term, "weights": part.weights.tolist()}
