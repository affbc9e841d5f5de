"""`python -m benchmarks COMMAND`: one module a command."""

import argparse

from benchmarks import streamed, tables
from benchmarks.bigger import command as bigger
from benchmarks.cluster import command as cluster
from benchmarks.race import command


def main() -> None:
    """Run the comparison that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    tables.add_command(commands)
    streamed.add_command(commands)
    command.add_commands(commands)
    bigger.add_command(commands)
    cluster.add_command(commands)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
