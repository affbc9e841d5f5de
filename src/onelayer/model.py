"""A trained network with all that is needed to use it: scores, reasons, and ONE readable file."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from onelayer.assessing import Subject, assess
from onelayer.certificate import Certificate
from onelayer.encoding import encode_rows, read_rows
from onelayer.errors import InputError, ModelFileError
from onelayer.explaining.changes import Change
from onelayer.explaining.explain import Explanation
from onelayer.explaining.rows import Explainer
from onelayer.facts import Revision
from onelayer.facts import TrainingFacts as TrainingFacts
from onelayer.features.mixed import MixedFeatures
from onelayer.judging.best_column import SingleColumn
from onelayer.judging.evaluation import Evaluation
from onelayer.judging.ranking import RUN_ROWS
from onelayer.labelling import label_batches
from onelayer.markup import name_fragment, render
from onelayer.markup.network import draw_network
from onelayer.markup.words import count
from onelayer.model_file import (
    SECTIONS,
    encode_model_file,
    name_file_in_errors,
    read_model_file,
    write_model_file,
)
from onelayer.network import sigmoid
from onelayer.scoring import predict_logits
from onelayer.stored import from_stored, to_stored
from onelayer.strength.choice import StrengthChoice
from onelayer.summary import Summary
from onelayer.summary_section import SummarySection, from_section, to_section
from onelayer.table.features import find_spreads
from onelayer.table.reference import Reference, list_compared
from onelayer.table.schema import Schema
from onelayer.thresholds.choice import ThresholdChoice

Array = NDArray[Any]

_WHOLE = re.compile(r"-?[0-9]{1,18}")  # what an int64 surely holds
_SECTIONS = tuple(name for name in SECTIONS if name != "onelayer")


@dataclass(frozen=True)
class StoredParameters:
    """The parameters as lists: `W` (1, n_x), `b` (1, 1), and each feature's mean in training."""

    features: tuple[str, ...]
    W: tuple[tuple[float, ...], ...]
    b: tuple[tuple[float, ...], ...]
    averages: tuple[float, ...]

    def problem(self) -> str | None:
        """Say which of the lists is not as long as it must be, or None."""
        n_x = len(self.features)
        if not n_x:
            return "there are no features"
        if [len(row) for row in self.W] != [n_x] or len(self.averages) != n_x:
            return f"W and averages must hold one number for each of the {n_x} features"
        return None if [len(row) for row in self.b] == [1] else "b must hold one number"


