"""Files: formats, compressions, names and what is no table."""

import bz2
import gzip
import hashlib
import io
import lzma
import random
import sys
from pathlib import Path

import polars as pl
import pyarrow
import pytest

from onelayer.errors import InputError
from onelayer.table.reading import Table, read_table

TYPED = pl.DataFrame(
    {
        "id": [2**53 + 1, 2, 3],
        "x": [0.5, None, float("nan")],
        "sex": pl.Series(["f", "m", None], dtype=pl.Categorical),
        "ok": [True, None, False],
        "sum": pl.Series(["1.10", "2.20", None]).cast(pl.Decimal(10, 2)),
        "list": [[1], [2, 3], None],
    }
)
TEXT = 'id,x\r\n9007199254740993,"two\r\nlines"\r\n2,é\r\n'.encode()


def to_parquet(frame: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.write_parquet(out)
    return out.getvalue()


def to_ipc(frame: pl.DataFrame, compression: str = "uncompressed") -> bytes:
    out = io.BytesIO()
    frame.write_ipc(out, compression=compression)
    return out.getvalue()


def to_ipc_stream(frame: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.write_ipc_stream(out)
    return out.getvalue()


def zstd(data: bytes) -> bytes:
    return pyarrow.compress(data, codec="zstd", asbytes=True)


WRITERS = [to_parquet, to_ipc, to_ipc_stream]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("compress", [bytes, gzip.compress, lzma.compress, bz2.compress, zstd])
def test_typed_files_keep_their_types(tmp_path: Path, write, compress):
    data = compress(write(TYPED))
    path = tmp_path / "loans.bin"
    path.write_bytes(data)
    table = read_table(path)
    assert table.frame.equals(TYPED)
    assert table.frame.schema == TYPED.schema
    assert (table.name, table.first_line, table.left_out) == ("loans.bin", None, ())
    assert table.sha256 == hashlib.sha256(data).hexdigest()
    assert table.line_of(2) is None
    assert table.place_of(2) == "loans.bin, row 2"


@pytest.mark.parametrize("compress", [bytes, gzip.compress, lzma.compress, bz2.compress, zstd])
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".dat"])
def test_text_is_told_by_its_bytes_not_by_its_name(tmp_path: Path, compress, suffix):
    path = tmp_path / f"loans{suffix}"
    data = compress(TEXT)
    path.write_bytes(data)
    table = read_table(str(path))
    assert table.frame.rows() == [("9007199254740993", "two\r\nlines"), ("2", "é")]
    assert table.sha256 == hashlib.sha256(data).hexdigest()
    assert [table.line_of(0), table.line_of(1)] == [2, 4]


def test_members_of_a_gzip_file_are_read_one_after_the_other():
    data = gzip.compress(b"a,b\n1,2\n") + gzip.compress(b"3,4\n")
    assert read_table(io.BytesIO(data)).frame.height == 2


# --- where it lies


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(b"a,b\n1,2\n"))))
    table = read_table("-")
    assert (table.frame.rows(), table.name) == ([("1", "2")], "standard input")
    assert table.place_of(0) == "standard input, line 2"


def test_file_objects(tmp_path: Path):
    path = tmp_path / "loans.tsv"
    path.write_bytes(b"a\tb,c\n1\t2\n")
    with path.open("rb") as file:
        table = read_table(file)
    assert (table.name, table.frame.columns) == ("loans.tsv", ["a", "b,c"])
    assert read_table(io.StringIO("a,ü\n1,2\n")).frame.columns == ["a", "ü"]


def test_a_table_is_returned_as_it_is():
    table = read_table(io.BytesIO(b"a,b\n1,2\n"))
    assert read_table(table) is table
    again = read_table(table, na=["?"])
    assert (again.na, again.frame is table.frame) == (("?",), True)


def test_words_for_missing_are_kept():
    assert read_table(io.BytesIO(b"a,b\n1,2\n"), na=["?", "none"]).na == ("?", "none")
    assert read_table(io.BytesIO(b"a,b\n1,2\n"), na="none").na == ("none",)


@pytest.mark.parametrize("write", WRITERS)
def test_names_are_for_text_alone(write):
    with pytest.raises(InputError, match="names of its own"):
        read_table(io.BytesIO(write(TYPED)), names=["a"])
    with pytest.raises(InputError, match="names of its own"):
        read_table({"a": [1]}, names=["a"])
    with pytest.raises(InputError, match="names of its own"):
        read_table(read_table({"a": [1]}), names=["a"])


# --- what cannot be read


