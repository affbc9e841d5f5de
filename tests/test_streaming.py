"""Training on tables read in batches: the same model, within the memory, whatever ends it."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from mixed_tables import make_mixed

from onelayer import strength, train, workspace
from onelayer.cli.progress import describe_stage
from onelayer.errors import DataWarning, InputError
from onelayer.judging import best_column
from onelayer.rows import files
from onelayer.solvers.solution import Progress
from onelayer.streaming import Stage
from onelayer.table import survey
from onelayer.table.stream import open_stream
from onelayer.thresholds.choice import ThresholdRule
from onelayer.workspace import PREFIX

ROWS = 12_000


@pytest.fixture(autouse=True)
def small_samples(monkeypatch, tmp_path):
    """Tables of a few thousand rows count as long."""
    monkeypatch.setattr(survey, "SAMPLE_ROWS", 4_000)
    monkeypatch.setattr(survey, "LEAST_ROWS", 1_000)
    monkeypatch.setattr(files, "BLOCK_VALUES", 1 << 15)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))


@pytest.fixture(scope="module")
def frame():
    return make_mixed(ROWS)


@pytest.fixture
def loans(tmp_path, frame):
    path = tmp_path / "loans.parquet"
    frame.write_parquet(path, row_group_size=2_800)
    return path


def assert_same_model(one, two):
    assert one.schema == two.schema
    assert one.training.rows == two.training.rows
    assert one.training.holdout_rows == two.training.holdout_rows
    np.testing.assert_allclose(one.W, two.W, atol=1e-6)
    np.testing.assert_allclose(one.averages, two.averages, atol=1e-9)
    assert one.evaluation.n == two.evaluation.n
    assert one.evaluation.roc_auc == pytest.approx(two.evaluation.roc_auc, abs=1e-7)


def test_the_model_is_that_of_the_table_in_memory(loans, frame):
    streamed = train(loans, target="granted", memory="200MB")
    assert_same_model(streamed, train(frame, target="granted"))
    assert streamed.certificate.rho <= 1e-4
    assert streamed.training.rows + streamed.training.holdout_rows == ROWS
    assert [c.role for c in streamed.schema.columns if c.name == "fixed"] == ["constant"]


def test_a_short_table_is_trained_as_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(survey, "SAMPLE_ROWS", 100_000)
    table = make_mixed(2_000)
    table.write_parquet(tmp_path / "few.parquet")
    one = train(tmp_path / "few.parquet", target="granted", memory="200MB")
    two = train(table, target="granted")
    np.testing.assert_array_equal(one.W, two.W)
    assert one.evaluation == two.evaluation


BALANCES = [
    {"class_weight": "balanced"},
    {"class_weight": {"yes": 3.0, "no": 0.5}, "C": "auto"},
    {"base_rate": 0.1},
    {"class_weight": "balanced", "base_rate": 0.1, "weight": "w", "protected": ["region"]},
    {"class_weight": {"yes": 7}, "weight": "w", "weight_kind": "sampling"},
]
COSTS = [
    {"threshold": ThresholdRule("loss", 4.0)},
    {"threshold": ThresholdRule("loss", "gain", cost_tp=-1.0), "protected": ["region"]},
    {"threshold": ThresholdRule("loss", "gain"), "weight": "w", "base_rate": 0.3},
    {"threshold": ThresholdRule(accept=0.3), "class_weight": "balanced"},
]


@pytest.mark.parametrize("options", [*BALANCES, *COSTS], ids=str)
def test_classes_and_costs_are_weighed_as_in_memory(tmp_path, frame, options):
    """The bias is solved again, thresholds are chosen and costs are counted on the same rows."""
    random = np.random.default_rng(1)
    table = frame.with_columns(
        w=pl.Series(np.arange(ROWS) % 3),
        loss=pl.Series(random.exponential(size=ROWS) + 0.5),
        gain=pl.Series(random.exponential(size=ROWS) + 2),
    )
    unused = {"w", "loss", "gain"} - {options.get("weight")}
    rule = options.get("threshold")
    unused -= set(() if rule is None or rule.costs is None else rule.costs.columns)
    table = table.drop(unused)
    table.write_parquet(tmp_path / "loans.parquet", row_group_size=2_800)
    options = {"target": "granted", "tol": 1e-6, **options}
    streamed = train(
        tmp_path / "loans.parquet", memory="200MB", cache="base_rate" not in options, **options
    )
    assert_same_answer(streamed, train(table, **options))


def assert_same_answer(one, two):
    """All that a model file says, up to the proofs of both."""
    assert_same_model(one, two)
    np.testing.assert_allclose(one.b, two.b, atol=1e-7)
    assert (one.training.balance is None) == (two.training.balance is None)
    if one.training.balance is not None:
        np.testing.assert_allclose(one.training.balance.in_fit, two.training.balance.in_fit)
    assert one.training.remarks == two.training.remarks
    assert one.training.without_target == two.training.without_target
    assert one.training.C == two.training.C
    assert one.threshold == pytest.approx(two.threshold, abs=1e-6)
    assert one.reference.columns == two.reference.columns
    np.testing.assert_allclose(one.reference.score.edges, two.reference.score.edges, rtol=1e-5)
    assert one.best_column.column == two.best_column.column
    np.testing.assert_allclose(one.best_column.weights, two.best_column.weights, rtol=1e-5)
    found, expected = one.evaluation, two.evaluation
    assert found.log_loss == pytest.approx(expected.log_loss, rel=1e-6)
    assert found.base_rate == pytest.approx(expected.base_rate, rel=1e-12)
    assert found.best_column.log_loss == pytest.approx(expected.best_column.log_loss, rel=1e-6)
    assert (found.costs is None) == (expected.costs is None)
    if found.costs is not None:
        assert found.costs.at_threshold == pytest.approx(expected.costs.at_threshold, rel=1e-3)
        assert found.costs.always == pytest.approx(expected.costs.always, rel=1e-12)
        assert found.costs.never == pytest.approx(expected.costs.never, rel=1e-12)
    assert [g.column for g in found.groups] == [g.column for g in expected.groups]


def test_a_cost_that_is_none_is_named_before_the_training(tmp_path, frame):
    costs = pl.Series(np.where(np.arange(ROWS) == 8_004, np.nan, 1.0))
    for k in range(3):
        part = frame.with_columns(loss=costs)[4_000 * k :][:4_000]
        part.write_parquet(tmp_path / f"{k}.parquet")
    stages, rule = [], ThresholdRule("loss", 4.0)
    with pytest.raises(InputError, match=r"2\.parquet, row 4, column 'loss': .* is no amount"):
        train(tmp_path, target="granted", threshold=rule, tell=stages.append)
    assert "training" not in {stage.doing for stage in stages}


@pytest.mark.parametrize("kind", ["parquet", "csv"])
@pytest.mark.parametrize("where", ["streamed", "whole", "cluster"])
def test_a_value_that_cannot_be_read_is_named_by_its_place(request, tmp_path, frame, kind, where):
    """Not by that in the sample of rows which the columns are settled by."""
    odd = pl.when(pl.int_range(ROWS) == 8_004).then(np.inf).otherwise(pl.col("debt"))
    table, options = frame.with_columns(odd.alias("debt")), {"target": "granted"}
    files = [table] if where == "whole" else [table[k:][:4_000] for k in range(0, ROWS, 4_000)]
    for k, part in enumerate(files):
        path = tmp_path / f"{k}.{kind}"
        part.write_csv(path) if kind == "csv" else part.write_parquet(path)
    row, name = (8_004, f"0.{kind}") if where == "whole" else (4, f"2.{kind}")
    place = f"{name}, " + (f"line {row + 2}" if kind == "csv" else f"row {row}")
    if where == "cluster":
        pytest.importorskip("distributed", reason="Dask is not installed: extra [dask]")
        options["client"] = request.getfixturevalue("client")
    with pytest.raises(InputError, match=f"{place}, column 'debt': .*inf.* is not a finite number"):
        train(path if where == "whole" else tmp_path, **options)


def test_rows_that_are_not_there_are_said_as_in_memory(tmp_path, frame):
    gone = pl.when(pl.int_range(ROWS) % 1_000 == 3).then(None).otherwise(pl.col("granted"))
    table = frame.with_columns(granted=gone, w=pl.Series(np.arange(ROWS) % 3))
    path = tmp_path / "loans.parquet"
    table.write_parquet(path)
    steps, options = [], {"target": "granted", "weight": "w", "holdout": 1e-9}
    with pytest.warns(DataWarning) as streamed:
        one = train(path, memory="200MB", watch=steps.append, **options)
    with pytest.warns(DataWarning) as whole:
        two = train(path, **options)
    assert sorted(str(w.message) for w in streamed) == sorted(str(w.message) for w in whole)
    assert len(whole) == 2
    assert one.training.without_target == two.training.without_target == 12
    assert steps == list(one.training.history)[-len(steps) :]


def test_a_class_of_few_rows_has_a_best_column_too(tmp_path, frame, monkeypatch):
    """Where none of them is drawn, the first is taken."""
    monkeypatch.setattr(best_column, "CHOSEN_ON", 20)
    monkeypatch.setattr(best_column, "FITTED_ON", 30)
    rare = np.where(np.arange(ROWS) % 400 == 399, "yes", "no")
    frame.with_columns(granted=pl.Series(rare)).write_parquet(tmp_path / "loans.parquet")
    options = {"target": "granted", "holdout": 0}
    one = train(tmp_path / "loans.parquet", memory="200MB", **options)
    two = train(tmp_path / "loans.parquet", **options)
    assert one.best_column.column == two.best_column.column
    np.testing.assert_allclose(one.best_column.weights, two.best_column.weights, rtol=1e-5)


def test_a_threshold_is_chosen_on_the_rows_that_the_memory_holds(loans, frame):
    rule = ThresholdRule(cost_fp=1, cost_fn=4)
    streamed = train(loans, target="granted", memory="200MB", threshold=rule)
    whole = train(frame, target="granted", threshold=rule)
    assert streamed.threshold == pytest.approx(whole.threshold, abs=0.05)
    assert streamed.evaluation.costs.at_threshold == pytest.approx(
        whole.evaluation.costs.at_threshold, rel=0.02
    )


def test_groups_of_a_long_table_are_those_of_the_table_in_memory(loans, frame):
    streamed = train(loans, target="granted", memory="200MB", protected=["region"]).evaluation
    whole = train(frame, target="granted", protected=["region"]).evaluation
    pairs = zip(streamed.groups[0].groups, whole.groups[0].groups, strict=True)
    for one, two in pairs:
        assert (one.value, one.n, one.positives) == (two.value, two.n, two.positives)
        assert one.selected.value == pytest.approx(two.selected.value, abs=1e-3)


@pytest.mark.parametrize("options", [{"cache": False}, {"n_jobs": 1}, {"memory": "400MB"}], ids=str)
def test_the_bits_depend_on_neither_batches_nor_threads_nor_the_cache(loans, options):
    first = train(loans, target="granted", memory="200MB")
    again = train(loans, target="granted", **{"memory": "200MB", **options})
    np.testing.assert_array_equal(again.W, first.W)
    assert again.certificate == first.certificate
    assert again.evaluation == first.evaluation


def test_weights_and_text_files(tmp_path, frame):
    weighted = frame.with_columns(w=pl.Series(np.arange(ROWS) % 3))
    weighted.write_csv(tmp_path / "loans.csv")
    options = {"target": "granted", "weight": "w", "weight_kind": "sampling"}
    streamed = train(tmp_path / "loans.csv", memory="200MB", **options)
    assert_same_model(streamed, train(tmp_path / "loans.csv", **options))
    assert streamed.training.rows == pytest.approx(ROWS * 2 / 3 * 0.8, rel=0.02)


def test_a_strange_word_in_the_last_row_counts(tmp_path, frame):
    """One word makes a missing value, of any number of rows."""
    texts = frame.select(pl.all().cast(pl.String)).with_row_index()
    odd = pl.when(pl.col("index") == ROWS - 2).then(pl.lit("unknown")).otherwise(pl.col("income"))
    texts.with_columns(odd.alias("income")).drop("index").write_csv(tmp_path / "odd.csv")
    model = train(tmp_path / "odd.csv", target="granted", memory="200MB")
    column = next(c for c in model.schema.columns if c.name == "income")
    assert column.role == "numeric"
    assert "'unknown'" in column.reason
    assert_same_model(model, train(tmp_path / "odd.csv", target="granted"))


def test_what_it_needs_is_said_first_and_nothing_stays(loans, tmp_path):
    said, stages = [], []
    train(
        loans,
        target="granted",
        memory="200MB",
        cache=tmp_path / "here",
        say=said.append,
        tell=stages.append,
    )
    assert said[0].startswith("12,000 rows of loans.parquet: two passes over the table")
    assert "on disk in" in said[1]
    assert not (tmp_path / "here").exists()
    assert {stage.doing for stage in stages} == {
        "surveying",
        "settling the columns",
        "encoding",
        "training",
    }
    assert max(stage.passes for stage in stages) >= 5
    assert all(0 <= stage.done <= ROWS for stage in stages)


def test_a_line_of_80_tells_speed_pass_cost_proof_and_end():
    """Beside a bar, which may shrink to a few characters, and the clock."""
    step = Progress(iteration=3, cost=0.123456, objective=1.0, rho=3.2e-4, step=1.0)
    stage = Stage("training", 10_000_000, 20_000_000, 4.0, passes=3, progress=step, in_all=25.0)
    said = describe_stage(stage)
    assert said == "pass 3: 2.5M rows/s, cost 0.1235, rho 3e-04, 95 s left"
    assert len(f"━━━━ 0:00:25 {said}") <= 80
    # Ten passes took 900 s, and two more are usual; of a thirteenth a half is to go.
    late = replace(stage, passes=11, done=1, in_all=900.0)
    assert describe_stage(late).endswith("3 min left")
    assert describe_stage(replace(stage, passes=13, in_all=1250.0)).endswith("50 s left")
    assert describe_stage(replace(stage, in_all=25_000.0)).endswith("26.4 h left")
    reading = Stage("surveying", 3_000_000, None, 2.0)
    assert describe_stage(reading) == "surveying: 1.5M rows/s"
    assert describe_stage(Stage("settling the columns", 0, None, 1.0)) == "settling the columns"


def test_an_error_leaves_nothing(loans, tmp_path):
    def fail(stage):
        if stage.doing == "training":
            raise RuntimeError("stop here")

    with pytest.raises(RuntimeError, match="stop here"):
        train(loans, target="granted", memory="200MB", cache=tmp_path / "here", tell=fail)
    assert not (tmp_path / "here").exists()


KILLED = """
import os
import sys
from onelayer import train
from onelayer.rows import files
from onelayer.table import survey
survey.SAMPLE_ROWS, survey.LEAST_ROWS, files.BLOCK_VALUES = 4_000, 1_000, 1 << 15
def tell(stage):
    steps = 0 if stage.progress is None else stage.progress.iteration
    far = stage.done > 6_000 if stage.doing == "encoding" else steps >= 3
    if stage.doing == sys.argv[3] and far:
        os.write(1, b"there\\n")
        import time
        time.sleep(60)
