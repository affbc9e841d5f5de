"""Training on a table larger than memory: surveyed once, encoded to disk once, then streamed.

The first pass over the table settles its schema, the second writes encoded rows to a cache on
disk, and every further pass reads that. Only where the rows lie differs from a training in memory:
objective, solver and certificate are the same.
"""

from collections.abc import Mapping
from typing import Any

from onelayer.model import Model
from onelayer.streaming.asked import USUAL_PASSES as USUAL_PASSES
from onelayer.streaming.asked import Means as Means
from onelayer.streaming.asked import Settings as Settings
from onelayer.streaming.asked import Stage as Stage
from onelayer.streaming.asked import check_memory, check_solver
from onelayer.streaming.asked import is_streamed as is_streamed
from onelayer.streaming.run import PASSES, Run
from onelayer.table.reading import Table
from onelayer.table.stream import Stream
from onelayer.table.survey import Split
from onelayer.workspace import Workspace, open_workspace


def train_streamed(
    source: Stream,
    split: Split,
    means: Means,
    choices: Mapping[str, Any],
    settings: Settings,
) -> Model | Table:
    """The model of a table larger than memory; the table itself if it turns out to be short.

    Parameters
    ----------
    choices: of columns: positive, drop, keep, protected, roles, as in `infer_schema`.
    settings: of the fit.

    Raises
    ------
    InputError: see `train`; also where the memory or the disk do not suffice.
    """
    check_memory(means)
    about = [source.fingerprint, split.__dict__, dict(choices), settings.to_list()]
    with open_workspace(means.folder, about, means.resume) as workspace:
        run = Run(source, split, means, settings, workspace)
        if means.resume:
            run.telling.say(_say_resumed(workspace))
        schema = run.settle(choices)
        if isinstance(schema, Table):
            return schema
        check_solver(settings)
        run.encode(schema)
        return run.learn(schema)


def _say_resumed(workspace: Workspace) -> str:
    """Where a training goes on that was cut short."""
    state = workspace.state
    if not state:
        return "no training with these options was cut short here: this one begins anew"
    if any(workspace.folder.glob(f"{PASSES}-*/*")):
        done = "its columns are settled, its rows encoded, and some passes over them made"
    elif state.get("encoded"):
        done = "its columns are settled and its rows encoded"
    else:
        read = state.get("rows", {}).get("read", 0)
        done = f"its columns are settled and {read:,} rows encoded"
    return f"going on with the training that was cut short: {done}"
