"""The rows of an SQLite table or query, through Python's own sqlite3, some at a time.

A pass is one statement, which SQLite runs on one state of the database. The rows of a table come
in the order of its rowid or primary key, and between passes it is asked whether anything was
written. What a query gives (a view too) has no order to rely on, and random() may be in it; so it
is kept in a temporary table, which SQLite holds on disk, and read from there.
"""

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from onelayer.errors import InputError
from onelayer.table.containers import explain_unreadable, short
from onelayer.table.database import Address
from onelayer.table.names import clean_names
from onelayer.table.pieces import Piece
from onelayer.table.sqlite_types import Settled, settle_columns
from onelayer.table.values import list_some

_ROWS_AT_ONCE = 10_000
# A value as a Python object in a tuple, and once more in a column.
_VALUE_BYTES = 100
_KEPT = "temp.kept_rows"
_ENDS = 1000


class SqliteRows:
    """The answer of an SQLite database."""

    def __init__(self, address: Address) -> None:
        self.name = address.name
        self._path = Path(address.place)
        self._link = _connect(self._path)
        with self._said():
            names, self._from, self._order = self._find(address)
            self._columns = tuple(_quote(name) for name in names)
            if not self._order:
                self._columns = self._keep(names)
            self._settled = self._settle(clean_names(names, self.name))
            self._version = self._ask("PRAGMA data_version")
        self.rows: int | None = self._settled.rows
        self.schema = dict(self._settled.schema)
        self.largest_piece = _ROWS_AT_ONCE * len(names) * _VALUE_BYTES
        self.fingerprint = self._fingerprint(address)

    def read(self, start: int, rows: int, columns: Sequence[str]) -> Iterator[Piece]:
        """The rows from `start` on, at most 10,000 at a time."""
        schema = {name: self.schema[name] for name in columns}
        chosen = [self._columns[list(self.schema).index(name)] for name in columns]
        select = f"SELECT {', '.join(chosen)} FROM {self._from} ORDER BY {self._order}"
        at_once = min(rows, _ROWS_AT_ONCE)
        with self._said(), closing(self._link.cursor()) as cursor:
            self._require_unchanged()
            cursor.execute(f"{select} LIMIT -1 OFFSET {int(start)}")
            while found := cursor.fetchmany(at_once):
                yield Piece(self._settled.to_frame(found, schema), self.name, start)
                start += len(found)
            self._require_unchanged()

    def _find(self, address: Address) -> tuple[list[str], str, str]:
        """The columns, what stands after FROM, and after ORDER BY; no order means: keep it."""
        if address.table is None:
            return self._name_columns(f"(\n{address.query}\n)"), f"(\n{address.query}\n)", ""
        kind = self._ask(
            "SELECT type FROM sqlite_master WHERE lower(name) = lower(?) "
            "AND type IN ('table', 'view')",
            address.table,
        )
        if kind is None:
            raise InputError(
                f"{address.database}: no table {address.table!r}; the tables are "
                f"{list_some(self._list_tables(), 10)}"
            )
        place = _quote(address.table)
        names = self._name_columns(place)
        return names, place, "" if kind == "view" else self._find_order(place, names)

    def _find_order(self, place: str, names: Sequence[str]) -> str:
        taken = {name.lower() for name in names}
        free = [alias for alias in ("rowid", "_rowid_", "oid") if alias not in taken]
        for alias in free[:1]:
            try:
                self._ask(f"SELECT {alias} FROM {place} LIMIT 1")
                return alias
            except sqlite3.OperationalError:
                break  # a table WITHOUT ROWID has a primary key instead
        keys = self._link.execute(f"PRAGMA table_info({place})").fetchall()
        parts = sorted((key[5], key[1]) for key in keys if key[5])
        return ", ".join(_quote(name) for _, name in parts)

    def _name_columns(self, place: str) -> list[str]:
        with closing(self._link.execute(f"SELECT * FROM {place} LIMIT 0")) as cursor:
            return [column[0] for column in cursor.description]

    def _keep(self, names: Sequence[str]) -> tuple[str, ...]:
        """Write the answer to a temporary table; columns of no type keep values as they are."""
        columns = tuple(f"c{k}" for k in range(len(names)))
        self._link.execute(f"CREATE TABLE {_KEPT} ({', '.join(columns)})")
        self._link.execute(f"INSERT INTO {_KEPT} SELECT * FROM {self._from}")
        self._from, self._order = _KEPT, "rowid"
        return columns

    def _settle(self, names: Sequence[str]) -> Settled:
        return settle_columns(self._link, self._from, self._columns, names, self.name)

    def _require_unchanged(self) -> None:
        if self._from != _KEPT and self._ask("PRAGMA data_version") != self._version:
            raise InputError(
                f"{self.name}: the database was written to while it was read; start again, from a "
                "copy if others write to it"
            )

    def _fingerprint(self, address: Address) -> str:
        digest = hashlib.sha256(f"{address.table}\0{address.query}\0{self._settled}\0".encode())
        if self._from == _KEPT:
            rows = self._link.execute(
                f"SELECT * FROM {_KEPT} WHERE rowid <= ? OR rowid > ?",
                (_ENDS, self._settled.rows - _ENDS),
            )
            digest.update(repr(rows.fetchall()).encode())
            return digest.hexdigest()
        for path in (self._path, Path(f"{self._path}-wal")):
            if path.exists():
                status = path.stat()
                digest.update(f"{status.st_size}\0{status.st_mtime_ns}\0".encode())
        return digest.hexdigest()

    def _ask(self, statement: str, *values: str) -> Any:
        row = self._link.execute(statement, values).fetchone()
        return row[0] if row else None

    def _list_tables(self) -> list[str]:
        rows = self._link.execute(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name"
        )
        return [name for (name,) in rows]

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise InputError(
                f"{self.name}: SQLite says {short(error)!r}; check file, table and query"
            ) from None


def _connect(path: Path) -> sqlite3.Connection:
    try:
        path.stat()
    except (OSError, ValueError) as error:
        raise explain_unreadable(path, error) from None
    address = f"{path.absolute().as_uri()}?mode=ro"
    # Batches may be asked for from another thread than that which opened the stream.
    return sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
