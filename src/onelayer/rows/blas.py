"""One thread for BLAS while our own threads work on blocks of rows.

The limit is one setting for the whole process, so fits that run side by side count their holds:
the first sets it, the last puts it back.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any

from threadpoolctl import ThreadpoolController

_lock = threading.Lock()
_holds = 0
# Kept: looking through every loaded library takes milliseconds. How to get, and set, the threads.
_libraries: list[tuple[Callable[[], int | None], Callable[[int], Any]]] = []
_before: list[int | None] = []


class _Hold:
    """A class: on a table of 200 rows a generator's context would be felt."""

    def __enter__(self) -> None:
        global _holds, _libraries, _before
        with _lock:
            if _holds == 0:
                _libraries = _libraries or _find_libraries()
                _before = [get() for get, _ in _libraries]
                _set_threads([1] * len(_libraries))
            _holds += 1

    def __exit__(self, *error: object) -> None:
        global _holds
        with _lock:
            _holds -= 1
            if _holds == 0:
                _set_threads(_before)


_hold = _Hold()


def single_threaded_blas() -> AbstractContextManager[None]:
    """Hold BLAS at one thread in this process for as long as the context lasts."""
    return _hold


def _find_libraries() -> list[tuple[Callable[[], int | None], Callable[[int], Any]]]:
    # SciPy brings a BLAS of its own; one that is loaded later would not be found.
    import_module("scipy.linalg")
    return [_bind(each) for each in ThreadpoolController().select(user_api="blas").lib_controllers]


def _bind(library: Any) -> tuple[Callable[[], int | None], Callable[[int], Any]]:
    """A library's own functions for its threads.

    From 3.8 on, threadpoolctl obeys only the thread that set OpenBLAS first and ignores all others
    without a word; here the last hold to end need not be the first one's thread. Its way also takes
    as long as a step on a small table.
    """
    if library.internal_api == "openblas" and library.threading_layer == "pthreads":
        for name in library.check_symbols:
            if hasattr(library.dynlib, name):
                setter = getattr(library.dynlib, name.replace("_get_", "_set_"))
                return getattr(library.dynlib, name), setter
    return library.get_num_threads, library.set_num_threads


def _set_threads(counts: Sequence[int | None]) -> None:
    for (_, set_threads), count in zip(_libraries, counts, strict=True):
        if count is not None:
            set_threads(count)
