"""Tables read a batch at a time: the rows, places, warnings and errors that `read_table` gives."""

import bz2
import gzip
import io
import itertools
import lzma
import re
import warnings
from pathlib import Path

import polars as pl
import pyarrow
import pyarrow.ipc
import pyarrow.parquet
import pytest
from fresh import run_python
from hypothesis import example, given, settings
from hypothesis import strategies as st

from onelayer.errors import DataWarning, InputError
from onelayer.table import windows
from onelayer.table.reading import LeftOut, read_table
from onelayer.table.stream import Stream, open_stream


def frame_of(stream: Stream, rows: int = 1000, **options) -> pl.DataFrame:
    return pl.concat([batch.table.frame for batch in stream.batches(rows, **options)])


def places_of(stream: Stream, rows: int, start: int = 0) -> list[str]:
    return [
        batch.table.place_of(row)
        for batch in stream.batches(rows, start=start)
        for row in range(batch.table.frame.height)
    ]


def refusal(source, **options) -> str:
    with pytest.raises(InputError) as caught:
        frame_of(open_stream(source, **options))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def zstd(data: bytes) -> bytes:
    return pyarrow.compress(data, codec="zstd", asbytes=True)


LONG = pl.DataFrame(
    {
        "id": range(1000),
        "x": [None if k % 7 == 0 else k / 3 for k in range(1000)],
        "sex": pl.Series(["f" if k % 3 else None for k in range(1000)], dtype=pl.Categorical),
        "ok": [k % 2 == 0 for k in range(1000)],
        "note": [f"a note of some length, number {k}" for k in range(1000)],
    }
)


def write_parquet(frame: pl.DataFrame, path: Path) -> None:
    frame.write_parquet(path, row_group_size=150)


def write_parquet_by_pyarrow(frame: pl.DataFrame, path: Path) -> None:
    table = frame.cast({pl.Categorical: pl.String}).to_arrow()
    pyarrow.parquet.write_table(table, path, row_group_size=150, compression="zstd")


def write_ipc(frame: pl.DataFrame, path: Path) -> None:
    frame.write_ipc(path, record_batch_size=150)


def write_packed_ipc(frame: pl.DataFrame, path: Path) -> None:
    frame.write_ipc(path, record_batch_size=150, compression="zstd")


def write_ipc_stream(frame: pl.DataFrame, path: Path) -> None:
    frame.write_ipc_stream(path)


def write_ipc_by_pyarrow(frame: pl.DataFrame, path: Path) -> None:
    table = frame.to_arrow()
    options = pyarrow.ipc.IpcWriteOptions(compression="lz4")
    with pyarrow.ipc.new_file(path, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=150)


def write_csv(frame: pl.DataFrame, path: Path) -> None:
    frame.write_csv(path)


TYPED = [
    write_parquet,
    write_parquet_by_pyarrow,
    write_ipc,
    write_packed_ipc,
    write_ipc_stream,
    write_ipc_by_pyarrow,
]


# --- every kind of file


@pytest.mark.parametrize("write", [*TYPED, write_csv])
def test_batches_of_any_size_are_the_rows_of_the_file(tmp_path: Path, write):
    path = tmp_path / "loans.bin"
    write(LONG, path)
    whole = read_table(path)
    stream = open_stream(path)
    assert dict(stream.schema) == dict(whole.frame.schema)
    assert (stream.name, len(stream.fingerprint)) == ("loans.bin", 64)
    for rows, start in [*itertools.product([149, 151, 5000], [0, 1, 150]), (1, 998)]:
        batches = list(stream.batches(rows, start=start))
        assert pl.concat([b.table.frame for b in batches]).equals(whole.frame[start:])
        assert [b.first for b in batches] == list(range(start, 1000, rows))
        assert {b.table.frame.height for b in batches[:-1]} <= {rows}
    assert stream.rows == 1000
    assert places_of(stream, 137) == [whole.place_of(row) for row in range(1000)]
    assert list(stream.batches(7, start=1000)) == []
    assert list(stream.batches(7, start=5000)) == []


