"""Everything that can train on more rows than memory holds: each way a function of a folder.

A way is given the folder that `make.py` filled and a folder for what it writes meanwhile; it trains
on the files of `trained` and returns the probabilities of "yes" of the rows of `held`, in order,
and facts worth telling. Each runs in a process of its own (`child.py`), at its default settings but
for the strength of the penalty (that of C = 1 where it has one) and what it needs to read the rows.
"""

import math
import os
import statistics
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.bigger.make import HELD, LEVELS, NUMBERS, TARGET, TRAINED, YES
from benchmarks.peak import read_peak

Array = NDArray[Any]
Found = tuple[Array, dict[str, Any]]

BATCH = 1 << 16
MEMORY = "1GB"


def train_onelayer(folder: Path, work: Path) -> Found:
    """`onelayer train folder --memory 1GB`, on every row."""
    import onelayer
    from onelayer.streaming import Stage

    passes: dict[int, float] = {}

    def tell(stage: Stage) -> None:
        if stage.passes:
            passes[stage.passes] = max(passes.get(stage.passes, 0.0), stage.seconds)

    model = onelayer.train(
        folder / TRAINED,
        target=TARGET,
        positive=YES,
        holdout=0,
        memory=MEMORY,
        cache=work,
        tell=tell,
    )
    facts = {
        "pass_seconds": statistics.median(passes.values()),
        "peak_mb": (read_peak() or math.nan) / 1e3,
        "note": f"proved within {model.certificate.rho:.0e} standard errors",
    }
    return model.predict_proba(next((folder / HELD).glob("*.parquet")))[:, 1], facts


def train_sgd(folder: Path, work: Path) -> Found:
    """scikit-learn's `partial_fit`, once through, numbers scaled by the first rows."""
    return _descend(folder, {})


def train_sgd_tuned(folder: Path, work: Path) -> Found:
    """The same as one sets it who has tried: a constant small step, the penalty of C = 1."""
    n = sum(len(y) for _, y in _read(folder / TRAINED, ["channel"]))
    return _descend(folder, {"alpha": 1 / n, "learning_rate": "constant", "eta0": 1e-3})


def _descend(folder: Path, options: dict[str, Any]) -> Found:
    from sklearn.linear_model import SGDClassifier

    first, _ = next(_read(folder / TRAINED))
    centre, spread = first[0].mean(axis=0), first[0].std(axis=0)
    model = SGDClassifier(loss="log_loss", **options)
    for parts, y in _read(folder / TRAINED):
        model.partial_fit(_widen(parts, centre, spread), y, classes=[0, 1])
    held = (_widen(parts, centre, spread) for parts, _ in _read(folder / HELD))
    return np.concatenate([model.predict_proba(X)[:, 1] for X in held]), {}


def train_vowpal(folder: Path, work: Path) -> Found:
    """Vowpal Wabbit, once through its own text format, which is written first."""
    from vowpalwabbit import Workspace

    texts = {}
    for name in (TRAINED, HELD):
        texts[name] = work / f"{name}.vw"
        _write_vowpal(folder / name, texts[name])
    model, scores = work / "model", work / "scores"
    Workspace(f"-d {texts[TRAINED]} --loss_function logistic --quiet -f {model}").finish()
    Workspace(f"-d {texts[HELD]} -t -i {model} -p {scores} --link logistic --quiet").finish()
    return np.loadtxt(scores), {}


def train_spark(folder: Path, work: Path) -> Found:
    """Spark MLlib's `LogisticRegression` with local[2]."""
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import LogisticRegression
    from pyspark.ml.feature import OneHotEncoder, StringIndexer, VectorAssembler
    from pyspark.ml.functions import vector_to_array
    from pyspark.sql import SparkSession

    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.memory", os.environ.get("SPARK_MEMORY", "6g"))
        .config("spark.local.dir", str(work))
        .config("spark.ui.enabled", "false")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    rows = session.read.parquet(str(folder / TRAINED))
    names = list(LEVELS)
    indexed, wide = [f"{n}_code" for n in names], [f"{n}_wide" for n in names]
    pipeline = Pipeline(
        stages=[
            StringIndexer(inputCols=names, outputCols=indexed),
            OneHotEncoder(inputCols=indexed, outputCols=wide),
            VectorAssembler(inputCols=[*NUMBERS, *wide], outputCol="features"),
            StringIndexer(inputCol=TARGET, outputCol="label", stringOrderType="alphabetAsc"),
            LogisticRegression(regParam=1 / rows.count()),
        ]
    )
    model = pipeline.fit(rows)
    held = model.transform(session.read.parquet(str(folder / HELD)))
    column = vector_to_array(held["probability"])[1].alias("p")
    found = np.array(held.select(column).toPandas()["p"])
    process = session.sparkContext._gateway.proc
    session.stop()
    session.sparkContext._gateway.shutdown()
    process.stdin.close()
    process.wait(60)  # so that its memory is counted
    return found, {}


