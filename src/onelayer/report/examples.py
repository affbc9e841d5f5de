"""A few rows of the sample with the strongest reasons for what is said of each."""

from dataclasses import dataclass

import numpy as np

from onelayer.encoding import Surprises, encode_rows
from onelayer.model import Model
from onelayer.network import sigmoid
from onelayer.report.survey import Sample

MOST_REASONS = 3


@dataclass(frozen=True)
class Example:
    """One row.

    Attributes
    ----------
    kind: why it is shown. number: of the row in the table, from 1.
    says, really: values of the target; really is None where it is not known.
    reasons: what speaks most for what is said, the strongest first.
    """

    kind: str
    number: int
    probability: float
    says: str
    really: str | None
    reasons: tuple[str, ...]


def choose_examples(model: Model, sample: Sample) -> list[Example]:
    """The surest rows of both kinds, and the two nearest to the threshold on either side."""
    probabilities = np.asarray(sigmoid(sample.logits))
    is_called = probabilities > model.threshold
    distance = np.abs(probabilities - model.threshold)
    wanted = {
        "the least likely": np.where(is_called, np.nan, probabilities),
        "just below": np.where(is_called, np.nan, distance),
        "just above": np.where(is_called, distance, np.nan),
        "the likeliest": np.where(is_called, -probabilities, np.nan),
    }
    found = {kind: int(np.nanargmin(by)) for kind, by in wanted.items() if not np.isnan(by).all()}
    first: dict[int, str] = {}
    for kind, row in found.items():
        first.setdefault(row, kind)
    return [
        _describe(model, sample, row, kind, bool(is_called[row])) for row, kind in first.items()
    ]


def _describe(model: Model, sample: Sample, row: int, kind: str, is_called: bool) -> Example:
    one = sample.table.take(np.array([row]))
    # What speaks most against the other value speaks most for this one.
    other = model.negative if is_called else model.positive
    features = encode_rows(model.schema, one, Surprises())
    ranked = model.explainer.rank(one, features, MOST_REASONS, other)
    label = sample.labels[row]
    return Example(
        kind,
        int(sample.numbers[row]) + 1,
        float(sigmoid(sample.logits[row])),
        model.positive if is_called else model.negative,
        None if np.isnan(label) else (model.negative, model.positive)[int(label)],
        tuple(reason[0] for reason in ranked.reasons if reason[0] is not None),
    )