@pytest.mark.parametrize("write", TYPED)
def test_typed_files_tell_their_rows_and_largest_piece_beforehand(tmp_path: Path, write):
    write(LONG, tmp_path / "loans.bin")
    stream = open_stream(tmp_path / "loans.bin")
    assert stream.rows == 1000
    # A group has 150 rows of a number, a code or a text, and the text of 32 bytes.
    least = 1 if write is write_ipc_stream else 150 / 1000
    assert least * 40_000 < stream.largest_piece < 300_000


@pytest.mark.parametrize("write", [*TYPED, write_csv])
def test_columns_are_read_in_the_order_asked_for(tmp_path: Path, write):
    path = tmp_path / "loans.bin"
    write(LONG, path)
    found = frame_of(open_stream(path), columns=["ok", "id"], start=3)
    assert found.equals(read_table(path).frame[3:].select("ok", "id"))
    with pytest.raises(InputError, match="no column 'Ok'"):
        open_stream(path).batches(5, columns=["id", "Ok"])


@pytest.mark.parametrize("compress", [bytes, gzip.compress, lzma.compress, bz2.compress, zstd])
def test_compressed_text(tmp_path: Path, compress, monkeypatch):
    monkeypatch.setattr(windows, "WINDOW_BYTES", 1 << 13)
    path = tmp_path / "loans.dat"
    path.write_bytes(compress(LONG.write_csv().encode()))
    stream, whole = open_stream(path), read_table(path)
    for start in (0, 777, 0, 500):
        assert frame_of(stream, 64, start=start).equals(whole.frame[start:])
    assert stream.rows == 1000
    assert places_of(stream, 300, start=990) == [whole.place_of(row) for row in range(990, 1000)]


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress, bz2.compress, zstd])
def test_compressed_text_that_is_cut(tmp_path: Path, compress, monkeypatch):
    monkeypatch.setattr(windows, "WINDOW_BYTES", 1 << 12)
    data = compress(LONG.write_csv().encode())
    (tmp_path / "loans.csv.gz").write_bytes(data[: len(data) // 2])
    assert "loans.csv.gz: the" in (said := refusal(tmp_path / "loans.csv.gz"))
    assert "cut or damaged" in said


# --- text in windows


TEXTS = [
    "a,b\n" + "".join(f"{k},x{k}\n" for k in range(60)),
    "a;b;\r\n" + "".join(f"{k};x{k};\r\n" for k in range(60)),
    "a\tb\r" + "".join(f"{k}\tx{k}\r" for k in range(60)),
    "\n sep\na,b\n".replace(" sep\n", "") + "".join(f"{k},x\n\n  \n" for k in range(60)),
    "a,b\n" + "".join(f'{k},"two\nlines, {k}"\n' for k in range(60)),
    "a,b\n" + "".join(f'"{k}","say ""yes"""\n' for k in range(60)) + '7,"end"',
    'size,"the\nnote"\n' + "".join(f'{k}" pipe,x\n' for k in range(60)),
    "a,b\n" + "".join(f'{k},"{"long " * k}"\n' for k in range(60)),
    "sep=;\na;b\n" + "".join(f"{k};x,{k}\n" for k in range(60)),
    "note\n" + "".join(f"first, second; {k}\n" for k in range(60)) + '""\n\nlast|\n',
    "é,b\n" + "".join(f"{k},ü{k}\n" for k in range(60)),
    "\n".join(["a,b,c"] + ["1,2,3,"] * 60) + "\n",
]


def read_whole(data: bytes, names=None):
    """What read_table makes of it: the table or the error, and its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        try:
            table = read_table(io.BytesIO(data), names=names)
        except InputError as error:
            return str(error), []
    return table, sorted(str(w.message) for w in caught)


def stream_whole(path: Path, rows: int, names=None):
    """The same of a stream: rows, lines, lines left out, or the error; and its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        try:
            stream = open_stream(path, names=names)
            tables = [batch.table for batch in stream.batches(rows)]
        except InputError as error:
            return str(error), []
        list(stream.batches(7))
    frame = pl.concat([table.frame for table in tables])
    lines = [table.line_of(row) for table in tables for row in range(table.frame.height)]
    left_out = tuple(left for table in tables for left in table.left_out)
    return (frame, lines, left_out), sorted(str(w.message) for w in caught)


def check_same(data: bytes, path: Path, rows: int, names=None) -> None:
    path.write_bytes(data)
    table, warned = read_whole(data, names)
    found, warned_too = stream_whole(path, rows, names)
    if isinstance(table, str):
        assert found == table.replace("file object", path.name)
        return
    frame, lines, left_out = found
    assert frame.equals(table.frame)
    assert lines == [table.line_of(row) for row in range(table.frame.height)]
    assert left_out == table.left_out
    assert warned_too == [message.replace("file object", path.name) for message in warned]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
def test_text_in_windows_is_what_it_is_as_a_whole(tmp_path: Path, monkeypatch, text, encoding):
    monkeypatch.setattr(windows, "WINDOW_BYTES", 300)
    check_same(text.encode(encoding), tmp_path / "loans.csv", 17)


@pytest.mark.parametrize("window", [1000, 1 << 22])
@pytest.mark.parametrize(
    "malformed",
    [
        {7: "7,x", 1500: "1500,x,y,z"},
        {7: "7,x", 9: "9", 1500: "1500,x,y,z"},
        {5: '5,"x,1', 900: '900,"x",2', 901: '901,"a\nb",2'},
        {5: '5,"x,1', 700: '700,x",1', 1500: "1500,y,1"},
        {5: '5,"x,1'},
        {1999: '5,"x,1'},
        {2001: '5,"x,1'},
        {3: "", 4: "  ", 1000: ""},
    ],
)
def test_malformed_lines_are_those_of_the_whole_text(tmp_path, monkeypatch, window, malformed):
    monkeypatch.setattr(windows, "WINDOW_BYTES", window)
    lines = ["a,b,c"] + [f"{k},x,{k % 7}" for k in range(2, 2002)]
    for line, text in malformed.items():
        lines[line - 1] = text
    check_same(("\n".join(lines) + "\n").encode(), tmp_path / "loans.csv", 64)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.text('ab",\n\r', max_size=12), min_size=1, max_size=12),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.integers(40, 60),
    st.integers(1, 5),
)
@example(["aaaaa,,a", "aaaaaaaa,,", 'aaaaaa,"', "aaaaaaaaaa"], "\n", 40, 1)
@example(["", "", "", "", "aaa", 'aaa,"', "a" * 8, 'aaaaaaaa,"\ra', 'aaa"'], "\n", 40, 1)
@example(["\naaaaaaaa,,", "a", '\n"a', "a" * 5, "a" * 11, '\n,\n"'], "\r", 40, 1)
@example(["", "a" * 9, 'aaaaa,,"', "aaaaaaaa,", '"\raa",aaaa'], "\r", 40, 1)
@example(["a,b,"] * 20 + ["a,b"] * 20, "\n", 40, 3)
@example(["a,b"] * 20 + ["a,b,"] * 20, "\n", 40, 3)
@example(["a,b,"] * 9 + ["a,b,c"] + ["a,b"] * 20, "\n", 40, 3)
def test_any_text_in_windows(tmp_path_factory, rows, line_end, window, batch):
    path = tmp_path_factory.mktemp("any") / "loans.csv"
    text = "x,y" + line_end + line_end.join(rows) + line_end
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "WINDOW_BYTES", window)
        check_same(text.encode(), path, batch)


