"""A Parquet file written from rows as they come, row group by row group.

polars writes it in a thread of its own and asks for the next rows when it has room for them; they
are made in the thread that calls, so that Ctrl-C and warnings stay where they belong.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Full, Queue
from typing import Any, BinaryIO, cast

import polars as pl
from polars.io.plugins import register_io_source

from onelayer.writing import write_whole

# Borders of its own make the bytes of the file independent of the batches.
ROW_GROUP_ROWS = 1 << 17
_MOMENT = 0.1  # seconds between two looks at whether the writer is still there


def write_parquet(stream: BinaryIO, frames: Iterable[pl.DataFrame]) -> None:
    """Write rows to a stream as a Parquet file; some batches are held at a time.

    Arguments
    ---------
    frames
        At least one; all of the same columns and types.

    Raises
    ------
    OSError
        What the stream raised. An error of `frames` leaves the file unfinished too.

    >>> stream = io.BytesIO()
    >>> write_parquet(stream, (pl.DataFrame({"row": [number]}) for number in range(3)))
    >>> pl.read_parquet(stream.getvalue())["row"].to_list()
    [0, 1, 2]
    """
    coming = iter(frames)
    first = next(coming)
    waiting: Queue[pl.DataFrame | None] = Queue(1)
    output = _Output(stream)

    def sink() -> None:
        source = register_io_source(
            lambda *_: _take(waiting), schema=first.schema, validate_schema=True
        )
        source.sink_parquet(
            cast(BinaryIO, output), row_group_size=ROW_GROUP_ROWS, engine="streaming"
        )

    with ThreadPoolExecutor(1, thread_name_prefix="onelayer-parquet") as pool:
        writing = pool.submit(sink)
        try:
            _hand_over(first, waiting, writing)
            for frame in coming:
                if not _hand_over(frame, waiting, writing):
                    break
        finally:
            _hand_over(None, waiting, writing)
        try:
            writing.result()
        except pl.exceptions.PolarsError:
            if output.fault is None:
                raise
            raise output.fault from None


class _Output(io.RawIOBase):
    """Hands bytes on and keeps the error, which polars would tell as one of the format."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.fault: BaseException | None = None

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        try:
            write_whole(self._stream, content)
        except BaseException as fault:
            self.fault = fault
            raise
        return len(content)


def _take(waiting: Queue[pl.DataFrame | None]) -> Iterator[pl.DataFrame]:
    while (frame := waiting.get()) is not None:
        yield frame


def _hand_over(
    frame: pl.DataFrame | None, waiting: Queue[pl.DataFrame | None], writing: Future[None]
) -> bool:
    """Give a frame, or None for the end, to the writer; False where it has ended by itself."""
    while not writing.done():
        try:
            waiting.put(frame, timeout=_MOMENT)
        except Full:
            continue
        return True
    return False
