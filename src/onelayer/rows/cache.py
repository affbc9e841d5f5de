"""Encoded rows on disk: written once in order, read in windows as often as wanted.

Each part of the rows lies in a file of its own, row after row: float64 numbers, numbers that are
only ever 0 or 1 (a byte each), codes in the smallest integers that hold them, labels, weights, and
the places of words. Windows are read by their offset rather than mapped, so that pages of the
files never count as memory of the process.
"""

import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from onelayer.blocks import Block, ClassFactors, weigh_classes
from onelayer.errors import InputError
from onelayer.features.mixed import MixedFeatures

Array = NDArray[Any]

NUMBERS, BITS, CODES, LABELS, WEIGHTS = "numbers", "bits", "codes", "labels", "weights"
PLACES, ENDS = "places", "ends"
FEATURES = (NUMBERS, BITS, CODES)
SCATTERED = 500  # rows of which less than one is wanted are not read whole


@dataclass(frozen=True)
class Layout:
    """What a row holds.

    Attributes
    ----------
    bits: for each number, whether it is only ever 0 or 1.
    level_counts: of each categorical column. n_words: columns of words, 0 for none.
    weighted: whether rows have weights of their own.
    """

    bits: tuple[bool, ...]
    level_counts: tuple[int, ...]
    n_words: int = 0
    weighted: bool = False

    @property
    def n_columns(self) -> int:
        return len(self.bits) + sum(self.level_counts) + self.n_words

    @property
    def widths(self) -> dict[str, tuple[np.dtype[Any], int]]:
        """The type of each file's values, and how many of them a row has."""
        most = max(self.level_counts, default=0)
        code = next(t for t in (np.uint8, np.uint16, np.int32) if most <= np.iinfo(t).max)
        flags = sum(self.bits)
        parts: dict[str, tuple[Any, int]] = {
            NUMBERS: (np.float64, len(self.bits) - flags),
            BITS: (np.uint8, flags),
            CODES: (code, len(self.level_counts)),
            LABELS: (np.int8, 1),
            WEIGHTS: (np.float64, int(self.weighted)),
            ENDS: (np.int64, int(self.n_words > 0)),
        }
        return {name: (np.dtype(kind), each) for name, (kind, each) in parts.items() if each}

    @property
    def row_bytes(self) -> int:
        """Bytes of a row on disk, words not counted."""
        return sum(kind.itemsize * each for kind, each in self.widths.values())


