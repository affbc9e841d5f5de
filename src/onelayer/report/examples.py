"""A few rows of the sample with the strongest reasons for what is said of each."""

import warnings
from dataclasses import dataclass

import numpy as np

from onelayer.encoding import Surprises, encode_rows
from onelayer.errors import DataWarning
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
    change: the smallest change that turns the decision, as a sentence.
    """

    kind: str
    number: int
    probability: float
    says: str
    really: str | None
    reasons: tuple[str, ...]
    change: str


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
    rows = np.array(list(first))
    return _describe(model, sample.take(rows), tuple(first.values()), is_called[rows].tolist())


def _describe(
    model: Model, few: Sample, kinds: tuple[str, ...], is_called: list[bool]
) -> list[Example]:
    words = (model.negative, model.positive)
    features = encode_rows(model.schema, few.table, Surprises())
    # What speaks most against the other value speaks most for the one that is said.
    ranked = [model.explainer.rank(few.table, features, MOST_REASONS, words[not k]) for k in (0, 1)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # what is new in the table was said of it all
        changes = model.explainer.find_changes(few.table)
    return [
        Example(
            kind,
            int(few.numbers[row]) + 1,
            float(sigmoid(few.logits[row])),
            words[is_called[row]],
            None if np.isnan(few.labels[row]) else words[int(few.labels[row])],
            tuple(each[row] for each in ranked[is_called[row]].reasons if each[row] is not None),
            changes[row].sentence,
        )
        for row, kind in enumerate(kinds)
    ]
