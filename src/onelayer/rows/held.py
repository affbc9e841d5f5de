"""A partition of rows where its worker keeps it: in memory, or mapped from a file.

A partition that does not fit is written once into an unnamed file of the worker's own folder, and
its arrays become views of that file. Unnamed, it is gone with the process that holds it, even if
that is killed; after each task its pages are let go, so that they do not count as memory used.
"""

import mmap
import pickle
import tempfile
import threading
import weakref
from dataclasses import replace
from typing import Any, BinaryIO, cast

import numpy as np

from onelayer.blocks import Block
from onelayer.errors import InputError
from onelayer.loss import is_even

SHARE = 0.4  # of the memory limit is for rows; Dask itself begins to spill at 0.6
ALIGNMENT = 64  # bytes: where vectors of any processor may begin
MALLOC = 16  # bytes: where arrays of NumPy's own begin

_lock = threading.Lock()
_kept: dict[int, int] = {}  # bytes in memory by partition, in this process


class HeldRows:
    """A block of rows, kept.

    >>> from onelayer.features.dense import DenseFeatures
    >>> held = HeldRows(Block(DenseFeatures(np.eye(2)), np.ones((1, 2)), np.ones(2)))
    >>> held.settle(limit=10, folder=None)
    >>> held.is_mapped, held.block.features.linear(np.ones((1, 2))).tolist()
    (True, [[1.0, 1.0]])
    """

    def __init__(self, block: Block) -> None:
        self.block, self.size = _align(block)
        self._map: mmap.mmap | None = None
        self._settled = False
        self._lock = threading.Lock()  # tasks of one partition may meet in two threads

    @property
    def is_mapped(self) -> bool:
        return self._map is not None

    def settle(self, limit: float | None, folder: str | None) -> None:
        """Stay in memory where the rows of this process fit into their share of `limit` bytes.

        Otherwise move to a file in `folder`. Decided once for each process that holds the rows.

        Raises
        ------
        InputError: the file cannot be written.
        """
        with self._lock:
            if self._settled:
                return
            self._settled = True
            if _reserve(self, limit):
                return
            try:
                self._map, self.block = _map_block(self.block, folder)
            except OSError as error:
                raise InputError(
                    f"{folder or tempfile.gettempdir()}: {self.size:,} bytes of rows cannot be "
                    f"kept there ({error}): free disk space, or give workers more memory"
                ) from None

    def rest(self) -> None:
        """Let go of the pages of a mapped block; the next task reads them again."""
        if self._map is not None and hasattr(self._map, "madvise"):
            self._map.madvise(mmap.MADV_DONTNEED)

    def __sizeof__(self) -> int:
        # Dask moves small things about and spills large ones. Mapped rows are on disk already.
        return self.size // 16 if self.is_mapped else self.size

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore_held, _strip(self.block)


def _reserve(held: HeldRows, limit: float | None) -> bool:
    """Count the rows as memory of this process, where there is room."""
    with _lock:
        if limit and sum(_kept.values()) + held.size > SHARE * limit:
            return False
        _kept[id(held)] = held.size
    weakref.finalize(held, _kept.pop, id(held), None)
    return True


def _restore(block: Block, even: bool) -> Block:
    """The block again, one stored weight standing for those of all rows."""
    if not even:
        return block
    return replace(block, weights=np.broadcast_to(block.weights[0], block.features.n_rows))


def _strip(block: Block) -> tuple[Block, bool]:
    """Rows of one weight store it once, which sums rely on; a pickle would write it out."""
    even = is_even(block.weights)
    return (replace(block, weights=block.weights[:1].copy()) if even else block), even


def _restore_held(block: Block, even: bool) -> HeldRows:
    return HeldRows(_restore(block, even))


def _dump(block: Block) -> tuple[bytes, list[pickle.PickleBuffer]]:
    """A pickle of the block that leaves its arrays, in whatever layout, to be stored beside it."""
    buffers: list[pickle.PickleBuffer] = []
    return pickle.dumps(block, protocol=5, buffer_callback=buffers.append), buffers


def _align(block: Block) -> tuple[Block, int]:
    """The block with arrays that begin where those of NumPy do, and its bytes.

    Those that came over the network begin anywhere, and sums over them would be added in another
    order: a partition that has moved would give other bits.
    """
    stripped, even = _strip(block)
    header, buffers = _dump(stripped)
    views = [np.frombuffer(buffer.raw(), dtype=np.uint8) for buffer in buffers]
    size = len(header) + sum(view.nbytes for view in views)
    if not any(view.ctypes.data % MALLOC for view in views if view.nbytes):
        return block, size
    return _restore(pickle.loads(header, buffers=[view.copy() for view in views]), even), size


def _map_block(block: Block, folder: str | None) -> tuple[mmap.mmap, Block]:
    """The block with its arrays in a file."""
    stripped, even = _strip(block)
    header, buffers = _dump(stripped)
    with tempfile.TemporaryFile(dir=folder, prefix="onelayer-") as untyped:
        stream, places = cast(BinaryIO, untyped), []
        for buffer in buffers:
            stream.seek(-(-stream.tell() // ALIGNMENT) * ALIGNMENT)
            places.append((stream.tell(), stream.write(buffer.raw())))
        stream.truncate(max(1, stream.tell()))
        stream.flush()
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    whole = memoryview(mapped)
    views = [whole[start : start + size] for start, size in places]
    return mapped, _restore(pickle.loads(header, buffers=views), even)