train(sys.argv[1], target="granted", memory="200MB", cache=sys.argv[2], tell=tell)
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is for POSIX systems")
@pytest.mark.parametrize("stage", ["encoding", "training"])
def test_killed_and_resumed_it_ends_in_the_same_model(loans, tmp_path, stage):
    cache = tmp_path / "here"
    run = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(loans), str(cache), stage], stdout=subprocess.PIPE
    )
    assert run.stdout.readline() == b"there\n"
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()
    assert [path.name[: len(PREFIX)] for path in cache.iterdir()] == [PREFIX]
    stages = []
    options = {"target": "granted", "memory": "200MB", "cache": cache}
    said = []
    model = train(loans, resume=True, tell=stages.append, say=said.append, **options)
    assert said[0].startswith("going on with the training that was cut short: its columns are")
    assert ("some passes over them made" in said[0]) == (stage == "training")
    assert "surveying" not in {each.doing for each in stages}
    assert ("encoding" in {each.doing for each in stages}) == (stage == "encoding")
    assert not cache.exists()
    resumed = max(each.passes for each in stages)
    stages.clear()
    whole = train(loans, tell=stages.append, **options)
    assert_same_bits(model, whole)
    assert (resumed < max(each.passes for each in stages)) == (stage == "training")


def assert_same_bits(one, two):
    """All but the time that it took."""
    one, two = (replace(m, training=replace(m.training, seconds=0.0)) for m in (one, two))
    assert one.to_bytes() == two.to_bytes()


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is for POSIX systems")
def test_the_next_start_clears_what_a_killed_one_left(loans, tmp_path):
    cache = tmp_path / "here"
    left = cache / f"{PREFIX}0123456789abcdef"
    left.mkdir(parents=True)
    (left / "numbers").write_bytes(b"old")
    train(loans, target="granted", memory="200MB", cache=cache)
    assert not left.exists()