def test_a_text_without_header(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(windows, "WINDOW_BYTES", 64)
    data = b"".join(b"%d,f\n" % k for k in range(100))
    check_same(b"\n" + data, tmp_path / "loans.csv", 30, names=["age", "sex"])
    check_same(data, tmp_path / "loans.csv", 30, names=["age"])


def test_damaged_utf8_and_nul_bytes_name_their_line(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(windows, "WINDOW_BYTES", 64)
    lines = [b"a,b"] + [b"%d,\xc3\xbc" % k for k in range(100)]
    path = tmp_path / "loans.csv"
    for line, bad in ((70, b"1,\xfc"), (70, b"1,\0"), (2, b"1,\xfc")):
        path.write_bytes(b"\n".join([*lines[: line - 1], bad, *lines[line:]]))
        whole, _ = read_whole(path.read_bytes())
        assert refusal(path) == whole.replace("file object", "loans.csv")


# --- several files


def write_loans(folder: Path, names: list[str], write=write_parquet) -> pl.DataFrame:
    parts = [LONG[k * 100 : (k + 1) * 100] for k in range(len(names))]
    for part, name in zip(parts, names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write(part, folder / name)
    return pl.concat(parts)


@pytest.mark.parametrize("write", [*TYPED, write_csv])
def test_a_folder_a_glob_and_a_list_are_the_files_sorted_by_path(tmp_path: Path, write):
    folder = tmp_path / "loans"
    whole = write_loans(folder, ["a.x", "b/a.x", "b/c.x", "c.x"], write)
    for hidden in (".a.crc", "_SUCCESS", "_temporary/d.x", ".git/d.x", "empty.x"):
        (folder / hidden).parent.mkdir(exist_ok=True)
        (folder / hidden).write_text("" if hidden == "empty.x" else "nothing")
    paths = [folder / name for name in ("c.x", "b/a.x", "b/c.x", "a.x")]
    for source in (folder, str(folder), f"{folder}/**/*.x", paths, [folder / "b", *paths[::3]]):
        stream = open_stream(source)
        found = frame_of(stream, 70).with_columns(pl.col("id").cast(pl.Int64))
        assert found["id"].to_list() == whole["id"].to_list()
        assert stream.rows == 400
        text = write is write_csv
        assert places_of(stream, 70)[99:101] == [
            "a.x, line 101" if text else "a.x, row 99",
            "b/a.x, line 2" if text else "b/a.x, row 0",
        ]
        assert places_of(stream, 70, start=330)[0] == ("c.x, line 32" if text else "c.x, row 30")


def test_a_picked_row_keeps_its_place(tmp_path: Path):
    write_loans(tmp_path, ["a.csv", "b.csv"], write_csv)
    (batch,) = open_stream(tmp_path).batches(500)
    one = batch.table.pick(101)
    assert (one.frame["id"].to_list(), one.place_of(0)) == (["101"], "b.csv, line 3")
    write_loans(tmp_path, ["a.csv", "b.csv"], write_parquet)
    (batch,) = open_stream(tmp_path).batches(500)
    assert batch.table.pick(101).place_of(0) == "b.csv, row 1"


def test_partitions_are_columns_of_text(tmp_path: Path):
    names = [
        "year=2023/month=1/a.parquet",
        "year=2024/month=01/a.parquet",
        "year=2024/month=S%C3%A3o%20Paulo/a.parquet",
        "year=__HIVE_DEFAULT_PARTITION__/month=/a.parquet",
    ]
    write_loans(tmp_path, names)
    expected = [("2023", "1"), ("2024", "01"), ("2024", "São Paulo"), (None, "")]
    for source in (
        tmp_path,
        f"{tmp_path}/year=*/*/*.parquet",
        [tmp_path / name for name in names],
    ):
        stream = open_stream(source)
        assert list(stream.schema)[-2:] == ["year", "month"]
        assert stream.schema["year"] == pl.String
        found = frame_of(stream, 30, columns=["year", "month"])
        assert found.rows() == [row for row in expected for _ in range(100)]
    assert "month" not in open_stream(tmp_path / names[0]).schema


def test_a_partition_that_the_file_holds_too_is_that_of_the_file(tmp_path: Path):
    for year in (2023, 2024):
        (tmp_path / f"year={year}").mkdir()
        pl.DataFrame({"x": [1], "year": [year]}).write_parquet(tmp_path / f"year={year}" / "a")
    assert frame_of(open_stream(tmp_path)).rows() == [(1, 2023), (1, 2024)]


def test_columns_in_another_order_and_of_another_width(tmp_path: Path):
    first = {"n": pl.Int32, "x": pl.Float32, "u": pl.UInt8, "w": pl.String, "e": pl.Null}
    other = {"x": pl.Float64, "n": pl.Int64, "e": pl.Date, "w": pl.Categorical, "u": pl.Int8}
    for name, schema in (("a", first), ("b", other)):
        columns = {key: [None, "1" if key == "w" else None] for key in schema}
        pl.DataFrame(columns, schema=schema).write_parquet(tmp_path / name)
    stream = open_stream(tmp_path)
    assert dict(stream.schema) == {
        "n": pl.Int64,
        "x": pl.Float64,
        "u": pl.Int16,
        "w": pl.String,
        "e": pl.Date,
    }
    for batch in stream.batches(3):
        assert batch.table.frame.schema == dict(stream.schema)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"id": [1]}, r"b\.parquet: no column 'x', which a\.parquet has"),
        ({"id": [1], "x": [1.0], "y": [1]}, r"b\.parquet: column 'y' is not in a\.parquet"),
        ({"id": ["one"], "x": [1.0]}, r"b\.parquet: column 'id' is String, .*before it Int64"),
    ],
)
def test_files_that_differ_are_named_with_the_column(tmp_path: Path, columns, words):
    pl.DataFrame({"id": [1], "x": [1.0]}).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame(columns).write_parquet(tmp_path / "b.parquet")
    assert re.search(words, refusal(tmp_path))


