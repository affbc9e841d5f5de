"""What goes wrong, in one line: mistakes, notes, Ctrl-C, and readers that went away."""

import contextlib
import errno
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import TextIO

import click

from onelayer.cli.interrupt import EXIT_CODE as INTERRUPTED
from onelayer.cli.interrupt import announce_interrupt, obey_interrupts
from onelayer.cli.output import show_text
from onelayer.errors import InputError, OneLayerWarning

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # of files `replace_file` says so
MISTAKE = 2
READER_GONE = 141  # what shells say of a program whose pipe broke: 128 + SIGPIPE


def run_guarded(run: Callable[[], object]) -> int:
    """Run a command and return its exit code.

    A user's mistake becomes one line on standard error and 2, Ctrl-C a line and 130, a pipe that
    nobody reads any more 141 without a word. Any other exception is a bug and keeps its traceback.
    """
    with _notes_in_one_line():
        try:
            with obey_interrupts():
                run()
                _flush_output()
        except click.exceptions.Exit as end:
            return end.exit_code
        except KeyboardInterrupt:
            announce_interrupt()
            return INTERRUPTED
        except BrokenPipeError:
            _forget_output()
            return READER_GONE
        except OSError as error:
            if error.errno not in _FULL:
                raise
            return _show_mistake(InputError(f"cannot write to standard output: {error.strerror}"))
        except (click.ClickException, InputError, MemoryError) as mistake:
            return _show_mistake(mistake)
    return 0


def _show_mistake(mistake: Exception) -> int:
    try:
        _flush_output()
    except OSError:
        _forget_output()
    _say(_help_of(mistake) or f"onelayer: error: {_as_one_line(_word(mistake))}")
    return MISTAKE


def _help_of(mistake: Exception) -> str | None:
    """The help that click wants to be shown for a command line without any word."""
    wordless = getattr(click.exceptions, "NoArgsIsHelpError", ())  # from click 8.2 on
    return mistake.format_message() if isinstance(mistake, wordless) else None


def _word(mistake: Exception) -> str:
    if isinstance(mistake, MemoryError):
        return "not enough memory; take fewer rows or columns, or a machine that has more"
    if not isinstance(mistake, click.ClickException):
        return str(mistake)
    text = mistake.format_message().rstrip(".")
    text = text[:1].lower() + text[1:]
    context = getattr(mistake, "ctx", None)
    return text if context is None else f"{text} (see `{context.command_path} --help`)"


def _as_one_line(text: str) -> str:
    return show_text(" ".join(text.split()))


def _say(text: str) -> None:
    if sys.stderr is not None:  # print would take standard output instead
        with contextlib.suppress(BrokenPipeError):
            print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _notes_in_one_line() -> Iterator[None]:
    """Within, onelayer's warnings are lines on standard error, each said once."""
    said: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("always", OneLayerWarning)
        show_others = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if not issubclass(category, OneLayerWarning):
                show_others(message, category, filename, lineno, file, line)
            elif (text := str(message)) not in said:
                said.add(text)
                _say(f"onelayer: note: {_as_one_line(text)}")

        warnings.showwarning = show
        yield


def _flush_output() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _forget_output() -> None:
    """Send what is still buffered nowhere: the end of the interpreter would try it once more."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