def test_a_folder_that_was_there_stays(loans, tmp_path):
    own, new = tmp_path / "own", tmp_path / "new"
    own.mkdir()
    for cache in (own, new):
        train(loans, target="granted", memory="200MB", cache=cache)
    assert list(own.iterdir()) == []
    assert not new.exists()


def test_another_version_does_not_go_on_with_what_is_left(tmp_path, monkeypatch):
    folders = set()
    for version in ("1.0", "1.1"):
        monkeypatch.setattr(workspace, "__version__", version)
        with workspace.open_workspace(tmp_path / "here", ["loans"], False) as own:
            folders.add(own.folder)
    assert len(folders) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"memory": "much"}, "expected an amount such as 500MB"),
        ({"memory": "10MB"}, "at least 150 MB are needed"),
        ({"memory": "200MB", "solver": "newton_cg"}, "solver='newton_cg' needs the rows in memory"),
        (
            {"memory": "200MB", "solver": "gradient_descent", "batch_size": 9},
            "batch_size needs the rows in memory, and this table is read in batches",
        ),
        ({"memory": "200MB", "target": "grant"}, "no column 'grant'; did you mean 'granted'"),
    ],
    ids=str,
)
def test_what_cannot_be_is_said_in_one_line(loans, options, said):
    with pytest.raises(InputError, match=said):
        train(loans, **{"target": "granted", **options})