@pytest.mark.parametrize("kind", [pl.Int64, pl.UInt64])
def test_whole_numbers_become_floats_where_another_file_has_those(tmp_path: Path, kind):
    """As pandas writes them as soon as one is missing; those that would be rounded are refused."""
    whole = [0, 2**53, 2**53 - 1, None]
    pl.DataFrame({"n": whole}, schema={"n": kind}).write_parquet(tmp_path / "a")
    pl.DataFrame({"n": [1.5, None]}).write_parquet(tmp_path / "b")
    stream = open_stream(tmp_path)
    assert stream.schema["n"] == pl.Float64
    assert frame_of(stream)["n"].to_list() == [*whole, 1.5, None]
    for odd in (2**53 + 1, 2**63 - 1, *([-(2**63)] if kind == pl.Int64 else [2**64 - 1])):
        pl.DataFrame({"n": [1, odd]}, schema={"n": kind}).write_parquet(tmp_path / "c")
        assert refusal(tmp_path).startswith(f"c: column 'n' holds {odd}, which is no exact Float64")


def test_files_of_two_kinds_and_broken_ones_are_named(tmp_path: Path):
    write_loans(tmp_path, ["a.parquet", "b.parquet"])
    data = (tmp_path / "b.parquet").read_bytes()
    (tmp_path / "b.parquet").write_bytes(data[:-20])
    assert refusal(tmp_path).startswith("b.parquet: the Parquet file is cut or damaged")
    (tmp_path / "b.parquet").write_bytes(data[:4] + b"\0" * 3000 + data[3004:])
    assert refusal(tmp_path).startswith("b.parquet: ")
    (tmp_path / "b.parquet").write_text("id,x\n1,2\n")
    assert "b.parquet: named .parquet but" in refusal(tmp_path)
    (tmp_path / "b.parquet").rename(tmp_path / "b.csv")
    assert "b.csv: is text, a.parquet is Parquet" in refusal(tmp_path)


