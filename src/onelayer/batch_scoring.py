"""Tables larger than memory, scored and explained a batch at a time, in the order of their rows.

Every row gets the bits that it would get in memory, whatever the batches; what there is to say of
all rows is said once, at the end.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onelayer.encoding import Surprises, encode_rows
from onelayer.features.mixed import MixedFeatures
from onelayer.judging.evaluation import Evaluation
from onelayer.model import Model
from onelayer.network import sigmoid
from onelayer.scoring import predict_logits
from onelayer.table.stream import Batch, Stream
from onelayer.table.tabulating import tabulate_predictions
from onelayer.table.values import require_names

Columns = dict[str, Any]  # name -> polars Series


def predict_batches(model: Model, batches: Iterable[Batch]) -> Iterator[Columns]:
    """The columns of a file of predictions, for each batch of a table.

    Warns:
        DataWarning: At the end, with counts over all rows, for levels that training has never seen.

    >>> import onelayer
    >>> table = {"income": [1.0, 2.0, 3.0, 4.0] * 5, "granted": ["no", "yes", "no", "yes"] * 5}
    >>> model = onelayer.train(table, target="granted", holdout=0)
    >>> from onelayer.table.reading import read_table
    >>> batches = [Batch(k, read_table({"income": [1.0 + 3 * k]})) for k in (0, 1)]
    >>> [columns["prediction"].to_list() for columns in predict_batches(model, batches)]
    [['no'], ['yes']]
    """
    for batch, _, scored in _score_batches(model, batches):
        yield tabulate_predictions(batch.table, *scored, first=batch.first)


def explain_batches(
    model: Model,
    batches: Iterable[Batch],
    most: int,
    wanted: str | None = None,
    numbers: bool = True,
) -> Iterator[Columns]:
    """The same with the `most` strongest reasons of each row; see `Model.reasons`.

    With `numbers` also the columns that push, by how much, and the sum of the other pushes.
    """
    for batch, features, scored in _score_batches(model, batches):
        ranked = model.explainer.rank(batch.table, features, most, wanted)
        more = ranked.to_columns(numbers)
        yield tabulate_predictions(batch.table, *scored, first=batch.first, more=more)


def _score_batches(
    model: Model, batches: Iterable[Batch]
) -> Iterator[tuple[Batch, MixedFeatures, tuple[list[str], NDArray[Any], NDArray[Any]]]]:
    """Each batch with its features and, of its rows: identifiers, probabilities, predictions."""
    surprises, name = Surprises(), "the table"
    identifiers = [each.name for each in model.schema.columns if each.role == "identifier"]
    for batch in batches:
        name = batch.table.name
        features = encode_rows(model.schema, batch.table, surprises)
        probabilities = np.asarray(sigmoid(predict_logits(features, model.W, model.b)[0]))
        values = model.target_values[(probabilities > model.threshold).astype(np.intp)]
        yield batch, features, (identifiers, probabilities, values)
    surprises.warn(name)


def judge_batches(
    model: Model,
    source: Stream,
    memory: int | None,
    watch: Callable[[Iterator[Batch]], Iterator[Batch]] = iter,
) -> Evaluation:
    """How well the model does on a table that is read in batches, within `memory` bytes.

    `watch` passes the batches on.
    """
    there, roles = list(source.schema), ("target", "weight", "protected")
    costs = () if model.threshold_choice is None else model.threshold_choice.cost_columns
    columns = choose_columns(model, source.name, there, roles=roles, judged=True, more=costs)
    batches = source.batches(count_rows(model, memory, len(columns)), columns)
    return model.evaluate(batch.table for batch in watch(batches))


def choose_columns(
    model: Model,
    source: str,
    there: Sequence[str],
    *,
    roles: Sequence[str],
    judged: bool = False,
    more: Sequence[str] = (),
) -> list[str]:
    """The columns to be read of those that are there: learnt from, of some roles, and `more`.

    Raises:
        InputError: A column learnt from, or the target of rows to be judged, is not there.
    """
    used = [each.name for each in model.schema.columns if each.terms]
    require_names(source, there, [*([model.target] if judged else []), *used])
    asked = [each.name for each in model.schema.columns if each.role in roles]
    return [name for name in there if name in used or name in asked or name in more]


MOST_ROWS = 1 << 17  # more at a time are not scored any faster
_MOST_VALUES = 1 << 22  # so that Ctrl-C is obeyed between two batches in time
_FEWEST_ROWS = 1 << 10
_SHARE = 3  # of the memory: the rest is for what reads and writes meanwhile
_COLUMN_BYTES = 96  # a value as read, as text, and in between
_ROW_BYTES = 256  # what is written of a row


def count_rows(model: Model, memory: int | None, columns: int, written: int = 0) -> int:
    """How many rows to take at a time, so that all that is made of them fits in `memory` bytes.

    Args:
        model: Whose features they become.
        memory: In bytes; None for as many as are still scored faster for being more.
        columns: How many columns are read.
        written: How many columns are written beside the predictions.
    """
    most = min(MOST_ROWS, _MOST_VALUES // max(1, columns + written))
    if memory is None:
        return max(_FEWEST_ROWS, most)
    each = _ROW_BYTES + _COLUMN_BYTES * (columns + written) + 16 * len(model.schema.feature_names)
    return int(np.clip(memory // _SHARE // each, _FEWEST_ROWS, max(_FEWEST_ROWS, most)))
