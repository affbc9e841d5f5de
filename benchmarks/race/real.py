"""Public tables as problems: which columns are used, and how."""

import lzma
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from benchmarks.race.problem import Codes, Problem

FLIGHTS_ROWS = 1_000_000
LATE = 15  # minutes
STRENGTHS_ON_PATH = 50
SMALLEST_SHARE = 1e-3  # of the L1 penalty that leaves no weight, at the path's end

CENSUS_NUMBERS = (
    "age",
    "wage_per_hour",
    "capital_gains",
    "capital_losses",
    "dividends",
    "num_persons_worked",
    "weeks_worked",
)


def read_covtype(folder: Path, *, classes: int = 2) -> Problem:
    """All 54 columns as they are; class 2 against the others, or all seven."""
    frame = _read_parquet(folder / "covtype.parquet")
    kind = frame["Cover_Type"].to_numpy().astype(np.int64)
    X = np.ascontiguousarray(frame.drop("Cover_Type").to_numpy().astype(np.float64))
    return Problem(X, (kind == 2).astype(np.int64) if classes == 2 else kind - 1)


def read_flights(folder: Path) -> Problem:
    """The first million flights: hour, weekday, origin, destination, distance; late or not."""
    frame = _read_parquet(folder / "flights-3m.parquet")[:FLIGHTS_ROWS]
    when = frame["date"]
    columns = [when.dt.hour(), when.dt.weekday(), frame["origin"], frame["destination"]]
    late = (frame["delay"].to_numpy() > LATE).astype(np.int64)
    return _code(frame.select("distance"), columns, late)


def read_census(folder: Path) -> Problem:
    """Seven numbers, all else as categories; missing is a level. Rows are not weighted."""
    frame = _read_parquet(folder / "kdd_census_train.parquet")
    rich = frame["income"].str.strip_chars().str.starts_with("50000+")
    frame = frame.drop("income", "instance_weight")
    names = [name for name in frame.columns if name not in CENSUS_NUMBERS]
    labels = rich.to_numpy().astype(np.int64)
    return _code(frame.select(CENSUS_NUMBERS), [frame[name] for name in names], labels)


def read_nycflights(folder: Path) -> Problem:
    """What is known before departure, with 4,044 tail numbers; late or not on arrival."""
    frame = _read_parquet(folder / "nycflights13.parquet").drop_nulls("arr_delay")
    names = ("month", "hour", "carrier", "origin", "dest", "tailnum")
    late = (frame["arr_delay"].to_numpy() > LATE).astype(np.int64)
    numbers = frame.select("distance", "sched_dep_time")
    return _code(numbers, [frame[name] for name in names], late)


def read_news(folder: Path, *, classes: int = 2) -> Problem:
    """tf-idf of the training texts; computers and science against the rest, or all 20 groups."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    frame = _read_parquet(folder / "20news_train.parquet")
    X = sparse.csr_array(TfidfVectorizer().fit_transform(frame["text"].to_list()))
    group = frame["category"].to_numpy().astype(str)
    if classes == 2:
        y = np.array([name.startswith(("comp", "sci")) for name in group], np.int64)
    else:
        y = np.unique(group, return_inverse=True)[1].astype(np.int64)
    return Problem(X, y)


def read_libsvm(folder: Path, name: str) -> Problem:
    """A file of the LIBSVM collection; labels above 0 are the positives."""
    from sklearn.datasets import load_svmlight_file

    with lzma.open(folder / name) as file:
        X, y = load_svmlight_file(file)
    return Problem(sparse.csr_array(X), (y > 0).astype(np.int64))


def read_accidents(folder: Path) -> Problem:
    """One-hot columns of the 24 categories; 8 degrees of injury, the rarest in 9 rows."""
    frame = _read_parquet(folder / "fars.parquet")
    target = frame["INJURY_SEVERITY"].to_numpy().astype(str)
    words = frame.drop("INJURY_SEVERITY").select(_strings(frame))
    y = np.unique(target, return_inverse=True)[1].astype(np.int64)
    coded = _code(words.select([]), [words[name] for name in words.columns], y)
    return Problem(coded.X, y)


def load_cancer() -> Problem:
    """The breast cancer table that scikit-learn brings, raw."""
    from sklearn.datasets import load_breast_cancer

    X, y = load_breast_cancer(return_X_y=True)
    return Problem(np.ascontiguousarray(X), y.astype(np.int64))


def load_digits() -> Problem:
    """The digits that scikit-learn brings, pixels from 0 to 16."""
    from sklearn.datasets import load_digits as load

    X, y = load(return_X_y=True)
    return Problem(np.ascontiguousarray(X), y.astype(np.int64))


def penalise(
    read: Callable[[Path], Problem], l1_ratio: float, *, path: bool = False, scale: bool = False
) -> Callable[[Path], Problem]:
    """The same rows under an L1 or elastic-net penalty, for C = 1 or along a path of 50.

    `scale` brings columns to unit variance, as one does before a penalty that leaves weights out.
    """

    def changed(folder: Path) -> Problem:
        plain = read(folder)
        X = plain.X
        if scale:
            spread = X.std(axis=0)
            X = (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        strengths = _path(X, plain.y, l1_ratio) if path else plain.strengths
        return replace(plain, X=X, strengths=strengths, l1_ratio=l1_ratio)

    return changed


def _path(X: Any, y: NDArray[np.int64], l1_ratio: float) -> tuple[float, ...]:
    """C from where every weight is 0 to a thousand times that, evenly in log C, rising."""
    first = l1_ratio / np.abs(np.asarray(X.T @ (y - y.mean()))).max()
    return tuple((first * np.geomspace(1, 1 / SMALLEST_SHARE, STRENGTHS_ON_PATH)).tolist())


def _read_parquet(path: Path) -> Any:
    import polars

    return polars.read_parquet(path)


def _strings(frame: Any) -> list[str]:
    import polars

    strings = [n for n, kind in frame.schema.items() if kind == polars.String]
    return [name for name in strings if name != "INJURY_SEVERITY"]


def _code(numbers: Any, columns: Sequence[Any], labels: NDArray[np.int64]) -> Problem:
    """Numeric columns beside categories; a missing value is a level of its own."""
    import polars

    coded = []
    for column in columns:
        words = column.cast(polars.String).fill_null("").to_numpy().astype(str)
        coded.append(np.unique(words, return_inverse=True)[1].astype(np.int32))
    counts = tuple(int(codes.max()) + 1 for codes in coded)
    numeric = np.ascontiguousarray(numbers.to_numpy().astype(np.float64))
    numeric = numeric.reshape(len(labels), -1)
    table = Codes(numeric, np.ascontiguousarray(np.column_stack(coded)), counts)
    return Problem(table.one_hot(), labels, codes=table)
