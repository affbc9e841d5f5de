"""The model file: ONE readable JSON file with a checksum inside, read strictly, running no code.

Its last line but one holds the SHA-256 of every byte before that line, so that a change of any
single bit is noticed. `docs/model-file.md` describes the file, `docs/model.schema.json` its keys.
"""

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from onelayer import __version__
from onelayer.errors import ModelFileError
from onelayer.stored import from_stored
from onelayer.strict_json import check_nesting, parse_json, render_item
from onelayer.writing import printable, replace_file

FORMAT = "onelayer model"
FORMAT_VERSION = 1
MAX_BYTES = 256 * 2**20
# What a person looks for comes first, the long lists of numbers last.
SECTIONS = (
    "onelayer",
    "training",
    "evaluation",
    "certificate",
    "threshold",
    "protected",
    "schema",
    "parameters",
)
# Sections that are there where they have something to say.
OPTIONAL_SECTIONS = (
    "summary",
    "strength",
    "history",
    "reference",
    "best_column",
    "threshold_choice",
)

_HEAD_BYTES = 4096
_HEAD = re.compile(rb'\s*\{\s*"format"\s*:\s*"onelayer model"\s*,\s*"format_version"\s*:\s*(\d+)')
_HEAD_AS_WRITTEN = f'{{\n  "format": "{FORMAT}",\n  "format_version": '.encode()
_TAIL = re.compile(rb'  "sha256": "([0-9a-f]{64})"\n\}\n')
_TAIL_BYTES = len('  "sha256": ""\n}\n') + 64
_MEND = "copy it again, or train the model again"
_CUT = f"the file is cut short: {_MEND}"
_KNOWN_STARTS = (
    (b"\x1f\x8b", "a gzip file: unpack it first if a model is in it"),
    (b"\xfd7zXZ", "an xz file: unpack it first if a model is in it"),
    (b"\x28\xb5\x2f\xfd", "a zstd file: unpack it first if a model is in it"),
    (b"PK\x03\x04", "a zip archive: unpack it first if a model is in it"),
    (b"\x80", "perhaps a Python pickle, which onelayer never loads"),
    (b"PAR1", "a Parquet table"),
    (b"ARROW1", "an Arrow table"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xfe", "UTF-16 text, where UTF-8 belongs"),
    (b"\xfe\xff", "UTF-16 text, where UTF-8 belongs"),
    (b"{", "JSON of another kind"),
    (b"[", "JSON of another kind"),
)
Source = str | os.PathLike[str] | BinaryIO


def write_model_file(path: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """Write the sections of a model to `path`: it is the old file or the new one, never half.

    Args:
        path: The file to write.
        content: As for `encode_model_file`.

    Raises:
        ModelFileError: The content cannot stand in a model file (nan, too large).
        InputError: The file cannot be written.
    """
    with name_file_in_errors(path):
        encoded = encode_model_file(content)
    replace_file(path, lambda stream: stream.write(encoded))


def encode_model_file(content: Mapping[str, Any]) -> bytes:
    """Give the bytes of a model file; the same content always gives the same bytes.

    Args:
        content: The sections, of dicts with text as keys, lists, text, finite numbers, booleans
            and None. `onelayer`, the version that made the model, is added where it is missing.

    Raises:
        ModelFileError: A number is not finite, or the reader's limits are passed.
        TypeError: A value or a key is of another type (of an array, give `array.tolist()`).

    >>> encoded = encode_model_file({"threshold": 0.5})
    >>> encoded.decode().split()[:4], encoded.decode().split()[-5:-2]
    (['{', '"format":', '"onelayer', 'model",'], ['"threshold":', '0.5,', '"sha256":'])
    """
    ours = {"format": FORMAT, "format_version": FORMAT_VERSION}
    if not content.keys().isdisjoint({*ours, "sha256"}):
        raise ValueError("format, format_version and sha256 are written by onelayer itself")
    whole: dict[str, Any] = {**ours, "onelayer": __version__}
    whole.update({key: content[key] for key in (*SECTIONS, *content) if key in content})
    lines = [f"  {render_item(key, value, '', 2)},\n" for key, value in whole.items()]
    try:
        body = "".join(["{\n", *lines]).encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start : error.end]
        raise ModelFileError(f"{half!a} is half a character, which no file can hold") from None
    digest = hashlib.sha256(body).hexdigest()
    encoded = body + f'  "sha256": "{digest}"\n}}\n'.encode()
    if len(encoded) > MAX_BYTES:
        raise ModelFileError(_too_large(len(encoded)))
    check_nesting(encoded)
    return encoded


def read_model_file(source: Source) -> dict[str, Any]:
    """Read the sections of a model file; runs no code and trusts nothing.

    Args:
        source: A path, or a stream that is open for reading bytes.

    Returns:
        The sections, and `onelayer`, the version that made the model.

    Raises:
        ModelFileError: The file cannot be read, is no model file, is cut or altered by as little
            as one bit, is of a newer version, or breaks a rule of `docs/model-file.md`. One line
            that names the file and says what to do.
    """
    with name_file_in_errors(source):
        encoded = _read_bytes(source)
        _check_checksum(encoded)
        content = parse_json(encoded)
        version = from_stored(int, content["format_version"], "format_version")
        if version != FORMAT_VERSION:
            raise ModelFileError(f"format_version is {version}, expected {FORMAT_VERSION}")
        from_stored(str, content.get("onelayer"), "onelayer")
    ours = ("format", "format_version", "sha256")
    return {key: value for key, value in content.items() if key not in ours}


@contextlib.contextmanager
def name_file_in_errors(source: Source) -> Iterator[None]:
    """Put the name of the file before the message of a `ModelFileError` raised within.

    >>> with name_file_in_errors("model.json"):
    ...     from_stored(float, "0.5", "threshold")
    Traceback (most recent call last):
    onelayer.errors.ModelFileError: model.json: threshold: '0.5' stands where a number was expected
    """
    path = source if isinstance(source, (str, os.PathLike)) else getattr(source, "name", None)
    name = printable(path) if isinstance(path, (str, os.PathLike)) else "model file"
    name = "standard input" if name == "<stdin>" else name
    try:
        yield
    except ModelFileError as error:
        if str(error).startswith(f"{name}: "):
            raise
        raise ModelFileError(f"{name}: {error}") from error.__cause__


def _read_bytes(source: Source) -> bytes:
    if not isinstance(source, (str, os.PathLike)):
        return _read_stream(source)
    if "\0" in os.fspath(source):
        raise ModelFileError("this is no file name")
    try:
        with open(source, "rb") as stream:
            return _read_stream(stream)
    except FileNotFoundError:
        raise ModelFileError("there is no such file; check its name and folder") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelFileError(f"it cannot be read: {reason.lower()}") from error


def _read_stream(stream: BinaryIO) -> bytes:
    # The first bytes are looked at before the rest is read: 2 GB of junk are refused at once.
    head = stream.read(_HEAD_BYTES)
    _check_head(head)
    size = _size_of(stream)
    if size > MAX_BYTES:
        raise ModelFileError(_too_large(size))
    encoded = head + stream.read(MAX_BYTES + 1 - len(head))
    if len(encoded) > MAX_BYTES:
        raise ModelFileError(_too_large(len(encoded)))
    return encoded


def _size_of(stream: BinaryIO) -> int:
    try:
        status = os.fstat(stream.fileno())
    except (OSError, AttributeError):  # a stream in memory
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _too_large(size: int) -> str:
    return f"over {(size - 1) >> 20} MB, and a model file has at most {MAX_BYTES >> 20} MB"


def _check_head(head: bytes) -> None:
    found = _HEAD.match(head)
    if not found:
        if head and _HEAD_AS_WRITTEN.startswith(head):
            raise ModelFileError(_CUT)
        raise ModelFileError(
            f"this is no onelayer model file ({_guess_kind(head)}); "
            "give the file that `onelayer train` wrote"
        )
    version = int(found[1])
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"written by a newer onelayer (format version {version}; onelayer {__version__} "
            f"reads up to {FORMAT_VERSION}): upgrade onelayer"
        )


def _guess_kind(head: bytes) -> str:
    if not head:
        return "it is empty"
    for start, kind in _KNOWN_STARTS:
        if head.startswith(start):
            return kind
    is_binary = re.search(rb"[\x00-\x08\x0e-\x1f]", head)
    return "bytes that are no text" if is_binary else "text, perhaps a table"


def _check_checksum(encoded: bytes) -> None:
    tail = _TAIL.fullmatch(encoded, max(0, len(encoded) - _TAIL_BYTES))
    # As written, only the last brace stands at the start of a line.
    end = b"\n}" if encoded.startswith(_HEAD_AS_WRITTEN) else b"}"
    if not tail and not encoded.rstrip().endswith(end):
        raise ModelFileError(_CUT)
    digest = hashlib.sha256(memoryview(encoded)[:-_TAIL_BYTES]).hexdigest()
    if not tail or tail[1] != digest.encode():
        how = "its line ends were changed" if b"\r" in encoded else "its checksum does not fit"
        raise ModelFileError(f"the file was altered since onelayer wrote it ({how}): {_MEND}")
