"""Items made one ahead of the one in hand, in a thread, so that reading goes on beside working."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def make_ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items in the same order; the next is made while the last one is worked on.

    All are made in one thread, and closed in it: a database lets no other touch its rows. What
    making one raises is raised here, in its turn.

    >>> list(make_ahead(iter("abc")))
    ['a', 'b', 'c']
    """
    context = copy_context()  # np.errstate lives there, and threads do not inherit it

    def make() -> tuple[T, ...]:
        return context.run(lambda: tuple(islice(items, 1)))

    with ThreadPoolExecutor(1, thread_name_prefix="onelayer-ahead") as pool:
        coming = pool.submit(make)
        try:
            while made := coming.result():
                coming = pool.submit(make)
                yield made[0]
        finally:
            if hasattr(items, "close"):
                pool.submit(items.close).result()
