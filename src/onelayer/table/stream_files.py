"""Which files a table larger than memory is made of, in which order, and what their paths say."""

import glob
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

from onelayer.errors import InputError
from onelayer.table.containers import Unpacked, explain_unreadable, recognise, suffix_of

_HEAD_BYTES = 1 << 16
_MAGIC = re.compile(r"[*?\[]")
_PARTITION = re.compile(r"([^=]+)=(.*)")
# What Hive and all who follow it write for a missing value.
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Found:
    """A file of the table: what messages call it, and the columns that its folders name."""

    path: Path
    name: str
    partitions: tuple[tuple[str, str | None], ...] = ()


def find_files(source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[Found]:
    """The files of a path, a folder, a glob or a list of these, sorted by path.

    In folders and globs, names that begin with a dot or an underscore are skipped, and files
    without a byte. Below a folder, below the part of a glob without wildcards, and below the
    folder that holds all paths of a list, `year=2024` is the value of a column `year`.

    Raises InputError for a path that is not there and a file that is given twice.
    """
    given = [source] if isinstance(source, str | os.PathLike) else list(source)
    if not given:
        raise InputError("no file is given; give the path of at least one")
    found = [pair for one in given for pair in _expand(os.fspath(one))]
    found.sort(key=lambda pair: pair[0].as_posix())
    for (path, _), (other, _) in pairwise(found):
        if path == other:
            raise InputError(f"{path}: given twice; its rows would count twice")
    above = Path(os.path.commonpath([path.parent for path, _ in found]))
    return [
        Found(
            path,
            path.relative_to(above).as_posix(),
            _partitions(path.relative_to(root if len(given) == 1 else above)),
        )
        for path, root in found
    ]


def recognise_file(found: Found) -> tuple[str, bool]:
    """The kind of a file (see `containers.recognise`), and whether it is compressed."""
    file = _open(found)
    try:
        return recognise(file.read(_HEAD_BYTES), suffix_of(found.name), found.name), file.packed
    finally:
        file.close()


def is_blank(found: Found) -> bool:
    """Whether nothing, or nothing but blanks, is in a file (its first 64 KiB)."""
    file = _open(found)
    try:
        return not file.read(_HEAD_BYTES).strip()
    finally:
        file.close()


def _open(found: Found) -> Unpacked:
    try:
        return Unpacked(found.path, found.name)
    except OSError as error:
        raise explain_unreadable(found.path, error) from None


def fingerprint_files(files: Sequence[Found]) -> str:
    """SHA-256 of names, sizes and times of last change: another value where the data changed."""
    digest = hashlib.sha256()
    for found in files:
        status = found.path.stat()
        digest.update(f"{found.name}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return digest.hexdigest()


def _expand(given: str) -> Iterator[tuple[Path, Path]]:
    """Each file and the folder below which folders may be partitions."""
    path = Path(os.path.abspath(given))
    try:
        if path.is_dir():
            files = list(_walk(path))
            if not files:
                raise InputError(f"{given}: no file in this folder; expected Parquet, Arrow or CSV")
            yield from ((file, path) for file in files)
        elif _MAGIC.search(given) and not path.exists():
            yield from _match(str(path), given)
        else:
            path.stat()
            yield path, path.parent
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise explain_unreadable(Path(given), error) from None


def _match(pattern: str, given: str) -> Iterator[tuple[Path, Path]]:
    parts = Path(pattern).parts
    fixed = next(k for k, part in enumerate(parts) if _MAGIC.search(part))
    root = Path(*parts[:fixed])
    matched = [Path(path) for path in sorted(glob.glob(pattern, recursive=True))]
    files = {
        file
        for path in matched
        if not _is_hidden(path.relative_to(root))
        for file in (_walk(path) if path.is_dir() else [path])
    }
    if not files:
        raise InputError(
            f"{given}: no file matches; check the path (it is taken from {Path.cwd()})"
        )
    yield from ((file, root) for file in files if file.stat().st_size)


def _walk(folder: Path) -> Iterator[Path]:
    for above, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _is_hidden(Path(name))]
        for name in files:
            path = Path(above, name)
            if not _is_hidden(Path(name)) and path.stat().st_size:
                yield path


def _is_hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) and "=" not in part for part in path.parts)


def _partitions(path: Path) -> tuple[tuple[str, str | None], ...]:
    matches = [_PARTITION.fullmatch(part) for part in path.parts[:-1]]
    return tuple(
        (unquote(match[1]), None if match[2] == _NO_VALUE else unquote(match[2]))
        for match in matches
        if match
    )
