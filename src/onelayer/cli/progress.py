"""What is under way, on a terminal, for anything that takes over a second."""

import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onelayer.solvers.solution import Progress as Step

DELAY = 1.0  # seconds of silence


class Progress:
    """A bar on standard error, drawn after a second if that is a terminal; gone at the end.

    >>> with Progress("reading loans.csv") as progress:
    ...     progress.say("training")
    """

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._total: int | None = None
        self._done = 0
        self._lock = threading.Lock()
        self._ended = False
        self._bar: Any = None
        self._timer = threading.Timer(DELAY, self._draw)
        self._timer.daemon = True

    def __enter__(self) -> "Progress":
        if sys.stderr is not None and sys.stderr.isatty():
            self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        with self._lock:
            self._ended = True
            if self._bar is not None:
                self._bar.stop()

    def say(self, doing: str, done: int = 0, total: int | None = None) -> None:
        """Say what is under way, and how much of it is done if that is known."""
        with self._lock:
            self._doing, self._done, self._total = doing, done, total
            self._update()

    def watch(self, step: "Step") -> None:
        """Show a solver's step."""
        near = "" if step.rho > 1e6 else f", within {step.rho:.0e} standard errors"
        self.say(f"training: step {step.iteration}, cost {step.cost:.4f}{near}")

    def _draw(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        with self._lock:
            if self._ended:
                return
            columns = (
                BarColumn(20),
                TimeElapsedColumn(),
                TextColumn("{task.description}", markup=False),
            )
            # Notes go above the bar; standard output may be a file or a pipe and is left alone.
            self._bar = Bar(
                *columns, console=Console(stderr=True), transient=True, redirect_stdout=False
            )
            self._bar.add_task(self._doing, total=None)
            self._update()
            self._bar.start()

    def _update(self) -> None:
        if self._bar is not None:
            task = self._bar.task_ids[0]
            self._bar.update(task, description=self._doing, completed=self._done, total=self._total)
