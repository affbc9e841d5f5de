"""Telling how far a training on a long table is."""

import time
from collections.abc import Callable
from typing import Protocol

from onelayer.solvers.solution import Progress
from onelayer.streaming.asked import Means, Stage


class Counted(Protocol):
    """A table whose rows are counted, at the latest once a pass has seen them."""

    @property
    def rows(self) -> int | None:
        """How many there are; None where that is not known yet."""


class Telling:
    """Tells a person what the means name: sentences, and a `Stage` every so often.

    Parameters
    ----------
    source: the table.
    """

    def __init__(self, means: Means, source: Counted) -> None:
        self._means, self._source = means, source
        self._began = time.perf_counter()

    def say(self, sentence: str) -> None:
        """Tell a person."""
        if self._means.say is not None:
            self._means.say(sentence)

    def seconds(self) -> float:
        """Since the pass began."""
        return time.perf_counter() - self._began

    def tell(self, doing: str, known: bool = True) -> Callable[[int], None]:
        """What to call with the rows read so far in a pass over the table."""
        self._began, tell = time.perf_counter(), self._means.tell
        total = self._source.rows if known else None
        if tell is None:
            return lambda done: None
        return lambda done: tell(Stage(doing, done, total, self.seconds()))

    def note_in(self, steps: list[Progress]) -> Callable[[Progress], None]:
        """What to call with each step of a solver."""

        def note(step: Progress) -> None:
            steps.append(step)
            if self._means.watch is not None:
                self._means.watch(step)

        return note

    def follow(self, n_rows: int, steps: list[Progress]) -> Callable[[int, int], None]:
        """The same for passes over the encoded rows, whose blocks threads read side by side."""
        tell, passes, first = self._means.tell, 0, time.perf_counter()

        def told(start: int, stop: int) -> None:
            nonlocal passes
            if start == 0:
                passes, self._began = passes + 1, time.perf_counter()
            if tell is not None:
                last = steps[-1] if steps else None
                in_all = time.perf_counter() - first
                tell(Stage("training", stop, n_rows, self.seconds(), passes, last, in_all))

        return told