def scan_polars(folder: Path, work: Path) -> Found:
    """No training: polars reads every column once and sums it, the yardstick of a pass."""
    import polars as pl

    texts = pl.col(*LEVELS, TARGET).str.len_bytes().sum()
    scan = pl.scan_parquet(folder / TRAINED / "*.parquet")
    scan.select(pl.col(*NUMBERS).sum(), texts).collect(engine="streaming")
    return np.empty(0), {}


def _read(folder: Path, columns: list[str] | None = None) -> Iterator[tuple[Any, Array]]:
    """Batches of the files: (numbers, codes a column), labels."""
    import pyarrow.parquet as pq

    for path in sorted(folder.glob("*.parquet")):
        names = columns or [*NUMBERS, *LEVELS, TARGET]
        file = pq.ParquetFile(path, read_dictionary=[*LEVELS, TARGET])
        for batch in file.iter_batches(BATCH, columns=names):
            if columns is not None:
                yield None, np.empty(batch.num_rows)
                continue
            numbers = np.column_stack([batch[n].to_numpy() for n in NUMBERS])
            codes = {n: _number(batch[n], [f"{n} {k}" for k in range(LEVELS[n])]) for n in LEVELS}
            yield (numbers, codes), _number(batch[TARGET], ["no", YES])


def _number(column: Any, levels: list[str]) -> Array:
    places = np.array([levels.index(word) for word in column.dictionary.to_pylist()])
    found: Array = places[column.indices.to_numpy()]
    return found


def _widen(parts: Any, centre: Array, spread: Array) -> Any:
    """CSR: the numbers in units of their spread, then a column a level."""
    from scipy import sparse

    numbers, codes = parts
    n, p = numbers.shape
    starts = p + np.cumsum([0, *LEVELS.values()])
    places = np.column_stack([codes[name] + starts[k] for k, name in enumerate(LEVELS)])
    values = np.hstack([(numbers - centre) / spread, np.ones((n, len(LEVELS)))])
    each = p + len(LEVELS)
    columns = np.hstack([np.broadcast_to(np.arange(p), (n, p)), places]).ravel()
    shape = (n, int(starts[-1]))
    return sparse.csr_matrix((values.ravel(), columns, np.arange(n + 1) * each), shape=shape)


def _write_vowpal(folder: Path, path: Path) -> None:
    import polars as pl

    label = pl.when(pl.col(TARGET) == YES).then(pl.lit("1 |n")).otherwise(pl.lit("-1 |n"))
    numbers = [pl.format(f" {n}:{{}}", pl.col(n)) for n in NUMBERS]
    levels = [pl.lit(" ") + pl.col(n).str.replace(" ", "=", literal=True) for n in LEVELS]
    line = pl.concat_str([label, *numbers, *levels]).alias("line")
    with path.open("wb") as stream:
        for file in sorted(folder.glob("*.parquet")):
            lines = pl.scan_parquet(file).select(line).collect()
            lines.write_csv(stream, include_header=False, quote_style="never")


Way = Callable[[Path, Path], Found]

WAYS: dict[str, tuple[str, Way]] = {
    "polars scan and sum": ("polars", scan_polars),
    "onelayer": ("onelayer", train_onelayer),
    "scikit-learn SGDClassifier": ("scikit-learn", train_sgd),
    "scikit-learn SGDClassifier, tuned": ("scikit-learn", train_sgd_tuned),
    "Vowpal Wabbit": ("vowpalwabbit", train_vowpal),
    "Spark MLlib": ("pyspark", train_spark),
}


def find_version(package: str) -> str | None:
    """The version that is installed, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
