"""Running the command line in tests, and a small table to run it on."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from click.testing import CliRunner, Result

from onelayer.cli import onelayer

HEADER = "id,age,income,job,granted"


def run(*arguments: object, given: bytes | str | None = None) -> Result:
    """The command in this process; `result.stdout` and `result.stderr` are apart."""
    try:
        runner = CliRunner(mix_stderr=False)  # before click 8.2
    except TypeError:
        runner = CliRunner()
    return runner.invoke(onelayer, [str(each) for each in arguments], input=given)


def start(*arguments: object, **options: object) -> "subprocess.Popen[bytes]":
    """The command in a process of its own."""
    command = [sys.executable, "-m", "onelayer", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, **{**pipes, **options})


def refused(result: Result) -> str:
    """The one line of a mistake, without its beginning."""
    assert result.exit_code == 2, result.stdout + result.stderr + repr(result.exception)
    assert result.stdout == ""
    *notes, error = result.stderr.splitlines()
    assert all(note.startswith("onelayer: note: ") for note in notes), result.stderr
    assert error.startswith("onelayer: error: ")
    assert "Traceback" not in result.stderr
    return error.removeprefix("onelayer: error: ")


def loan_lines(n: int = 120, seed: int = 0) -> list[str]:
    """A header and rows; those with a high income are granted, mostly."""
    rng = np.random.default_rng(seed)
    ages, incomes = rng.integers(18, 80, n), rng.normal(3000, 800, n)
    jobs = rng.choice(["clerk", "smith", "cook"], n)
    granted = np.where(incomes + rng.normal(0, 400, n) > 3200, "yes", "no")
    rows = zip(range(n), ages, incomes, jobs, granted)
    return [
        HEADER,
        *(f"{10**17 + i},{age},{pay:.2f},{job},{word}" for i, age, pay, job, word in rows),
    ]


def write_lines(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def altered(lines: list[str], row: int, column: int, value: str) -> list[str]:
    """The lines with one value replaced; row 1 is the first below the header."""
    cells = lines[row].split(",")
    cells[column] = value
    return [*lines[:row], ",".join(cells), *lines[row + 1 :]]


def files_in(folder: Path) -> set[str]:
    return set(os.listdir(folder))
