"""Numbers put aside in a temporary file, and read again in pieces."""

import tempfile
from collections.abc import Callable
from io import FileIO
from types import TracebackType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from onelayer.errors import InputError

Array = NDArray[np.float64]
T = TypeVar("T")

_NUMBER_BYTES = 8


class Spill:
    """A temporary file of rows of numbers, made when the first row comes.

    It has no name where the system allows that (Linux does): nothing of it is left behind,
    whatever ends the process, and its place on the disk is free as soon as it is closed.

    Args:
        columns: How many numbers a row has.
        folder: Where the file lies; None for the system's own place (TMPDIR).

    >>> with Spill(2) as spill:
    ...     spill.append(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    ...     spill.read(1, 3).tolist()
    [[3.0, 4.0], [5.0, 6.0]]
    """

    def __init__(self, columns: int, folder: str | None = None) -> None:
        self.n_rows = 0
        self._columns, self._folder = columns, folder
        self._file: FileIO | None = None

    def __enter__(self) -> "Spill":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def append(self, rows: Array) -> None:
        """Write rows (n, columns) behind those that are there.

        Raises:
            InputError: The disk is full, or the folder cannot be written.
        """
        content = np.ascontiguousarray(rows, dtype=np.float64)
        if content.size:
            self._name_folder_in_errors(lambda: self._write(content.data.cast("B")))
        self.n_rows += len(rows)

    def _write(self, rest: memoryview) -> None:
        if self._file is None:
            # Without a buffer of its own an error comes with the write that it belongs to.
            self._file = tempfile.TemporaryFile(buffering=0, dir=self._folder)  # noqa: SIM115
        self._file.seek(0, 2)
        while rest:
            rest = rest[self._file.write(rest) :]

    def read(self, start: int, stop: int) -> Array:
        """Rows `start` to `stop - 1`, (stop - start, columns)."""
        rows = np.empty((stop - start, self._columns))
        if rows.size:
            self._name_folder_in_errors(lambda: self._fill(start, rows.data.cast("B")))
        return rows

    def _fill(self, start: int, rest: memoryview) -> None:
        assert self._file is not None
        self._file.seek(start * self._columns * _NUMBER_BYTES)
        while rest:
            taken = self._file.readinto(rest)
            if not taken:
                raise OSError("the file was cut short meanwhile")
            rest = rest[taken:]

    def _name_folder_in_errors(self, act: Callable[[], T]) -> T:
        try:
            return act()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise InputError(
                f"cannot put scores aside in a temporary file in {self._folder or _usual_folder()}:"
                f" {reason}; make room there, or name another folder in TMPDIR"
            ) from error


def _usual_folder() -> str:
    try:
        return tempfile.gettempdir()
    except OSError:  # none can be written
        return "any usual folder"