class CacheWriter:
    """Appends blocks of encoded rows to the files of a folder.

    >>> import tempfile
    >>> layout = Layout(bits=(False, True), level_counts=(3,))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with CacheWriter(Path(folder), layout) as writer:
    ...         X = MixedFeatures(np.array([[0.5, 1.0]]), np.array([[2]], np.int32), (3,))
    ...         writer.append(Block(X, np.array([[1]], np.int8), np.ones(1)))
    ...     Cache(Path(folder), layout, 1).read(0, 1).features.linear(np.arange(5.0)[None]).tolist()
    [[5.0]]
    """

    def __init__(self, folder: Path, layout: Layout, n_rows: int = 0, n_words: int = 0) -> None:
        """Begin, or go on after `n_rows` rows with `n_words` words: what lies beyond is cut off."""
        self.folder, self.layout, self.n_rows, self.n_words = folder, layout, n_rows, n_words
        kept = {name: n_rows * each * kind.itemsize for name, (kind, each) in layout.widths.items()}
        if layout.n_words:
            kept[PLACES] = n_words * np.dtype(np.int32).itemsize
        self._files: dict[str, BinaryIO] = {}
        with _naming(folder):
            for name, size in kept.items():
                stream = (folder / name).open("r+b" if n_rows else "wb")
                self._files[name] = stream
                stream.truncate(size)
                stream.seek(size)

    def append(self, block: Block) -> None:
        """Write the rows of a block behind those that are there."""
        features = block.features
        assert isinstance(features, MixedFeatures)
        bits = np.array(self.layout.bits, dtype=bool)
        parts = {
            NUMBERS: features.numeric[:, ~bits] if bits.any() else features.numeric,
            BITS: features.numeric[:, bits],
            CODES: features.codes,
            LABELS: block.labels[0],
            WEIGHTS: block.weights,
        }
        if self.layout.n_words:
            parts[PLACES] = features.words.indices
            parts[ENDS] = features.words.indptr[1:] + self.n_words
            self.n_words += int(features.words.nnz)
        with _naming(self.folder):
            for name, stream in self._files.items():
                kind = self.layout.widths[name][0] if name != PLACES else np.dtype(np.int32)
                stream.write(np.ascontiguousarray(parts[name], dtype=kind).data)
        self.n_rows += block.n_rows

    def flush(self) -> None:
        """Hand all that was appended to the system."""
        with _naming(self.folder):
            for stream in self._files.values():
                stream.flush()

    def sync(self) -> None:
        """Have the disk hold all that was handed to the system, whatever is appended meanwhile."""
        with _naming(self.folder):
            for stream in self._files.values():
                os.fsync(stream.fileno())

    def close(self) -> None:
        """Close all files, though the disk has no room for what one of them still holds."""
        with _naming(self.folder), contextlib.ExitStack() as stack:
            for stream in self._files.values():
                stack.callback(stream.close)

    def __enter__(self) -> "CacheWriter":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Cache:
    """Reads rows of a folder that a `CacheWriter` filled; any number of threads at a time."""

    def __init__(self, folder: Path, layout: Layout, n_rows: int) -> None:
        self.folder, self.layout, self.n_rows = folder, layout, n_rows
        names = [*layout.widths, *([PLACES] if layout.n_words else [])]
        with _naming(folder):
            self._files = {name: os.open(folder / name, os.O_RDONLY) for name in names}

    def read(self, start: int, stop: int) -> Block:
        """The rows from `start` to `stop`."""
        found = CachedBlock(self, start, min(stop, self.n_rows))
        return Block(found.features, found.labels, found.weights)

    def read_features(self, start: int, stop: int) -> MixedFeatures:
        """The features of these rows."""
        parts = {name: self._read_part(name, start, stop) for name in self._own(FEATURES)}
        return self._join(parts, stop - start, self._words(start, stop))

    def pick(self, numbers: NDArray[np.intp]) -> Block:
        """The rows of these numbers, without words, one after the other: for few of many rows."""
        m = len(numbers)
        parts = {name: self._pick_part(name, numbers) for name in self._own(self.layout.widths)}
        weights = parts[WEIGHTS][:, 0] if WEIGHTS in parts else np.broadcast_to(1.0, m)
        return Block(self._join(parts, m, None), parts[LABELS].T, weights)

    def _own(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if name in self.layout.widths]

    def _join(
        self, parts: dict[str, Array], m: int, words: sparse.csr_array | None
    ) -> MixedFeatures:
        codes = parts.get(CODES, np.zeros((m, 0), np.int32))
        return MixedFeatures(self._join_numbers(parts, m), codes, self.layout.level_counts, words)

    def read_labels(self, start: int, stop: int) -> Array:
        """Their labels, (1, rows)."""
        return self._read_part(LABELS, start, stop).T

    def read_weights(self, start: int, stop: int) -> Array:
        """Their weights."""
        if WEIGHTS not in self.layout.widths:
            return np.broadcast_to(1.0, stop - start)
        return self._read_part(WEIGHTS, start, stop)[:, 0]

    def _read_part(self, name: str, start: int, stop: int) -> Array:
        kind, each = self.layout.widths[name]
        return self._read(name, kind, start * each, (stop - start) * each).reshape(-1, each)

    def _pick_part(self, name: str, numbers: NDArray[np.intp]) -> Array:
        kind, each = self.layout.widths[name]
        out, size = np.empty((len(numbers), each), dtype=kind), each * kind.itemsize
        view = out.data.cast("B")
        for k, number in enumerate(numbers.tolist()):
            self._fill(name, view[k * size : (k + 1) * size], number * size)
        return out

    def close(self) -> None:
        """Close its files: as long as they are open, their room on the disk is not free."""
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files = {}

    def _read(self, name: str, kind: np.dtype[Any], first: int, count: int) -> Array:
        out = np.empty(count, dtype=kind)
        self._fill(name, out.data.cast("B"), first * kind.itemsize)
        return out

    def _fill(self, name: str, view: memoryview, place: int) -> None:
        """Read from a place of a file on, as much as the view holds."""
        with _naming(self.folder):
            while view:
                read = os.preadv(self._files[name], [view], place)
                if not read:
                    raise InputError(
                        f"{self.folder / name}: the cache is shorter than its rows; start again "
                        "without --resume"
                    )
                view, place = view[read:], place + read

    def _join_numbers(self, parts: dict[str, Array], m: int) -> Array:
        bits = np.array(self.layout.bits, dtype=bool)
        if not bits.any():
            return parts.get(NUMBERS, np.zeros((m, 0)))
        out = np.empty((m, len(bits)))
        out[:, bits] = parts[BITS]
        if NUMBERS in parts:
            out[:, ~bits] = parts[NUMBERS]
        return out

    def _words(self, start: int, stop: int) -> sparse.csr_array | None:
        if not self.layout.n_words:
            return None
        ends = np.zeros(stop - start + 1, dtype=np.int64)
        first = max(start - 1, 0)
        found = self._read(ENDS, np.dtype(np.int64), first, stop - first)
        ends[:] = found if start else np.append(0, found)
        places = self._read(PLACES, np.dtype(np.int32), int(ends[0]), int(ends[-1] - ends[0]))
        shape = (stop - start, self.layout.n_words)
        return sparse.csr_array((np.ones(len(places)), places, ends - ends[0]), shape=shape)