def test_a_row_group_beyond_the_memory_is_refused_with_a_way_out(tmp_path):
    rows = np.arange(600_000)
    table = pl.DataFrame({f"x{j}": rows % (j + 2) / 2 for j in range(20)} | {"y": rows % 2 == 0})
    old, new = tmp_path / "old.parquet", tmp_path / "new.parquet"
    table.write_parquet(old, row_group_size=len(rows))
    with pytest.raises(
        InputError, match=r"old\.parquet: a row group .* MB, and 150 MB of"
    ) as caught:
        train(old, target="y", memory="150MB")
    advice = str(caught.value).partition("smaller groups: ")[2]
    for name, path in (("old", old), ("new", new)):
        advice = advice.replace(f"'{name}.parquet'", repr(str(path)))
    eval(advice, {"polars": pl})
    assert 2 * open_stream(new).largest_piece <= 150e6


def test_a_frame_has_no_need_of_memory(frame):
    with pytest.raises(InputError, match="this one is in memory"):
        train(frame, target="granted", memory="200MB")


@pytest.mark.parametrize("kind", ["frequency", "sampling"])
def test_the_strength_is_chosen_on_a_part_of_the_rows(tmp_path, frame, kind, monkeypatch):
    monkeypatch.setattr(strength, "FEWEST_ROWS", 4_000)
    weighted = frame.with_columns(w=pl.Series(1.0 + np.arange(ROWS) % 3))
    weighted.write_parquet(tmp_path / "loans.parquet", row_group_size=2_800)
    options = {"target": "granted", "weight": "w", "weight_kind": kind, "C": "auto"}
    streamed = train(tmp_path / "loans.parquet", memory="200MB", **options)
    whole = train(weighted, **options)
    assert streamed.strength.C == whole.strength.C == streamed.training.C
    assert streamed.strength.rows == whole.strength.rows < ROWS * 0.8
    assert_same_model(streamed, whole)


def test_l1_streams_too(loans, frame):
    options = {"target": "granted", "l1_ratio": 1.0, "C": 0.02}
    streamed, whole = train(loans, memory="200MB", **options), train(frame, **options)
    assert streamed.certificate.rho <= 1e-4
    np.testing.assert_array_equal(streamed.W != 0, whole.W != 0)
    assert streamed.training.objective == pytest.approx(whole.training.objective, rel=1e-9)