@pytest.mark.parametrize("write", TYPED)
def test_a_typed_file_that_is_cut_anywhere(tmp_path: Path, write):
    path = tmp_path / "loans.bin"
    write(LONG.head(200), path)
    data = path.read_bytes()
    for n_bytes in range(20, len(data), len(data) // 12):
        path.write_bytes(data[:n_bytes])
        assert "cut or damaged" in refusal(path)


@pytest.mark.parametrize("write", [*TYPED, write_csv])
def test_files_without_rows(tmp_path: Path, write):
    write(LONG.head(0), tmp_path / "a.x")
    assert "no rows" in refusal(tmp_path / "a.x")
    write(LONG.head(3), tmp_path / "b.x")
    assert frame_of(open_stream(tmp_path)).height == 3


def test_paths_that_lead_nowhere(tmp_path: Path):
    assert "absent.csv: no such file" in refusal(tmp_path / "absent.csv")
    assert "no file in this folder" in refusal(tmp_path)
    assert "*.csv: no file matches" in refusal(f"{tmp_path}/*.csv")
    assert "no file is given" in refusal([])
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    assert "given twice" in refusal([tmp_path / "a.csv", f"{tmp_path}/*.csv"])
    (tmp_path / "a[1].csv").write_text("a,b\n1,2\n")
    assert frame_of(open_stream(tmp_path / "a[1].csv")).height == 1
    (tmp_path / "a.csv").write_bytes(b"")
    assert "the file is empty" in refusal(tmp_path / "a.csv")


def test_the_fingerprint_tells_that_a_file_changed(tmp_path: Path):
    write_loans(tmp_path, ["a.csv", "b.csv"], write_csv)
    before = open_stream(tmp_path).fingerprint
    assert open_stream(tmp_path).fingerprint == before
    write_loans(tmp_path, ["b.csv", "a.csv"], write_csv)
    assert open_stream(tmp_path).fingerprint != before


def test_words_for_missing_are_carried(tmp_path: Path):
    write_csv(LONG, tmp_path / "a.csv")
    assert next(open_stream(tmp_path, na=["?"]).batches(5)).table.na == ("?",)


def test_left_out_lines_are_said_once(tmp_path: Path):
    lines = ["a,b"] + [f"{k},x" for k in range(2, 2002)]
    lines[6] = "7"
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    stream = open_stream(tmp_path)
    with pytest.warns(DataWarning, match=r"a.csv: 1 malformed line of 2000 left out: line 7 "):
        tables = [batch.table for batch in stream.batches(500)]
    assert [table.left_out for table in tables] == [
        (LeftOut(7, "1 field, expected 2"),),
        (),
        (),
        (),
    ]
    assert frame_of(stream).height == 1999


# --- memory


@pytest.mark.parametrize("kind", ["parquet", "arrow", "csv"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, kind):
    rows = pl.DataFrame({f"x{j}": pl.int_range(800_000, eager=True) * (j + 0.5) for j in range(8)})
    path = tmp_path / f"loans.{kind}"
    if kind == "parquet":
        rows.write_parquet(path, row_group_size=20_000, compression="uncompressed")
    elif kind == "arrow":
        rows.write_ipc(path, record_batch_size=20_000)
    else:
        rows.write_csv(path)
    held = run_python(
        "from onelayer.table.stream import open_stream\n"
        "def peak(): return int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
        f"stream = open_stream({str(path)!r})\n"
        "next(stream.batches(5000))\n"
        "before, n = peak(), 0\n"
        "for batch in stream.batches(5000): n += batch.table.frame.height\n"
        "print(n, peak() - before)\n"
    )
    n, grown = map(int, held.split())
    assert n == 800_000
    most = {"parquet": 20e6, "arrow": 20e6, "csv": 50e6}[kind]
    assert grown * 1024 < most, "as numbers the table takes 51 MB, as text twice as much"
