"""Items made one ahead of the one in hand, in a thread, so that reading goes on beside working."""

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from itertools import islice
from threading import get_ident
from typing import TypeVar

T = TypeVar("T")

_pools: set[ThreadPoolExecutor] = set()
"""Those at work. One that only a forgotten iterator holds would lose its thread before that
iterator is closed, which would then wait for ever."""


def make_ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """The same items in the same order; the next is made while the last one is worked on.

    All are made in one thread, and closed in it: a database lets no other touch its rows. What
    making one raises is raised here, in its turn.

    >>> list(make_ahead(iter("abc")))
    ['a', 'b', 'c']
    """
    context = copy_context()  # np.errstate lives there, and threads do not inherit it
    worker = 0

    def make() -> tuple[T, ...]:
        nonlocal worker
        worker = get_ident()
        return context.run(lambda: tuple(islice(items, 1)))

    pool = ThreadPoolExecutor(1, thread_name_prefix="onelayer-ahead")
    _pools.add(pool)
    try:
        coming = pool.submit(make)
        while made := coming.result():
            coming = pool.submit(make)
            yield made[0]
    finally:
        # The collector may have come here from any thread: the pool's own cannot wait for itself.
        others = worker != get_ident()
        if hasattr(items, "close"):
            closed = pool.submit(items.close)
            if others:
                closed.result()
        pool.shutdown(wait=others)
        _pools.discard(pool)
