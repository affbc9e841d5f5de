"""The command line: one file a command; each parses, calls the library and prints.

Only click is imported here and in the commands' files: NumPy, polars and the rest of onelayer are
imported by a command when it runs, so that `onelayer --help` answers at once.
"""

import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from onelayer import __version__
from onelayer.cli.demo import demo
from onelayer.cli.errors import run_guarded
from onelayer.cli.evaluate import evaluate
from onelayer.cli.explain import explain
from onelayer.cli.influence import influence
from onelayer.cli.predict import predict
from onelayer.cli.report import report
from onelayer.cli.show import show
from onelayer.cli.train import train
from onelayer.cli.update import forget, update

_COMPLETION = "_ONELAYER_COMPLETE"  # set by a shell that wants to complete a command line


class GuardedGroup(click.Group):
    """A group whose mistakes end in one line and exit code 2; see `errors.run_guarded`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order in which a newcomer meets them, not in that of the alphabet."""
        return list(self.commands)

    def main(self, args: Sequence[str] | None = None, *others: Any, **extra: Any) -> Any:
        """Run a command and leave with its exit code; called by the entry point and by tests."""
        if _COMPLETION in os.environ:
            return super().main(args, *others, **extra)
        given = list(sys.argv[1:] if args is None else args)

        # click's own main takes every EOFError for Ctrl-C, and would hide a bug behind it.
        def run() -> None:
            with self.make_context("onelayer", given) as context:
                self.invoke(context)

        sys.exit(run_guarded(run))


@click.group(cls=GuardedGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="onelayer %(version)s")
def onelayer() -> None:
    """A one-layer neural network for yes or no: from a raw table to a decision with its reasons.

    \b
    onelayer demo                                    watch it, on real mortgages
    onelayer train loans.csv --target granted        learn; writes model.json
    onelayer predict model.json new.csv -o out.csv   score
    onelayer explain model.json new.csv --row 1      say why
    onelayer report model.json loans.csv             a page with all of it

    A table is CSV, TSV, Parquet or Arrow (.gz, .xz, .zst, .bz2 too); - is standard input.
    """


for command in (train, predict, evaluate, explain, influence, report, show, update, forget, demo):
    onelayer.add_command(command)


def main() -> None:
    """Run `onelayer` as a program."""
    onelayer.main()
