"""What a file is, told by its first bytes, and what lies inside a compressed one."""

import bz2
import gzip
import lzma
import re
import sys
import zlib

from onelayer.errors import InputError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PARQUET, IPC_FILE, IPC_STREAM, TEXT = "Parquet", "Arrow IPC", "Arrow IPC stream", "text"

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


def unpack(data: bytes, source: str) -> bytes:
    """What a gzip, xz, bzip2 or Zstandard file holds; other bytes come back as they are.

    Raises InputError where the compressed file is cut or damaged.
    """
    for start, kind, decompress in (
        (rb"\x1f\x8b", "gzip", gzip.decompress),
        (rb"\xfd7zXZ\0", "xz", lzma.decompress),
        (rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", "bzip2", bz2.decompress),
    ):
        if re.match(start, data):
            try:
                return decompress(data)
            except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
                raise InputError(
                    f"{source}: the {kind} file is cut or damaged ({short(error)}); fetch it again"
                ) from None
    return _unpack_zstandard(data, source) if data.startswith(b"\x28\xb5\x2f\xfd") else data


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


def short(error: BaseException) -> str:
    """The first line of an exception's message, at most 120 characters of it."""
    lines = str(error).strip().splitlines()
    message = lines[0] if lines else type(error).__name__
    return message if len(message) <= 120 else message[:117] + "..."


def _unpack_zstandard(data: bytes, source: str) -> bytes:
    try:
        return bytes(zstd.decompress(data))
    except (zstd.ZstdError, EOFError) as error:
        raise InputError(
            f"{source}: the zst file is cut or damaged ({short(error)}); fetch it again"
        ) from None
