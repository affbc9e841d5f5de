"""The rows of a PostgreSQL table or query, through ADBC.

The answer is asked for once, in one read-only statement and so of one state of the database, and
copied as it arrives to an Arrow file on disk. Every pass reads that file: the rows are the same and
in the same order, which the server promises for no second statement, and no transaction is kept
open for the time of a training.
"""

import hashlib
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from onelayer.errors import InputError
from onelayer.table.containers import IPC_FILE
from onelayer.table.database import Address
from onelayer.table.names import clean_names
from onelayer.table.stream_typed import ArrowFile

_BATCH_BYTES = 1 << 22
# One reader, from the first page on: so a table comes in the same order from one run to the next.
_SETTINGS = (
    "SET TRANSACTION READ ONLY",
    "SET LOCAL synchronize_seqscans = off",
    "SET LOCAL max_parallel_workers_per_gather = 0",
)


class PostgresRows(ArrowFile):
    """The answer of a PostgreSQL server, in a file that goes with this object."""

    def __init__(self, address: Address, folder: Path | None) -> None:
        dbapi, arrow = _import_drivers()
        kept = Path(tempfile.mkdtemp(prefix="onelayer-", dir=folder))
        weakref.finalize(self, shutil.rmtree, kept, ignore_errors=True)
        path = kept / "answer.arrow"
        with _said(address, dbapi), closing(dbapi.connect(address.place)) as link:
            _copy(address, link, path, arrow)
        super().__init__(path, address.name, IPC_FILE)
        with path.open("rb") as file:
            self.fingerprint = hashlib.file_digest(file, "sha256").hexdigest()


def _import_drivers() -> tuple[Any, Any]:
    try:
        return import_module("adbc_driver_postgresql.dbapi"), import_module("pyarrow")
    except ImportError:
        raise InputError(
            "PostgreSQL: needs packages that are not installed; run pip install 'onelayer[db]'"
        ) from None


def _copy(address: Address, link: Any, path: Path, arrow: Any) -> None:
    with closing(link.cursor()) as cursor:
        for setting in _SETTINGS:
            cursor.execute(setting)
        select = address.query or f"SELECT * FROM {_quote_table(address.table or '')}"
        select = _cast_to_text(select, cursor.adbc_execute_schema(select), address.name)
        hint = {"adbc.postgresql.batch_size_hint_bytes": str(_BATCH_BYTES)}
        cursor.adbc_statement.set_options(**hint)
        cursor.execute(select)
        options = arrow.ipc.IpcWriteOptions(compression="lz4")
        with cursor.fetch_record_batch() as reader:
            try:
                with arrow.ipc.new_file(path, reader.schema, options=options) as writer:
                    for batch in reader:
                        writer.write_batch(batch)
            except OSError as error:
                raise InputError(
                    f"{address.name}: the answer cannot be kept in {path.parent} "
                    f"({error.strerror or error}); it needs as much disk as the table"
                ) from None


def _cast_to_text(select: str, schema: Any, name: str) -> str:
    """The same SELECT with what Arrow has no plain type for (numeric, interval, uuid) as text."""
    clean_names(schema.names, name)
    odd = {field.name for field in schema if _is_odd(field)}
    if not odd:
        return select
    columns = ", ".join(
        f"{_quote(column)}::text AS {_quote(column)}" if column in odd else _quote(column)
        for column in schema.names
    )
    return f"SELECT {columns} FROM (\n{select}\n) AS answer"


def _is_odd(field: Any) -> bool:
    kind = (field.metadata or {}).get(b"POSTGRESQL:type", b"")
    # Money comes in hundredths without a word of it.
    return kind == b"money" or str(field.type).startswith(("extension", "month_day_nano"))


def _quote_table(name: str) -> str:
    return ".".join(_quote(part) for part in name.split("."))


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def _said(address: Address, dbapi: Any) -> Iterator[None]:
    try:
        yield
    except dbapi.Error as error:
        raise InputError(f"{address.name}: {_reason(error, address)}") from None


def _reason(error: Exception, address: Address) -> str:
    """What the server says, in one line, without the address: there may be a password in it."""
    text = " ".join(str(error).replace(address.place, "the address").split())
    text = text.split(" Query was:")[0]
    return f"the database says {text[:300]!r}; check the address, the table and the query"
