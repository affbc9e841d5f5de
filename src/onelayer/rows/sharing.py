"""Pieces of work that threads take one after the other, the caller's own among them.

A thread that sleeps takes longer to wake than a short task lasts. So none is woken for each piece,
and the thread that waits for the sum works on it too.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, wait
from contextvars import copy_context
from threading import Condition
from typing import Generic, TypeVar

S = TypeVar("S")
T = TypeVar("T")


def share(
    pool: Executor,
    helpers: int,
    task: Callable[[S], T],
    pieces: Sequence[S],
    take: Callable[[T], None],
) -> None:
    """`task(piece)` for each piece, by this thread and by `helpers` of the pool's.

    The results are handed to `take` in the pieces' order, one at a time; those of no more than one
    piece for each thread wait for an earlier one. What a task raises is raised here.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> found = []
    >>> with ThreadPoolExecutor(1) as pool:
    ...     share(pool, 1, abs, range(-3, 1), found.append)
    >>> found
    [3, 2, 1, 0]
    """
    work = _Work(task, pieces, take, helpers + 1)
    # np.errstate lives in the context, which threads do not inherit.
    others = [pool.submit(copy_context().run, work.run) for _ in range(helpers)]
    try:
        work.run()
    finally:
        wait(others)
    for other in others:
        other.result()


class _Work(Generic[S, T]):
    def __init__(
        self, task: Callable[[S], T], pieces: Sequence[S], take: Callable[[T], None], ahead: int
    ) -> None:
        self.task, self.pieces, self.take, self.ahead = task, pieces, take, ahead
        self.begun, self.taken = 0, 0
        self.ready: dict[int, T] = {}
        self.change = Condition()

    def run(self) -> None:
        try:
            while (number := self._begin()) < len(self.pieces):
                result = self.task(self.pieces[number])
                with self.change:
                    self.ready[number] = result
                    while self.taken in self.ready:
                        self.take(self.ready.pop(self.taken))
                        self.taken += 1
                    self.change.notify_all()
        except BaseException:
            with self.change:
                self.begun = self.taken = len(self.pieces)  # nobody is to begin another
                self.change.notify_all()
            raise

    def _begin(self) -> int:
        """The number of the next piece, when it is not too far ahead of the slowest one."""
        with self.change:
            self.change.wait_for(lambda: self.begun <= self.taken + self.ahead)
            self.begun += 1
            return self.begun - 1
