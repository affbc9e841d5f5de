"""How good the model of a report is, and on which rows of the table that can be seen."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from onelayer.holdout import draw_holdout
from onelayer.judging.evaluate import Evaluation
from onelayer.markup.words import count
from onelayer.model import Model
from onelayer.report.survey import Judged, Survey, find_labels, survey_table
from onelayer.table.reading import Table

Batches = Callable[[], Iterator[tuple[int, Table]]]
ALIKE = 1e-9  # relative: two sums of the same losses


@dataclass(frozen=True)
class Source:
    """A table to report on: in memory one batch, else many; `batches` begins anew at each call.

    `fingerprint` tells that it is the same file again; None for a frame.
    """

    name: str
    fingerprint: str | None
    columns: tuple[str, ...]
    batches: Batches


@dataclass(frozen=True)
class Judgement:
    """The evaluation that a report shows.

    Attributes
    ----------
    found: None where no answers are known.
    where: on which rows, as the end of a sentence: "the 398 rows held out".
    flatters: whether the model was trained on them.
    rows: what the rows of the survey are, likewise.
    """

    found: Evaluation | None
    where: str
    flatters: bool
    rows: str


def judge_table(model: Model, source: Source, most_rows: int) -> tuple[Judgement, Survey]:
    """Find the rows held out, if this is the table trained on; else judge the table as it is.

    That the right rows were found is proved: their log loss is the one that the training found.
    """
    own = model.evaluation
    where = model.judged_rows
    same = source.fingerprint is not None and source.fingerprint == model.training.sha256
    if own is not None and (held := find_held(model, source)) is not None:
        survey = survey_table(model, source.batches(), held, most_rows)
        if survey.judged and abs(survey.log_loss - own.log_loss) <= ALIKE * own.log_loss:
            return Judgement(own, where, False, where), survey
    survey = survey_table(model, source.batches(), None, most_rows)
    if not survey.judged:
        return Judgement(own, where, False, f"the rows of {source.name}"), survey
    if own is not None and same and model.training.test is None:
        rows = f"the {count(survey.judged, 'row')} of {source.name}, most of them trained on"
        return Judgement(own, where, False, rows), survey
    found = model.evaluate(table for _, table in source.batches())
    rows = f"the {count(found.n, 'row')} of {source.name}"
    return Judgement(found, rows, same, rows), survey


def find_held(model: Model, source: Source) -> Judged | None:
    """The rows held out if the training was on this table, drawn anew; None if it cannot be."""
    facts = model.training
    if not facts.holdout or facts.test is not None or model.target not in source.columns:
        return None
    if Path(source.name).name != Path(facts.table).name:
        return None
    labels = np.concatenate([find_labels(model, table) for _, table in source.batches()])
    there, width = ~np.isnan(labels), len(source.columns)
    held = draw_holdout(labels, there, width, facts.holdout, facts.seed)
    return lambda first, table: held[first : first + table.frame.height]
