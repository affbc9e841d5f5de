"""Rows scored and written as they come: what `predict` and `explain -o` share."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from onelayer.cli.amounts import count
from onelayer.cli.interrupt import note_written
from onelayer.cli.options import STANDARD
from onelayer.cli.output import paragraph, quote, show_text
from onelayer.cli.progress import Progress
from onelayer.cli.sources import WholeTable, watch
from onelayer.errors import InputError

if TYPE_CHECKING:
    from onelayer.model import Model
    from onelayer.table.stream import Batch, Stream

    Score = Callable[[Model, Iterator[Batch]], Iterator[dict[str, Any]]]


class Tally:
    """How many rows went by, and for how many of them the positive value is predicted."""

    def __init__(self, model: "Model") -> None:
        self.rows = self.positives = 0
        self._threshold = model.threshold

    def count(self, scored: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Pass on columns, having counted their rows."""
        for columns in scored:
            self.rows += len(columns["row"])
            self.positives += int((columns["probability"] > self._threshold).sum())
            yield columns


def score_table(
    model: "Model",
    source: "Stream | WholeTable",
    score: "Score",
    target: str | None,
    progress: Progress,
    *,
    memory: int | None,
    written: int = 0,
) -> tuple[Tally, dict[str, Any]]:
    """Score a table and write what comes of it.

    Args:
        model: What scores.
        source: The table.
        score: Batches to columns.
        target: The file to write, or None to keep all columns in memory.
        progress: The bar.
        memory: How much of it there is, in bytes.
        written: How many columns there are beside those of predictions.

    Returns:
        What was counted, and the columns where they were kept.
    """
    from onelayer.batch_scoring import choose_columns, count_rows
    from onelayer.table.writing import write_batches

    if target is None and not isinstance(source, WholeTable):
        raise InputError("--json without -o would hold all rows in memory: name a file with -o")
    tally, there = Tally(model), list(source.schema)
    columns = choose_columns(model, source.name, there, roles=["identifier"])
    rows = count_rows(model, memory, len(columns), written)
    doing = f"scoring {source.name}"
    batches = watch(source.batches(rows, columns), progress, doing, source.rows)
    scored = tally.count(score(model, batches))
    if target is None:
        return tally, next(iter(list(scored)))
    write_batches(target, scored)
    if target != STANDARD:
        note_written(target)
    return tally, {}


def describe_scored(model: "Model", name: str, tally: Tally, path: str) -> list[str]:
    """One sentence on what was written."""
    return paragraph(
        f"{show_text(name)}: {count(tally.rows, 'row')} scored, {tally.positives:,} of them "
        f"predicted {quote(model.positive)} ({tally.positives / max(1, tally.rows):.1%}), to "
        f"{show_text(path)}."
    )


def to_document(
    model: "Model", name: str, tally: Tally, output: str | None, kept: dict[str, Any]
) -> dict[str, Any]:
    """The JSON document on rows that were scored."""
    document = {
        "table": name,
        "target": model.target,
        "positive": model.positive,
        "threshold": model.threshold,
        "rows": tally.rows,
        "predicted_positive": tally.positives,
        "output": output,
    }
    if output is None:
        lists = {name: values.to_list() for name, values in kept.items()}
        document["predictions"] = [dict(zip(lists, row)) for row in zip(*lists.values())]
    return document
