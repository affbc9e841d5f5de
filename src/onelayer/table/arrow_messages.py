"""The messages of an Arrow IPC file or stream: where each record batch lies, and its rows.

polars reads such a file whole. What it reads as well is a small one, made of the schema, the
dictionaries and one record batch. The heads of messages and the footer of a file are flatbuffers;
see the Arrow columnar format (https://arrow.apache.org/docs/format/Columnar.html), Message.fbs and
File.fbs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from struct import pack, pack_into, unpack_from
from typing import IO

_END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"
_CONTINUED = b"\xff\xff\xff\xff"
_FILE_START, _FILE_END = b"ARROW1\0\0", b"ARROW1"
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3
# Numbers of fields: of a message, of a record batch, of a footer.
_KIND, _HEADER, _BODY_BYTES = 1, 2, 3
_LENGTH, _BUFFERS, _COMPRESSION = 0, 2, 3
_DICTIONARY_BLOCKS, _BATCH_BLOCKS = 2, 3
_BLOCK_BYTES = 24


@dataclass(frozen=True)
class Message:
    """One message of `size` bytes from byte `offset` on; `rows` of a record batch, else None.

    Its first `head` bytes tell about the others. `unpacked_bytes` is the size of its buffers when
    they are not compressed.
    """

    offset: int
    size: int
    head: int
    rows: int | None
    unpacked_bytes: int


@dataclass(frozen=True)
class ArrowLayout:
    """What an Arrow file or stream is made of.

    `others` are the messages needed to read any record batch; `footer` is that of a file, empty
    for a stream.
    """

    path: Path
    others: tuple[Message, ...]
    batches: tuple[Message, ...]
    footer: bytes

    def extract(self, batch: Message | None) -> bytes:
        """A small file (or stream) of one record batch, or of none."""
        messages = [*self.others, *([batch] if batch else [])]
        with self.path.open("rb") as file:
            pieces = []
            for message in messages:
                file.seek(message.offset)
                pieces.append(file.read(message.size))
        if not self.footer:
            return b"".join([*pieces, _END_OF_STREAM])
        footer = self._write_footer(messages)
        end = pack("<i", len(footer)) + _FILE_END
        return b"".join([_FILE_START, *pieces, _END_OF_STREAM, footer, end])

    def _write_footer(self, messages: Sequence[Message]) -> bytes:
        """The footer with the blocks where `extract` puts them, and no others."""
        footer = bytearray(self.footer)
        offset = len(_FILE_START)
        number = {_DICTIONARY_BLOCKS: 0, _BATCH_BLOCKS: 0}
        for message in messages:
            field = _DICTIONARY_BLOCKS if message.rows is None else _BATCH_BLOCKS
            place = _vector(footer, _integer(footer, 0, 4), field) + 4
            place += _BLOCK_BYTES * number[field]
            pack_into("<qiiq", footer, place, offset, message.head, 0, message.size - message.head)
            number[field] += 1
            offset += message.size
        for field, n_blocks in number.items():
            vector = _vector(footer, _integer(footer, 0, 4), field)
            if vector:
                pack_into("<i", footer, vector, n_blocks)
        return bytes(footer)


def read_layout(path: Path) -> ArrowLayout:
    """Where the messages of a file or stream lie.

    Raises ValueError for one that is cut or damaged, OSError for one that cannot be read.
    """
    with path.open("rb") as file:
        try:
            if file.read(8) == _FILE_START:
                footer = _read_footer(file)
                messages = list(_follow_footer(file, footer))
            else:
                footer, messages = b"", list(_walk(file))
        except (IndexError, TypeError) as error:
            raise ValueError(f"a message cannot be made out ({error})") from None
    others = tuple(message for message in messages if message.rows is None)
    batches = tuple(message for message in messages if message.rows)
    return ArrowLayout(path, others, batches, footer)


def _read_footer(file: IO[bytes]) -> bytes:
    size = file.seek(0, 2)
    file.seek(max(0, size - 10))
    end = file.read(10)
    length = int.from_bytes(end[:4], "little")
    if end[4:] != _FILE_END or length > size - 18:
        raise ValueError("its end is missing")
    file.seek(size - 10 - length)
    return file.read(length)


def _follow_footer(file: IO[bytes], footer: bytes) -> Iterator[Message]:
    for field in (_DICTIONARY_BLOCKS, _BATCH_BLOCKS):
        vector = _vector(footer, _integer(footer, 0, 4), field)
        for k in range(_integer(footer, vector, 4) if vector else 0):
            place = vector + 4 + _BLOCK_BYTES * k
            offset, length = _integer(footer, place, 8), _integer(footer, place + 8, 4)
            file.seek(offset)
            prefix = 8 if file.read(4) == _CONTINUED else 4
            file.seek(offset + prefix)
            yield _read_message(file, file.read(length - prefix), offset, length)


def _walk(file: IO[bytes]) -> Iterator[Message]:
    offset, size = 0, file.seek(0, 2)
    while True:
        file.seek(offset)
        prefix = file.read(8)
        if prefix == _END_OF_STREAM:
            return
        if len(prefix) < 8 or prefix[:4] != _CONTINUED:
            raise ValueError("its end is missing")
        length = _integer(prefix, 4, 4)
        message = _read_message(file, file.read(length), offset, 8 + length)
        offset += message.size
        if offset > size:
            raise ValueError("a message is cut")
        yield message


def _read_message(file: IO[bytes], head: bytes, offset: int, body: int) -> Message:
    root = _integer(head, 0, 4)
    size = body + _field(head, root, _BODY_BYTES, 8)
    kind = _field(head, root, _KIND, 1)
    if kind in (_SCHEMA, _DICTIONARY):
        return Message(offset, size, body, None, size)
    if kind != _BATCH:
        raise ValueError(f"a message of kind {kind}, not a record batch")
    place = _place(head, root, _HEADER)
    batch = place + _integer(head, place, 4)
    rows = _field(head, batch, _LENGTH, 8)
    unpacked = size
    if _place(head, batch, _COMPRESSION):
        unpacked = sum(_unpacked_sizes(file, head, batch, offset + body))
    return Message(offset, size, body, rows, unpacked)


def _unpacked_sizes(file: IO[bytes], head: bytes, batch: int, body: int) -> Iterator[int]:
    """Of each buffer: a compressed one begins with its size, or with -1 if it is not after all."""
    vector = _vector(head, batch, _BUFFERS)
    for k in range(_integer(head, vector, 4)):
        start, length = unpack_from("<qq", head, vector + 4 + 16 * k)
        if length:
            file.seek(body + start)
            size = _integer(file.read(8), 0, 8)
            yield length if size < 0 else size


def _vector(head: bytes | bytearray, table: int, number: int) -> int:
    """Where a vector lies: its length, then its items; 0 if it is left out."""
    place = _place(head, table, number)
    return place + _integer(head, place, 4) if place else 0


def _place(head: bytes | bytearray, table: int, number: int) -> int:
    """Where a field of a table lies; 0 if it is left out."""
    known = table - _integer(head, table, 4)
    slot = 4 + 2 * number
    if slot >= _integer(head, known, 2):
        return 0
    within = _integer(head, known + slot, 2)
    return table + within if within else 0


def _field(head: bytes, table: int, number: int, width: int) -> int:
    place = _place(head, table, number)
    return _integer(head, place, width) if place else 0


def _integer(data: bytes | bytearray, at: int, width: int) -> int:
    if not 0 <= at <= len(data) - width:
        raise IndexError(f"byte {at} of {len(data)}")
    return int.from_bytes(data[at : at + width], "little", signed=width > 2)