class CachedBlock(Block):
    """Rows of a cache, read as they are asked for: a sum of weights or labels reads no features.

    Parameters
    ----------
    factors: of the weights of rows of label 0 and of label 1. watch: told when the features are
        read.
    """

    _cache: Cache
    _start: int
    _stop: int
    _factors: ClassFactors
    _watch: Callable[[], None] | None

    def __init__(
        self,
        cache: Cache,
        start: int,
        stop: int,
        factors: ClassFactors = (1.0, 1.0),
        watch: Callable[[], None] | None = None,
    ) -> None:
        own = {"_cache": cache, "_start": start, "_stop": stop, "_watch": watch}
        self.__dict__.update(own, _factors=factors)

    @property
    def n_rows(self) -> int:
        return self._stop - self._start

    @cached_property
    def features(self) -> MixedFeatures:
        if self._watch is not None:
            self._watch()
        return self._cache.read_features(self._start, self._stop)

    def take(self, indices: Array) -> Block:
        if SCATTERED * len(indices) > self.n_rows or self._cache.layout.n_words:
            return super().take(indices)
        found = self._cache.pick(self._start + indices)
        weights = weigh_classes(found.labels[0], found.weights, self._factors)
        return replace(found, weights=weights)

    @cached_property
    def labels(self) -> Array:
        return self._cache.read_labels(self._start, self._stop)

    @cached_property
    def weights(self) -> Array:
        weights = self._cache.read_weights(self._start, self._stop)
        if self._factors == (1.0, 1.0):  # labels are read where they are needed
            return weights
        return weigh_classes(self.labels[0], weights, self._factors)


def no_rows(layout: Layout) -> MixedFeatures:
    """The columns of a layout without any rows."""
    words = sparse.csr_array((0, layout.n_words)) if layout.n_words else None
    codes = np.zeros((0, len(layout.level_counts)), dtype=np.int32)
    return MixedFeatures(np.zeros((0, len(layout.bits))), codes, layout.level_counts, words)


@contextlib.contextmanager
def _naming(folder: Path) -> Iterator[None]:
    """Disk errors in words, with the folder's name."""
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            why = "the disk is full: free some space, or put the cache elsewhere (cache, --cache)"
        raise InputError(f"cannot keep encoded rows in {folder}: {why}") from None
