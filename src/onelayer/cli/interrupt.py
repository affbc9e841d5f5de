"""Ctrl-C, obeyed within a second even while compiled code holds the main thread.

Python raises KeyboardInterrupt between two of its own instructions; a long call into polars or
BLAS is one instruction. The signal itself arrives at once, though, and wakes a thread here: it
gives the main thread a moment to unwind in order, and then ends the process.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator

PATIENCE = 0.7  # seconds for an orderly end
EXIT_CODE = 128 + signal.SIGINT

_written: list[str] = []
_announced = threading.Lock()  # taken by whoever says it, and given back by the next command


def note_written(name: str) -> None:
    """Remember that a file is complete, for what is said if Ctrl-C comes after it."""
    _written.append(name)


def announce_interrupt() -> None:
    """Say once on standard error that it was Ctrl-C, and what is true of the files."""
    if sys.stderr is None or not _announced.acquire(blocking=False):
        return
    done = f"{' and '.join(_written)} was" if _written else "nothing was"
    # A bar may have hidden the cursor, and the terminal shows ^C at the start of the line.
    restored = "\x1b[?25h\r\x1b[K" if sys.stderr.isatty() else ""
    said = f"{restored}onelayer: interrupted; {done} written\n"
    try:
        # Not print: the main thread may hold the stream's lock and wait for a slow terminal.
        os.write(sys.stderr.fileno(), said.encode())
    except (OSError, ValueError, AttributeError):  # a stream in memory
        sys.stderr.write(said)
        sys.stderr.flush()


@contextlib.contextmanager
def obey_interrupts() -> Iterator[None]:
    """Within, Ctrl-C ends the process after `PATIENCE` seconds if nothing gentler has."""
    _written.clear()
    if _announced.locked():
        _announced.release()
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's alone
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    ended = threading.Event()
    threading.Thread(target=_watch, args=(reader, ended), daemon=True).start()
    try:
        yield
        ended.set()
    except Exception:
        ended.set()
        raise
    finally:
        # After KeyboardInterrupt the watch goes on: threads at work could hold up the end too.
        signal.set_wakeup_fd(before)
        os.close(writer)


def _watch(reader: int, ended: threading.Event) -> None:
    while (received := os.read(reader, 1)) and received[0] != signal.SIGINT:
        pass  # a signal of another kind
    if received and not ended.wait(PATIENCE):
        from onelayer.workspace import remove_all

        remove_all()
        announce_interrupt()
        os._exit(EXIT_CODE)
    os.close(reader)
