"""Tables in a database: SQLite files, and a PostgreSQL server that the tests start."""

import importlib.util
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest
from postgres_server import find_programs, run_server

from onelayer.errors import InputError
from onelayer.table import postgres
from onelayer.table.stream import open_stream


def frame_of(stream, rows=64, **options) -> pl.DataFrame:
    return pl.concat([batch.table.frame for batch in stream.batches(rows, **options)])


def refusal(source, **options) -> str:
    with pytest.raises(InputError) as caught:
        frame_of(open_stream(source, **options))
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- SQLite


@pytest.fixture
def loans(tmp_path: Path) -> Path:
    """A database of a table of 500 rows, put in in no order."""
    path = tmp_path / "my loans.db"
    rows = [(k, k / 3, f"level {k % 7}" if k % 5 else None) for k in range(500)]
    random.Random(0).shuffle(rows)
    with closing(sqlite3.connect(path)) as link:
        link.execute("CREATE TABLE loans (id INTEGER PRIMARY KEY, x REAL, sex TEXT)")
        link.executemany("INSERT INTO loans VALUES (?, ?, ?)", rows)
        link.commit()
    return path


def address(path: Path, table: str | None = "loans") -> str:
    end = "" if table is None else f"?table={table}"
    return f"sqlite:///{str(path).replace(' ', '%20')}{end}"


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as link:
        for statement in statements:
            link.execute(statement)
        link.commit()


def test_a_table_comes_in_the_order_of_its_rowid(loans: Path):
    stream = open_stream(address(loans))
    assert (stream.name, stream.rows) == ("my loans.db, table loans", 500)
    assert dict(stream.schema) == {"id": pl.Int64, "x": pl.Float64, "sex": pl.String}
    expected = pl.DataFrame(
        {
            "id": range(500),
            "x": [k / 3 for k in range(500)],
            "sex": [f"level {k % 7}" if k % 5 else None for k in range(500)],
        }
    )
    for rows in (1, 77, 5000):
        assert frame_of(stream, rows).equals(expected)
        assert frame_of(stream, rows, start=490).equals(expected[490:])
    assert frame_of(stream, columns=["sex", "id"]).equals(expected.select("sex", "id"))
    (batch,) = stream.batches(64, start=490)
    assert (batch.first, batch.table.place_of(3)) == (490, "my loans.db, table loans, row 493")
    assert 0 < stream.largest_piece < 10e6


def test_a_relative_path(loans: Path, monkeypatch):
    monkeypatch.chdir(loans.parent)
    assert open_stream("sqlite:///my%20loans.db?table=loans").rows == 500


@pytest.mark.parametrize(
    "query",
    [
        "select id, x * 2 as double from loans where id < 300 order by random()",
        "with few as (select * from loans) select id, x from few limit 300 -- the first ;",
        "select id, 1 as one from loans where id < 300;\n",
    ],
)
def test_a_query_gives_the_same_rows_in_every_pass(loans: Path, query):
    stream = open_stream(address(loans, None), query=query)
    assert (stream.name, stream.rows) == ("my loans.db, query", 300)
    first = frame_of(stream)
    assert sorted(first["id"].to_list()) == list(range(300))
    assert frame_of(stream, 7).equals(first)
    assert frame_of(stream, 7, start=200).equals(first[200:])


def test_views_and_tables_without_rowid(loans: Path):
    change(
        loans,
        "CREATE VIEW old AS SELECT id, x FROM loans WHERE id >= 400 ORDER BY id DESC",
        'CREATE TABLE "a ""b"" c" (x, k TEXT, rowid, PRIMARY KEY (k, x)) WITHOUT ROWID',
        """INSERT INTO "a ""b"" c" VALUES (2, 'b', 1), (3, 'a', 2), (1, 'b', 3)""",
    )
    assert frame_of(open_stream(address(loans, "old")))["id"].to_list() == list(range(499, 399, -1))
    stream = open_stream(address(loans, "a%20%22b%22%20c"))
    assert frame_of(stream).rows() == [(3, "a", 2), (1, "b", 3), (2, "b", 1)]


