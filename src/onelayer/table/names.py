"""Column names: stripped, never empty, never twice."""

from collections.abc import Iterable

from onelayer.errors import InputError


def clean_names(written: Iterable[object], source: str) -> list[str]:
    """The names of the columns: blanks around them go, an empty one is its place, `column_3`.

    >>> clean_names([" age ", "", "sex"], "loans.csv")
    ['age', 'column_2', 'sex']

    Raises InputError where two columns have one name.
    """
    names = [str(name).strip() or f"column_{k}" for k, name in enumerate(written, start=1)]
    place: dict[str, int] = {}
    for k, name in enumerate(names, start=1):
        if name in place:
            raise InputError(
                f"{source}: columns {place[name]} and {k} are both named {name!r}; "
                "every column needs a name of its own, rename one of them"
            )
        place[name] = k
    return names