def refusal(source: object, **options) -> str:
    with pytest.raises(InputError) as caught:
        read_table(source, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_no_such_file_a_folder_and_odd_paths(tmp_path: Path):
    assert "absent.csv: no such file" in refusal(tmp_path / "absent.csv")
    assert "a folder; give one file" in refusal(tmp_path)
    assert "cannot be read" in refusal("a\0b")
    assert "cannot be read" in refusal("x" * 5000)
    (tmp_path / "plain").write_text("x")
    assert "cannot be read" in refusal(tmp_path / "plain" / "below.csv")


def test_permission_denied(tmp_path: Path, monkeypatch):
    def deny(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "secret.csv"
    path.write_text("a,b\n1,2\n")
    monkeypatch.setattr(Path, "read_bytes", deny)
    assert "secret.csv: may not be read (permission denied)" in refusal(path)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (
            b"PK\x03\x04" + b"\0" * 30 + b"xl/workbook.xml",
            "an Excel workbook.*as CSV",
        ),
        (b"PK\x03\x04" + b"\0" * 30 + b"loans.csv", "a ZIP archive.*unpack it"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a PNG picture"),
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF document"),
        (b"SQLite format 3\0\x10\0", "an SQLite database"),
        (b"\x80\x04\x95\x10\0\0\0", "a Python pickle"),
        (b"\n <!DOCTYPE HTML><html>", "a web page"),
        (b'{"age": 41}\n{"age": 29}\n', "JSON"),
        (b"x" * 257 + b"ustar\x0000", "a tar archive"),
        (gzip.compress(gzip.compress(b"a,b\n1,2\n", mtime=0), mtime=0), "compressed twice"),
        (b"\x7fELF\x02\x01\x01\0\0\0", "a NUL byte"),
        (bytes(range(1, 32)) + b"\xff\xfe" * 9, "not a text table"),
        (b"", "the file is empty"),
        (gzip.compress(b"", mtime=0), "the file is empty"),
    ],
)
def test_what_is_no_table_is_named(head, words):
    data = head if head.startswith(b"\x1f\x8b") or not head else head + b" 1 " * 20
    with pytest.raises(InputError, match=words) as caught:
        read_table(io.BytesIO(data))
    assert "\n" not in str(caught.value)


def test_a_csv_that_begins_like_another_file_is_a_csv():
    for header in (b"PAR1,x", b"ORC,x", b"GIF,x", b"BZh,x", b"PK,x", b"Rar!,x", b"ARROW1,x"):
        assert read_table(io.BytesIO(header + b"\n1,2\n")).frame.columns[1] == "x"


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".parquet.gz"])
def test_the_suffix_of_a_typed_file_on_other_bytes(tmp_path: Path, suffix):
    path = tmp_path / f"loans{suffix}"
    path.write_bytes(b"a,b\n1,2\n")
    assert "by its first bytes" in refusal(path)


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress, bz2.compress, zstd])
def test_a_compressed_file_that_is_cut_or_damaged(compress):
    noise = random.Random(0)
    text = "a,b\n" + "".join(f"{noise.random()},{noise.random()}\n" for _ in range(200))
    data = compress(text.encode())
    for n_bytes in (len(data) // 3, len(data) - 3):
        assert "cut or damaged" in refusal(io.BytesIO(data[:n_bytes]))
    # A frame of Zstandard need not hold a checksum, and this one does not.
    if compress is not zstd:
        k = len(data) // 2
        damaged = data[:k] + bytes(b ^ 0x55 for b in data[k : k + 8]) + data[k + 8 :]
        assert "cut or damaged" in refusal(io.BytesIO(damaged))


@pytest.mark.parametrize("write", WRITERS)
def test_a_typed_file_that_is_cut_at_any_byte(write):
    data = write(TYPED.head(2))
    for n_bytes in range(12, len(data), 23):
        assert "cut or damaged" in refusal(io.BytesIO(data[:n_bytes]))


def test_a_stream_that_lost_its_last_batches_is_not_taken_for_whole():
    data = to_ipc_stream(TYPED)
    assert "its end is missing" in refusal(io.BytesIO(data[:-8]))


def test_one_flipped_bit_of_a_parquet_file_never_escapes_as_another_error():
    data, noise = to_parquet(TYPED), random.Random(0)
    for _ in range(150):
        damaged = bytearray(data)
        damaged[noise.randrange(len(data))] ^= 1 << noise.randrange(8)
        try:
            table = read_table(io.BytesIO(bytes(damaged)))
        except InputError:
            continue
        assert isinstance(table, Table)


@pytest.mark.parametrize("write", WRITERS)
def test_a_typed_file_without_rows(write):
    assert "no rows" in refusal(io.BytesIO(write(TYPED.head(0))))


def test_doubled_names_in_typed_files():
    assert "both named 'x'" in refusal(io.BytesIO(to_parquet(pl.DataFrame({"x": [1], " x": [2]}))))


def test_numbers_and_other_things_are_no_table():
    for source in (None, 5, object(), b"a,b\n1,2\n"):
        assert "cannot read a table from" in refusal(source)