def test_the_type_of_a_column_is_settled_over_all_rows(loans: Path):
    change(
        loans,
        "CREATE TABLE odd (n, x, words, mixed, huge, bytes, void, money NUMERIC)",
        "INSERT INTO odd VALUES (1, 1, 'a', 007, 9007199254740993, x'00ff', NULL, 3.0)",
        "INSERT INTO odd VALUES (NULL, 0.5, NULL, '007', 0.5, NULL, NULL, 3.5)",
        "INSERT INTO odd VALUES (-9223372036854775808, NULL, '', 0.1, 1, x'', NULL, NULL)",
        "INSERT INTO odd VALUES (3, 2, 'é', x'c3a9', 2, x'61', NULL, 1e300)",
    )
    frame = frame_of(open_stream(address(loans, "odd")), 1)
    assert dict(frame.schema) == {
        "n": pl.Int64,
        "x": pl.Float64,
        "words": pl.String,
        "mixed": pl.String,
        "huge": pl.String,
        "bytes": pl.Binary,
        "void": pl.String,
        "money": pl.Float64,
    }
    assert frame["mixed"].to_list() == ["7", "007", "0.1", "é"]
    assert frame["huge"].to_list() == ["9007199254740993", "0.5", "1", "2"]
    assert frame["x"].to_list() == [1.0, 0.5, None, 2.0]
    assert frame["money"].to_list() == [3.0, 3.5, None, 1e300]
    change(loans, "UPDATE odd SET mixed = x'ff' WHERE n = 3")
    assert "column 'mixed' holds text or numbers and also bytes" in refusal(address(loans, "odd"))


def test_a_table_of_very_many_columns(tmp_path: Path):
    path = tmp_path / "wide.db"
    change(
        path,
        f"CREATE TABLE wide ({', '.join(f'c{k}' for k in range(1200))})",
        f"INSERT INTO wide VALUES ({', '.join(str(k) for k in range(1200))})",
    )
    assert frame_of(open_stream(address(path, "wide"))).row(0) == tuple(range(1200))


def test_a_write_between_passes_is_noticed(loans: Path):
    stream = open_stream(address(loans))
    before = stream.fingerprint
    assert open_stream(address(loans)).fingerprint == before
    frame_of(stream)
    kept = open_stream(address(loans, None), query="select * from loans")
    change(loans, "DELETE FROM loans WHERE id > 400")
    with pytest.raises(InputError, match="written to while it was read; start again"):
        frame_of(stream)
    assert frame_of(kept).height == 500
    assert open_stream(address(loans)).fingerprint != before


def test_fingerprints_of_queries_tell_their_answers(loans: Path):
    def of(query: str) -> str:
        return open_stream(address(loans, None), query=query).fingerprint

    assert of("select * from loans") == of("select * from loans")
    assert of("select * from loans") != of("select * from loans order by x desc")
    assert of("select * from loans order by random()") != of(
        "select * from loans order by random()"
    )


def test_sqlite_is_not_written_to(loans: Path):
    data = loans.read_bytes()
    for query in (
        "delete from loans returning id",
        "drop table loans",
        "select 1; drop table loans",
    ):
        assert "my loans.db, query: SQLite says" in refusal(address(loans, None), query=query)
    assert loans.read_bytes() == data


def test_mistakes_in_addresses_are_named(loans: Path, tmp_path: Path):
    assert "no table 'loan'; the tables are 'loans'" in refusal(address(loans, "loan"))
    assert "absent.db: no such file" in refusal(address(tmp_path / "absent.db"))
    assert "neither a table nor a query" in refusal(address(loans, None))
    assert "a table and a query" in refusal(address(loans), query="select 1")
    assert "option 'tabel' is not known" in refusal(f"sqlite:///{loans}?tabel=loans")
    assert "expected sqlite:///file.db" in refusal("sqlite://loans.db?table=loans")
    assert "mysql://: not a database that is read" in refusal("mysql://me:secret@host/db?table=a")
    assert "secret" not in refusal("mysql://me:secret@host/db?table=a")
    assert "names of its own" in refusal(address(loans), names=["a"])
    assert "a query is for a database" in refusal(loans, query="select 1")
    said = refusal(address(loans, None), query="selec 1")
    assert said.startswith("my loans.db, query: SQLite says 'near")
    assert "syntax error" in said
    (tmp_path / "text.db").write_text("no database, no database, no database" * 100)
    assert "file is not a database" in refusal(address(tmp_path / "text.db"))
    change(loans, "CREATE TABLE empty (a)")
    assert "table empty: no rows" in refusal(address(loans, "empty"))
    assert "both named 'a'" in refusal(address(loans, None), query='select 1 as a, 2 as " a"')


# --- PostgreSQL


NEEDED = find_programs() and importlib.util.find_spec("adbc_driver_postgresql")
server_needed = pytest.mark.skipif(
    not NEEDED, reason="needs PostgreSQL's initdb and postgres, and adbc-driver-postgresql"
)


