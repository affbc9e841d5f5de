"""What is under way, on a terminal, for anything that takes over a second."""

import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onelayer.solvers.solution import Progress as Step
    from onelayer.streaming import Stage

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
        self._ended = self._told = False
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
        """Show a solver's step; of a long table the passes tell it."""
        if self._told:
            return
        near = "" if step.rho > 1e6 else f", within {step.rho:.0e} standard errors"
        self.say(f"training: step {step.iteration}, cost {step.cost:.4f}{near}")

    def tell(self, stage: "Stage") -> None:
        """Show how far a pass over a long table is, and when all of them may be done."""
        self._told = self._told or stage.passes > 0
        self.say(describe_stage(stage), stage.done, stage.total)

    def note(self, sentence: str) -> None:
        """Print a sentence on standard error, above the bar."""
        from onelayer.cli.output import paragraph, print_lines

        with self._lock:
            print_lines(paragraph(f"onelayer: {sentence}"), sys.stderr)

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
            self._bar.tasks[0].finished_time = None  # a pass has ended, not the work: time goes on


def describe_stage(stage: "Stage") -> str:
    """A pass over a long table in one short line.

    >>> from onelayer.streaming import Stage
    >>> describe_stage(Stage("encoding", 3_000_000, 9_000_000, 2.0))
    'encoding: 1.5M rows/s, 4 s left'
    """
    if not stage.done:
        return stage.doing
    speed = stage.done / max(stage.seconds, 1e-9)
    said = f"pass {stage.passes}: " if stage.passes else f"{stage.doing}: "
    said += f"{speed / 1e6:.1f}M rows/s"
    if stage.progress is not None:
        said += f", cost {stage.progress.cost:.4f}"
        if stage.progress.rho < 1e6:
            said += f", rho {stage.progress.rho:.0e}"
    return said if stage.total is None else f"{said}, {_say_time(_guess_left(stage))} left"


def _guess_left(stage: "Stage") -> float:
    """Seconds: at the speed so far, of this pass over the table or of all over encoded rows."""
    from onelayer.streaming import USUAL_PASSES

    part = stage.done / max(1, stage.total or 0)
    if not stage.passes:
        return stage.seconds * (1 / part - 1)
    # What a solver computes between two passes counts too.
    done = stage.passes - 1 + part
    return stage.in_all / done * max(USUAL_PASSES - done, 1 - part)


def _say_time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6_000 else f"{seconds / 3600:.1f} h"