@dataclass(frozen=True, eq=False)
class Model:
    """A trained one-layer network for a table's yes or no.

    Attributes
    ----------
    schema: how a raw table becomes features.
    W: (1, n_x) weights and b: (1, 1) bias, of the encoded features.
    averages: (n_x,), the mean of each feature over the training rows.
    certificate: how far from the exact optimum the parameters can be.
    training: what it was trained on and how.
    evaluation: on rows it was not trained on; None where nothing was held out.
    threshold: a row is positive where its probability is above this.
    strength: how C was chosen, where training was asked to choose it.
    history: what was done to the model since it was trained: see `onelayer.update`.
    summary: the errors of the weights and how well the whole fits the rows trained on; None for
        more than 500 features, and in models of an onelayer that had none.
    reference: the training rows in bins, for drift. best_column: a simpler model to beat.
    threshold_choice: how the threshold was chosen, where it was. All None in models that lack them.

    `table` below is a path, "-", or any frame; columns are found by name, in any order.

    Raises
    ------
    InputError: `threshold` is no probability.
    """

    schema: Schema
    W: Array
    b: Array
    averages: Array
    certificate: Certificate
    training: TrainingFacts
    evaluation: Evaluation | None = None
    threshold: float = 0.5
    strength: StrengthChoice | None = None
    history: tuple[Revision, ...] = ()
    summary: Summary | None = None
    reference: Reference | None = None
    best_column: SingleColumn | None = None
    threshold_choice: ThresholdChoice | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise InputError(f"threshold is {self.threshold}, expected a probability, 0 to 1")

    @property
    def target(self) -> str:
        """The column that the model predicts."""
        return self.schema.target.name

    @property
    def positive(self) -> str:
        """The value of the target that is 1."""
        return self.schema.target.positive

    @property
    def negative(self) -> str:
        """The value of the target that is 0; "not V" where it stands for several."""
        others = self.schema.target.negative
        return others[0] if len(others) == 1 else f"not {self.positive}"

    @property
    def protected(self) -> tuple[str, ...]:
        """Columns that were kept for audit and never used."""
        return self.schema.protected

    @property
    def parameters(self) -> dict[str, Array]:
        """The article's parameters: {"W": (1, n_x), "b": (1, 1)}."""
        return {"W": self.W, "b": self.b}

    def predict_logits(self, table: Any, n_jobs: int | None = None) -> Array:
        """The log-odds of the positive value for each row, (n,).

        Warns
        -----
        DataWarning: with counts, for levels that training has never seen.
        """
        return self._score(encode_rows(self.schema, read_rows(table)), n_jobs)

    def predict_proba(self, table: Any, n_jobs: int | None = None) -> Array:
        """Probabilities (n, 2): of the negative value, and of the positive one."""
        logits = self.predict_logits(table, n_jobs)
        return np.asarray(sigmoid(np.column_stack([-logits, logits])))

    def predict(self, table: Any, n_jobs: int | None = None) -> Array:
        """The target's own two values, (n,): positive where its probability is above `threshold`.

        Whole numbers come back as integers, true and false as booleans, all else as text.
        """
        chosen = sigmoid(self.predict_logits(table, n_jobs)) > self.threshold
        return np.asarray(self.target_values[chosen.astype(np.intp)])

    @property
    def target_values(self) -> Array:
        """The negative and the positive value, (2,), as `predict` gives them."""
        words = [self.negative, self.positive]
        if set(words) == {"false", "true"}:
            return np.array([word == "true" for word in words])
        if all(_WHOLE.fullmatch(word) for word in words):
            return np.array([int(word) for word in words])
        return np.array(words)

    def evaluate(self, table: Any) -> Evaluation:
        """Judge the model on a table that has the target; weighted where it has the weights.

        Beside the measures there is what the best single column does, how groups by protected
        columns are treated, how far the table has moved from the rows trained on, and what the
        decisions cost, where the threshold was chosen by costs.

        An iterator of `Table` is a table in parts, of which one is in memory at a time: the answer
        is the same to the last bit. What cannot be held meanwhile, 16 bytes a row, is put aside in
        a temporary file (see TMPDIR).

        Warns
        -----
        DataWarning: rows without a target are left out; the column of weights is not there;
            values that training has never seen.
        """
        in_parts = isinstance(table, Iterator)
        parts = table if in_parts else [read_rows(table)]
        labelled = label_batches(self.schema, parts)
        return assess(self.subject, labelled, run_rows=RUN_ROWS if in_parts else None)

    @property
    def subject(self) -> Subject:
        """What judging the model needs of it."""
        return Subject(
            self.schema,
            self.W,
            self.b,
            self.threshold,
            self.training.weight_kind,
            self.best_column,
            self.reference,
            None if self.threshold_choice is None else self.threshold_choice.costs,
        )

    def _score(self, features: MixedFeatures, n_jobs: int | None = None) -> Array:
        return np.asarray(predict_logits(features, self.W, self.b, n_jobs)[0])

    def judged_on(self, table: Any) -> "Model":
        """The same model with the evaluation on another table."""
        raw = read_rows(table)
        facts = replace(self.training, test=raw.name)
        return replace(self, training=facts, evaluation=self.evaluate(raw))

    def explain(
        self,
        table: Any,
        row: int = 0,
        *,
        wanted: str | None = None,
        fixed: Sequence[str] = (),
    ) -> Explanation:
        """Why a row gets its decision, the smallest change that turns it, and what is left open.

        Each column pushes the log-odds away from those of the average training row.

        Parameters
        ----------
        table: a table, or one row as a dict of column -> value.
        row: which row of it, from 0.
        wanted: the value of the target that the person hopes for, the positive one if not said:
            what speaks most against it comes first.
        fixed: columns that cannot change, such as an age.
        """
        return self.explainer.explain(read_rows(table), row, wanted, fixed)

    def reasons(self, table: Any, k: int = 3, *, wanted: str | None = None) -> list[list[str]]:
        """The `k` strongest reasons of each row of a table, in words; see `Explanation.reasons`."""
        raw = read_rows(table)
        ranked = self.explainer.rank(raw, encode_rows(self.schema, raw), k, wanted)
        return [[each for each in row if each] for row in zip(*ranked.reasons)]

    def changes(self, table: Any, *, fixed: Sequence[str] = ()) -> list[Change]:
        """For each row of a table the smallest change that turns its decision; see `explain`."""
        return self.explainer.find_changes(read_rows(table), fixed)

    @cached_property
    def explainer(self) -> Explainer:
        """What `explain` and `reasons` ask; it holds what is the same for all rows."""
        decisions = (self.positive, self.negative)
        return Explainer(self.schema, self.W, self.b, self.averages, self.threshold, decisions)

    @property
    def judged_rows(self) -> str:
        """The rows that its evaluation was made on, as the end of a sentence; empty without one."""
        if self.evaluation is None:
            return ""
        test = self.training.test
        rows = count(self.evaluation.n, "row")
        return f"the {rows} held out" if test is None else f"the {rows} of {test}"

    def _repr_html_(self) -> str:
        """How a notebook shows it: the decision, the network, how good it is, the proof."""
        strengths = self.W[0] * find_spreads(self.schema.columns, self.averages)
        names, bias = self.schema.feature_names, float(self.b[0, 0])
        network = draw_network(names, strengths.tolist(), bias, self.positive, self.threshold)
        return render(
            "model.html.jinja",
            model=self,
            found=self.evaluation,
            where=self.judged_rows,
            network=network,
            prefix=name_fragment(network),
        )

    def to_dict(self) -> dict[str, Any]:
        """The sections of the model file."""
        parameters = StoredParameters(
            self.schema.feature_names,
            tuple(map(tuple, self.W.tolist())),
            tuple(map(tuple, self.b.tolist())),
            tuple(self.averages.tolist()),
        )
        later = {
            "summary": None if self.summary is None else to_stored(to_section(self.summary)),
            "strength": to_stored(self.strength),
            "history": to_stored(self.history),
            "reference": to_stored(self.reference),
            "best_column": to_stored(self.best_column),
            "threshold_choice": to_stored(self.threshold_choice),
        }
        return {
            **{name: section for name, section in later.items() if section},
            "training": to_stored(self.training),
            "evaluation": to_stored(self.evaluation),
            "certificate": to_stored(self.certificate),
            "threshold": self.threshold,
            "protected": list(self.protected),
            "schema": self.schema.to_dict(),
            "parameters": to_stored(parameters),
        }

    @classmethod
    def from_dict(cls, sections: Mapping[str, Any]) -> "Model":
        """A model from the sections of its file; `ModelFileError` names what is wrong with them."""
        for name in _SECTIONS:
            if name not in sections:
                raise ModelFileError(f"{name}: the section is absent")
        schema = Schema.from_dict(sections["schema"])
        parameters = from_stored(StoredParameters, sections["parameters"], "parameters")
        training = from_stored(TrainingFacts, sections["training"], "training")
        threshold = from_stored(float, sections["threshold"], "threshold")
        if parameters.features != schema.feature_names:
            raise ModelFileError("parameters.features are not the features of the schema")
        if sections["protected"] != list(schema.protected):
            raise ModelFileError("protected is not the list of the schema's protected columns")
        if training.target != schema.target.name:
            raise ModelFileError("training.target is not the target of the schema")
        if not 0 <= threshold <= 1:
            raise ModelFileError(f"threshold is {threshold}, expected 0 to 1")
        return cls(
            schema=schema,
            W=np.array(parameters.W),
            b=np.array(parameters.b),
            averages=np.array(parameters.averages),
            certificate=from_stored(Certificate, sections["certificate"], "certificate"),
            training=training,
            evaluation=from_stored(Evaluation | None, sections["evaluation"], "evaluation"),
            threshold=threshold,
            strength=from_stored(StrengthChoice | None, sections.get("strength"), "strength"),
            history=from_stored(tuple[Revision, ...], sections.get("history", []), "history"),
            summary=_read_summary(sections, parameters, training),
            **_read_later(sections, schema, threshold),
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model file: the old file stays whole until the new one is complete."""
        write_model_file(path, self.to_dict())

    def to_bytes(self) -> bytes:
        """The bytes of the model file."""
        return encode_model_file(self.to_dict())

    @classmethod
    def load(cls, source: str | os.PathLike[str] | BinaryIO) -> "Model":
        """Read a model file strictly; runs no code.

        Raises
        ------
        ModelFileError: the file is cut, altered, of a newer version, or no model file.
        """
        sections = read_model_file(source)
        with name_file_in_errors(source):
            return cls.from_dict(sections)


def _read_later(sections: Mapping[str, Any], schema: Schema, threshold: float) -> dict[str, Any]:
    """The sections that older files lack, by the name of their field."""
    kinds: dict[str, Any] = {
        "reference": Reference,
        "best_column": SingleColumn,
        "threshold_choice": ThresholdChoice,
    }
    found = {
        name: from_stored(kind, sections[name], name)
        for name, kind in kinds.items()
        if name in sections
    }
    reference, best, choice = (found.get(name) for name in kinds)
    known = {column.name for column in list_compared(schema)}
    if reference is not None and not {bins.column for bins in reference.columns} <= known:
        raise ModelFileError("reference.columns must be columns that the schema compares")
    if best is not None and schema.feature_columns.count(best.column) != len(best.weights):
        raise ModelFileError("best_column.weights must hold one number for each of its features")
    if choice is not None and choice.chosen.threshold != threshold:
        raise ModelFileError("threshold_choice.chosen.threshold is not the threshold")
    return found


def _read_summary(
    sections: Mapping[str, Any], parameters: StoredParameters, training: TrainingFacts
) -> Summary | None:
    if "summary" not in sections:
        return None
    section = from_stored(SummarySection, sections["summary"], "summary")
    if len(section.deviations) != len(parameters.features):
        raise ModelFileError("summary.deviations must hold one number for each feature")
    values = (*parameters.W[0], parameters.b[0][0])
    return from_section(section, parameters.features, values, training.C, training.weight_kind)
