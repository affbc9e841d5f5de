"""Tables that lie in a database: what an address says, and who reads it.

`sqlite:///loans.db?table=loans` (three slashes before a relative path, four before an absolute
one) is read through Python's own sqlite3, `postgresql://...?table=loans` through ADBC.
"""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlencode

from onelayer.errors import InputError

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
SQLITE = "sqlite"
_POSTGRES = ("postgresql", "postgres")


@dataclass(frozen=True)
class Address:
    """Where rows are asked for.

    Parameters
    ----------
    kind
        "sqlite" or "postgresql".
    place
        The path of an SQLite file, or the address that libpq takes (it may hold a password).
    database
        What messages call it.
    table, query
        One of both: a table by its name, or a SELECT.
    """

    kind: str
    place: str
    database: str
    table: str | None
    query: str | None

    @property
    def name(self) -> str:
        """For messages: "loans.db, table loans" or "loans.db, query"."""
        return f"{self.database}, " + ("query" if self.table is None else f"table {self.table}")


def is_address(source: object) -> bool:
    """Whether it is the address of a database, not a path.

    >>> is_address("sqlite:///loans.db?table=loans"), is_address("C:/loans.csv")
    (True, False)
    """
    return isinstance(source, str) and _ADDRESS.match(source) is not None


def read_address(source: str, query: str | None) -> Address:
    """Take an address apart.

    >>> read_address("sqlite:////data/loans.db?table=old%20loans", None).name
    'loans.db, table old loans'

    Raises InputError for a kind of database that is not read, and for neither or both of a table
    and a query.
    """
    # What stands before the first colon is no secret; the address as a whole may be.
    kind, _, place = source.partition("://")
    kind = kind.lower()
    if kind != SQLITE and kind not in _POSTGRES:
        raise InputError(
            f"{kind}://: not a database that is read; expected sqlite:///file.db?table=name or "
            "postgresql://host/database?table=name"
        )
    place, _, asked = place.partition("?")
    options = parse_qsl(asked, keep_blank_values=True)
    table = next((value for key, value in options if key == "table"), None)
    rest = [(key, value) for key, value in options if key != "table"]
    if kind == SQLITE:
        place, database = _locate_sqlite(place, rest)
    else:
        database = unquote(place.partition("/")[2]) or "database"
        place = f"postgresql://{place}" + (f"?{urlencode(rest)}" if rest else "")
    if (table is None or not table) == (query is None):
        raise InputError(
            f"{database}: {'a table and a query' if query else 'neither a table nor a query'}; "
            "give one of both, ?table=name at the end of the address or a SELECT as the query"
        )
    text = None if query is None else query.strip().rstrip(";").rstrip()
    return Address(kind if kind == SQLITE else "postgresql", place, database, table, text)


def _locate_sqlite(path: str, options: list[tuple[str, str]]) -> tuple[str, str]:
    if not path.startswith("/") or path == "/":
        raise InputError(
            f"sqlite://{path}: expected sqlite:///file.db, or sqlite:////folder/file.db with the "
            "whole path"
        )
    if options:
        raise InputError(
            f"sqlite://{path}: option {options[0][0]!r} is not known; expected ?table="
        )
    place = unquote(path[1:])
    return place, place.rsplit("/", 1)[-1]