@pytest.fixture(scope="module")
def server():
    from adbc_driver_postgresql import dbapi

    with run_server() as base:
        with dbapi.connect(base, autocommit=True) as link, link.cursor() as cursor:
            for statement in (
                "CREATE TABLE loans AS SELECT k AS id, k / 3.0::float8 AS x, "
                "CASE WHEN k % 5 > 0 THEN 'level ' || k % 7 END AS sex "
                "FROM generate_series(0, 99999) k",
                "CREATE SCHEMA bank",
                'CREATE TABLE bank."Old Loans" (id int, "the sum" numeric(10, 2))',
                """INSERT INTO bank."Old Loans" VALUES (1, 12.50), (2, NULL), (3, 0.10)""",
                "CREATE TABLE empty (a int)",
            ):
                cursor.execute(statement)
        yield base


@server_needed
def test_a_table_of_postgresql(server, tmp_path):
    stream = open_stream(f"{server}&table=loans", folder=tmp_path)
    assert (stream.name, stream.rows) == ("postgres, table loans", 100_000)
    assert dict(stream.schema) == {"id": pl.Int32, "x": pl.Float64, "sex": pl.String}
    k = pl.int_range(100_000, dtype=pl.Int32, eager=True)
    expected = pl.DataFrame({"id": k, "x": k.to_numpy() / 3}).with_columns(
        sex=pl.when(pl.col("id") % 5 > 0).then(pl.format("level {}", pl.col("id") % 7))
    )
    assert frame_of(stream, 30_000).equals(expected)
    assert frame_of(stream, 30_000, start=99_990, columns=["sex"]).equals(
        expected[99_990:].select("sex")
    )
    (batch,) = stream.batches(64, start=99_990)
    assert batch.table.place_of(3) == "postgres, table loans, row 99993"
    assert open_stream(f"{server}&table=loans").fingerprint == stream.fingerprint
    assert len(list(tmp_path.glob("onelayer-*/answer.arrow"))) == 1
    del stream, batch
    assert list(tmp_path.iterdir()) == []


@server_needed
def test_a_schema_and_a_name_with_blanks(server):
    frame = frame_of(open_stream(f"{server}&table=bank.Old%20Loans"))
    assert frame.rows() == [(1, "12.50"), (2, None), (3, "0.10")]


@server_needed
def test_a_query_of_postgresql_is_asked_once(server):
    query = "select id, random() as r from loans where id < 1000 order by r;"
    stream = open_stream(server, query=query)
    first = frame_of(stream)
    assert first.height == 1000
    assert first["r"].is_sorted()
    assert frame_of(stream, 7).equals(first)


@server_needed
def test_types_without_an_arrow_type_come_as_text(server):
    query = (
        "select 12.340::numeric as n, interval '1 day' as i, '{\"a\": 1}'::jsonb as j, "
        "5::money as m, "
        "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid as u, true as b, date '2024-01-02' as d"
    )
    stream = open_stream(server, query=query)
    row = frame_of(stream).row(0, named=True)
    assert {name: row[name] for name in "nijmu"} == {
        "n": "12.340",
        "i": "1 day",
        "j": '{"a": 1}',
        "m": "$5.00",
        "u": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    }
    assert (stream.schema["b"], stream.schema["d"]) == (pl.Boolean, pl.Date)


@server_needed
def test_mistakes_are_told_in_one_line(server):
    assert 'relation "loan" does not exist' in refusal(f"{server}&table=loan")
    assert "syntax error" in refusal(server, query="selec 1")
    assert "division by zero" in refusal(server, query="select 1 / 0 as a")
    assert "read-only transaction" in refusal(server, query="delete from loans returning id")
    assert "multiple commands" in refusal(server, query="select 1; select 2")
    assert "both named 'a'" in refusal(server, query="select 1 as a, 2 as a")
    assert "table empty: no rows" in refusal(f"{server}&table=empty")
    said = refusal("postgresql://me:secret@localhost:1/db?table=loans")
    assert "db, table loans: the database says" in said
    assert "secret" not in said
    assert "secret" not in refusal("postgresql://me:secret@[bad/db?table=loans")


def test_without_the_extra_it_is_named(monkeypatch):
    def lack(name: str):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(postgres, "import_module", lack)
    said = refusal("postgresql://localhost/db?table=loans")
    assert "pip install 'onelayer[db]'" in said
