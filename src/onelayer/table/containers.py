"""What a file is, told by its first bytes, and what lies inside a compressed one."""

import bz2
import gzip
import lzma
import re
import sys
import zlib
from pathlib import Path
from typing import IO, Any

from onelayer.errors import InputError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PARQUET, IPC_FILE, IPC_STREAM, TEXT = "Parquet", "Arrow IPC", "Arrow IPC stream", "text"

_SKIPPED_BYTES = 1 << 20

# The byte after PAR1 opens the first page or the footer; a CSV whose first column is PAR1 has text
# there.
_STARTS = {b"PAR1\x15": PARQUET, b"ARROW1\0\0": IPC_FILE, b"\xff\xff\xff\xff": IPC_STREAM}
_TYPED_SUFFIXES = {
    ".parquet": PARQUET,
    ".pq": PARQUET,
    ".arrow": IPC_FILE,
    ".feather": IPC_FILE,
    ".ipc": IPC_FILE,
    ".arrows": IPC_STREAM,
}
_PACKED_SUFFIXES = {".gz", ".xz", ".zst", ".bz2"}
_AS_CSV = "save the table as CSV"
# What people hand in by mistake: first bytes, what it is, what to do.
_STRANGERS = (
    (b"PK\x05\x06", "an empty ZIP archive", "give the table itself"),
    (b"\xd0\xcf\x11\xe0", "an old Excel (or other Office) file", "save the sheet as CSV"),
    (b"\x89PNG", "a PNG picture", _AS_CSV),
    (b"\xff\xd8\xff", "a JPEG picture", _AS_CSV),
    (b"GIF87a", "a GIF picture", _AS_CSV),
    (b"GIF89a", "a GIF picture", _AS_CSV),
    (b"%PDF-", "a PDF document", _AS_CSV),
    (b"SQLite format 3\0", "an SQLite database", "export the table as CSV"),
    (b"\x89HDF", "an HDF5 file", _AS_CSV),
    (b"PARE", "an encrypted Parquet file", "decrypt it"),
    (b"FEA1\0", "a Feather file of version 1", "write it again as Arrow IPC (Feather 2) or CSV"),
    (b"Obj\x01", "an Avro file", "save the table as Parquet or CSV"),
    (b"\x80\x04\x95", "a Python pickle", "save the table as Parquet or CSV"),
    (b"\x80\x05\x95", "a Python pickle", "save the table as Parquet or CSV"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it and give the table inside"),
    (b"Rar!\x1a", "a RAR archive", "unpack it and give the table inside"),
    (b"\x1f\x8b", "a file compressed twice", "unpack it once"),
    (b"\xfd7zXZ", "a file compressed twice", "unpack it once"),
)
_STRANGE_TEXTS = (
    (b"<!doctype html", "a web page", "download the table itself"),
    (b"<html", "a web page", "download the table itself"),
    (b"<?xml", "an XML file", _AS_CSV),
    (b"{\\rtf", "an RTF document", _AS_CSV),
    (b'{"', "JSON", _AS_CSV),
    (b"[{", "JSON", _AS_CSV),
)


_PACKED: tuple[tuple[bytes, str, Any], ...] = (
    (rb"\x1f\x8b", "gzip", gzip),
    (rb"\xfd7zXZ\0", "xz", lzma),
    (rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", "bzip2", bz2),
    (rb"\x28\xb5\x2f\xfd", "zst", zstd),
)
_DAMAGE = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zstd.ZstdError)


def unpack(data: bytes, source: str) -> bytes:
    """What a gzip, xz, bzip2 or Zstandard file holds; other bytes come back as they are.

    Raises InputError where the compressed file is cut or damaged.
    """
    kind, module = _find_packer(data)
    if module is None:
        return data
    try:
        return bytes(module.decompress(data))
    except _DAMAGE as error:
        raise _damaged(source, kind, error) from None


class Unpacked:
    """A file read from its first byte on, unpacked meanwhile if it is compressed.

    Parameters
    ----------
    path
        A file that exists.
    source
        What messages call it.
    """

    def __init__(self, path: Path, source: str) -> None:
        self._source = source
        with path.open("rb") as file:
            self._kind, module = _find_packer(file.read(16))
        opened: IO[bytes] = path.open("rb") if module is None else module.open(path, "rb")
        self._file = opened

    @property
    def packed(self) -> bool:
        """Whether it is compressed: then to skip bytes is to unpack them."""
        return bool(self._kind)

    def read(self, n_bytes: int) -> bytes:
        """The next bytes; fewer than `n_bytes` at the end of the file alone."""
        pieces = []
        try:
            while n_bytes and (piece := self._file.read(n_bytes)):
                pieces.append(piece)
                n_bytes -= len(piece)
        except _DAMAGE as error:
            if not self._kind:
                raise InputError(f"{self._source}: cannot be read ({short(error)})") from None
            raise _damaged(self._source, self._kind, error) from None
        return b"".join(pieces)

    def skip(self, n_bytes: int) -> None:
        """Go on so many bytes further."""
        if not self.packed:
            self._file.seek(n_bytes, 1)
            return
        while n_bytes and (piece := self.read(min(n_bytes, _SKIPPED_BYTES))):
            n_bytes -= len(piece)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _find_packer(head: bytes) -> tuple[str, Any]:
    for start, kind, module in _PACKED:
        if re.match(start, head):
            return kind, module
    return "", None


def _damaged(source: str, kind: str, error: BaseException) -> InputError:
    return InputError(
        f"{source}: the {kind} file is cut or damaged ({short(error)}); fetch it again"
    )


def recognise(data: bytes, suffix: str, source: str) -> str:
    """The kind of a file by its first bytes: `PARQUET`, `IPC_FILE`, `IPC_STREAM` or `TEXT`.

    Raises InputError for an empty file and for what is known to be no table.
    """
    if not re.search(rb"\S", data):
        raise InputError(f"{source}: the file is empty; a header and rows are expected")
    for start, kind in _STARTS.items():
        if data.startswith(start):
            return kind
    stranger = _name_stranger(data)
    if stranger:
        raise InputError(f"{source}: {stranger[0]}, not a table; {stranger[1]}")
    if suffix in _TYPED_SUFFIXES:
        raise InputError(
            f"{source}: named {suffix} but no {_TYPED_SUFFIXES[suffix]} file by its first bytes "
            f"({data[:4]!r}); cut or damaged, or another format"
        )
    return TEXT


def _name_stranger(data: bytes) -> tuple[str, str] | None:
    if data.startswith(b"PK\x03\x04"):
        if b"xl/" in data:
            return "an Excel workbook", "save the sheet as CSV"
        return "a ZIP archive", "unpack it and give the table inside"
    for start, kind, remedy in _STRANGERS:
        if data.startswith(start):
            return kind, remedy
    head = data[:300].lstrip().lower()
    for start, kind, remedy in _STRANGE_TEXTS:
        if head.startswith(start):
            return kind, remedy
    if data[257:262] == b"ustar":
        return "a tar archive", "unpack it and give the table inside"
    return None


def explain_unreadable(path: Path, error: Exception) -> InputError:
    """The error for a file that the system does not open."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"{path}: no such file; check the path (it is taken from {Path.cwd()})")
    if isinstance(error, PermissionError):
        return InputError(f"{path}: may not be read (permission denied); ask for access to it")
    reason = getattr(error, "strerror", None) or short(error)
    return InputError(f"{path}: cannot be read ({reason})")


def suffix_of(name: str) -> str:
    """The suffix of a file's name, in lower case, below that of a compression."""
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    while suffixes and suffixes[-1] in _PACKED_SUFFIXES:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def short(error: BaseException) -> str:
    """The first line of an exception's message, at most 120 characters of it."""
    lines = str(error).strip().splitlines()
    message = lines[0] if lines else type(error).__name__
    return message if len(message) <= 120 else message[:117] + "..."
