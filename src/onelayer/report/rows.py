"""Rows of the sample as they go into the page, within a number of bytes."""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from onelayer.model import Model
from onelayer.report.survey import Sample
from onelayer.table.terms import Column, Levels
from onelayer.table.written import write_rows

MOST_BYTES = 130_000


def pack_rows(model: Model, sample: Sample | None) -> dict[str, Any]:
    """The rows for the page to score: as many of the sample as fit, at least one.

    Of each column the different texts, and for each row which of them it has (-1: none), for most
    tables repeat themselves. Without a sample it is one row of typical values, numbered -1.
    """
    used = [effect.column for effect in model.explainer.effects]
    if sample is None:
        texts = [[_find_typical(column)] for column in used]
        return _pack([-1], [math.nan], texts)
    texts, most = write_rows(used, sample.table), len(sample)
    while True:
        columns = [column[:most] for column in texts]
        packed = _pack(sample.numbers[:most].tolist(), sample.labels[:most].tolist(), columns)
        size = len(json.dumps(packed, ensure_ascii=False, separators=(",", ":")).encode())
        if size <= MOST_BYTES or most == 1:
            return packed
        most = max(1, min(most - 1, int(most * MOST_BYTES / size)))


def _pack(
    numbers: Sequence[int], labels: Sequence[float], columns: Sequence[Sequence[str | None]]
) -> dict[str, Any]:
    return {
        "numbers": list(numbers),
        "labels": [None if math.isnan(label) else int(label) for label in labels],
        "columns": [_code(column) for column in columns],
    }


def _code(texts: Sequence[str | None]) -> dict[str, Any]:
    places: dict[str, int] = {}
    at = [-1 if text is None else places.setdefault(text, len(places)) for text in texts]
    return {"texts": list(places), "at": at}


def _find_typical(column: Column) -> str | None:
    """The commonest level, the mean of numbers, the middle of the days; no text."""
    seen = column.seen
    if seen is None:
        return None
    if seen.numbers is not None:
        middle = seen.numbers.quantiles[len(seen.numbers.quantiles) // 2]
        text = f"{middle:.6g}"
        return text.replace(".", ",") if getattr(column.reading, "decimal", ".") == "," else text
    if seen.first is not None and seen.last is not None:
        first, last = np.datetime64(seen.first), np.datetime64(seen.last)
        return str(first + (last - first) // 2)[:10]
    levels = next((term.levels for term in column.terms if isinstance(term, Levels)), ())
    return levels[0] if levels else None
