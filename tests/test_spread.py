"""Training on tables whose parts Dask workers read: the model of one machine, whatever happens."""

import json
import os
import shutil
import signal
import sqlite3
import time
from contextlib import closing

import numpy as np
import polars as pl
import pytest
from cli_run import run
from mixed_tables import make_mixed

from onelayer import strength, train
from onelayer.errors import DataWarning, InputError
from onelayer.model import Model
from onelayer.rows import files
from onelayer.table import parts, survey
from onelayer.table.findings import Findings, limit_lots
from onelayer.table.kept import keep_rows
from onelayer.table.stream import open_stream
from onelayer.table.survey import Split, close_survey, sample_size, take_survey
from onelayer.thresholds.choice import ThresholdRule

pytest.importorskip("distributed", reason="Dask is not installed: extra [dask]")
ROWS = 10_000


@pytest.fixture(autouse=True)
def small_parts(monkeypatch, tmp_path):
    """Tables of a few thousand rows count as long, and are cut into parts of about 2,000."""
    monkeypatch.setattr(survey, "SAMPLE_ROWS", 4_000)
    monkeypatch.setattr(survey, "LEAST_ROWS", 1_000)
    monkeypatch.setattr(parts, "PART_VALUES", 18_000)
    monkeypatch.setattr(parts, "BATCH_VALUES", 1_000)
    monkeypatch.setattr(files, "BLOCK_VALUES", 1 << 15)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))


@pytest.fixture(scope="module")
def frame():
    return make_mixed(ROWS)


@pytest.fixture(scope="module")
def loans(tmp_path_factory, frame):
    """Two Parquet files of several row groups."""
    folder = tmp_path_factory.mktemp("loans")
    frame[:6_000].write_parquet(folder / "a.parquet", row_group_size=950)
    frame[6_000:].write_parquet(folder / "b.parquet", row_group_size=1_250)
    return folder


def assert_same_model(there, here):
    """Up to what a few standard errors in 10,000 allow."""
    assert there.schema == here.schema
    assert there.certificate.rho <= 1e-4
    assert there.training.rows == here.training.rows
    assert there.training.positives == here.training.positives
    assert there.training.holdout_rows == here.training.holdout_rows
    np.testing.assert_allclose(there.W, here.W, atol=1e-6)
    np.testing.assert_allclose(there.averages, here.averages, atol=1e-9)
    assert there.evaluation.n == here.evaluation.n
    assert len(there.evaluation.groups) == len(here.evaluation.groups)
    assert there.evaluation.roc_auc == pytest.approx(here.evaluation.roc_auc, abs=1e-7)


def bits(model):
    return model.W.tobytes(), model.b.tobytes(), model.evaluation, model.certificate


# --- the sum over parts ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["parquet", "csv", "csv.gz", "arrow"])
def test_parts_hold_every_row_once_with_its_number(tmp_path, frame, kind):
    path = tmp_path / f"loans.{kind}"
    few = frame[:6_000]
    if kind == "parquet":
        few.write_parquet(path, row_group_size=1_100)
    elif kind == "arrow":
        few.write_ipc(path, record_batch_size=700)
    else:
        few.write_csv(path, compression="gzip" if kind.endswith("gz") else "uncompressed")
    stream = open_stream(path)
    for source, _ in stream.sources:
        if source.rows is None:
            parts.count_rows(source)
    cut = parts.cut_stream(stream)
    assert len(cut) > 1 or kind.startswith("csv")
    batches = [batch for part in cut for batch in part.batches(None)]
    assert [batch.first for batch in batches] == np.cumsum(
        [0, *(batch.table.frame.height for batch in batches[:-1])]
    ).tolist()
    whole = pl.concat([batch.table.frame for batch in stream.batches(6_000)])
    assert pl.concat([batch.table.frame for batch in batches]).equals(whole)


def test_a_long_text_is_cut_where_windows_end(tmp_path, monkeypatch):
    from onelayer.table import stream_text, windows

    for module in (windows, stream_text):
        monkeypatch.setattr(module, "WINDOW_BYTES", 1 << 14)
    rows = [f'{k},"a\nb{k % 7}",{"yes" if k % 3 else "no"}' for k in range(9_000)]
    (tmp_path / "t.csv").write_text("\n".join(["number,note,granted", *rows]) + "\n")
    stream = open_stream(tmp_path / "t.csv")
    parts.count_rows(stream.sources[0][0])
    monkeypatch.setattr(parts, "PART_VALUES", 3_000)
    cut = parts.cut_stream(stream)
    assert len(cut) > 3
    numbers = [batch.table.frame["number"] for part in cut for batch in part.batches(None)]
    assert pl.concat(numbers).cast(int).to_list() == list(range(9_000))
    place = next(iter(cut[-1].batches(None))).table.place_of(0)
    assert place == f"t.csv, line {2 + 2 * cut[-1].first}"


@pytest.mark.parametrize("texts", [False, True])
@pytest.mark.parametrize("many", [50, 30_000])
def test_findings_add_up_to_the_survey(frame, texts, many, monkeypatch):
    from onelayer.table import tally
    from onelayer.table.reading import Table, cut_batches

    monkeypatch.setattr(tally, "MOST_TEXTS", 5_000)
    wide = frame.with_columns(
        code=pl.Series(np.random.default_rng(0).integers(0, many, ROWS)),
        odd=pl.when(pl.int_range(ROWS) % 2_000 == 7).then(pl.lit("?")).otherwise(pl.lit("1")),
    )
    table = Table(wide.cast(pl.String) if texts else wide, "loans")
    split = Split("granted", None, 0.2, 0)
    whole = take_survey(cut_batches(table, 3_000), split, "loans")
    size, total = sample_size(table.frame.width), None
    for start in range(0, ROWS, 3_000):
        found = Findings(split, size, limit_lots(size, ROWS))
        for first, batch in cut_batches(table, 1_000):
            if start <= first < start + 3_000:
                found.add(first, batch)
        total = found if total is None else total + found
    added = close_survey(total, "loans")
    assert (added.n_rows, added.n_there, added.n_held) == (
        whole.n_rows,
        whole.n_there,
        whole.n_held,
    )
    assert added.sample.frame.equals(whole.sample.frame)
    assert added.numbers.tolist() == whole.numbers.tolist()
    assert added.targets.sort("spelled").equals(whole.targets.sort("spelled"))
    for name, expected in whole.tallies.items():
        got = added.tallies[name]
        assert (got.many, got.missing, got.aside) == (
            expected.many,
            expected.missing,
            expected.aside,
        )
        assert got.counts.sort("value").equals(expected.counts.sort("value"))


# --- the model ------------------------------------------------------------------------------------


def test_the_model_is_that_of_one_machine(client, loans):
    said, steps = [], []
    options = {"target": "granted", "protected": ["region"]}
    there = train(loans, client=client, say=said.append, tell=steps.append, **options)
    assert_same_model(there, train(loans, memory="200MB", **options))
    assert said[0] == f"10,000 rows of {loans} in 5 parts"
    assert {step.doing for step in steps} == {"surveying", "encoding", "training"}
    assert [group.column for group in there.evaluation.groups] == ["region"]


def test_the_bits_are_those_of_one_worker_and_of_a_worker_killed(client, loans):
    from onelayer.rows.cluster import connect

    expected = bits(train(loans, target="granted", client=client))
    with connect("local:1") as alone:
        assert bits(train(loans, target="granted", client=alone)) == expected
    killed = []

    def tell(stage):
        if stage.progress and stage.progress.iteration == 2 and not killed:
            killed.append(True)
            pids = client.run(os.getpid)
            os.kill(next(iter(pids.values())), signal.SIGKILL)

    assert bits(train(loans, target="granted", client=client, tell=tell)) == expected
    assert killed


def test_texts_with_weights(client, tmp_path, frame):
    weighted = frame.with_columns(w=pl.Series(np.arange(ROWS) % 3))
    weighted[:4_000].write_csv(tmp_path / "a.csv")
    weighted[4_000:].write_csv(tmp_path / "b.csv")
    options = {"target": "granted", "weight": "w", "weight_kind": "sampling"}
    there = train(str(tmp_path / "*.csv"), client=client, **options)
    assert_same_model(there, train(str(tmp_path / "*.csv"), memory="200MB", **options))


def test_classes_and_costs_are_weighed_as_on_one_machine(client, tmp_path, frame):
    loss = pl.Series(np.random.default_rng(1).exponential(size=ROWS) + 0.5)
    costly = frame.with_columns(w=pl.Series(np.arange(ROWS) % 3), loss=loss)
    # In the first file no row counts.
    costly = costly.with_columns(w=pl.when(pl.int_range(ROWS) < 2_000).then(0).otherwise("w"))
    for k, start in enumerate(range(0, ROWS, 2_000)):
        costly[start : start + 2_000].write_parquet(tmp_path / f"{k}.parquet")
    options = {"target": "granted", "weight": "w", "class_weight": "balanced", "base_rate": 0.2}
    options |= {"threshold": ThresholdRule("loss", 4.0), "protected": ["region"], "tol": 1e-6}
    there = train(tmp_path, client=client, **options)
    here = train(tmp_path, memory="200MB", **options)
    assert_same_model(there, here)
    np.testing.assert_allclose(there.b, here.b, atol=1e-7)
    assert there.threshold == pytest.approx(here.threshold, abs=1e-6)
    costs = there.evaluation.costs, here.evaluation.costs
    assert costs[0].at_threshold == pytest.approx(costs[1].at_threshold, rel=1e-3)
    assert costs[0].always == pytest.approx(costs[1].always, rel=1e-12)
    assert there.evaluation.log_loss == pytest.approx(here.evaluation.log_loss, rel=1e-6)
    assert there.best_column.column == here.best_column.column


def test_a_dataframe_of_dask(client, frame, loans):
    dd = pytest.importorskip("dask.dataframe")
    there = train(dd.from_pandas(frame.to_pandas(), npartitions=5), target="granted")
    assert_same_model(there, train(loans, target="granted", memory="200MB"))
    assert there.training.table == "Dask dataframe"


def test_l1_and_no_holdout(client, loans):
    options = {"target": "granted", "l1_ratio": 1.0, "C": 0.02, "holdout": 0}
    there = train(loans, client=client, **options)
    here = train(loans, memory="200MB", **options)
    assert there.evaluation is here.evaluation is None
    np.testing.assert_array_equal(there.W != 0, here.W != 0)
    assert there.training.objective == pytest.approx(here.training.objective, rel=1e-9)


def test_a_strength_is_chosen_on_a_part_of_the_rows(client, loans, monkeypatch):
    monkeypatch.setattr(strength, "FEWEST_ROWS", 4_000)
    monkeypatch.setattr(strength, "ROWS_PER_PARAMETER", 20)
    options = {"target": "granted", "C": "auto"}
    there = train(loans, client=client, **options)
    assert there.strength.rows < there.training.rows
    assert there.training.C == train(loans, memory="200MB", **options).training.C


def test_a_short_table_is_trained_as_in_memory(client, tmp_path, monkeypatch):
    monkeypatch.setattr(survey, "SAMPLE_ROWS", 100_000)
    table = make_mixed(2_000)
    table.write_parquet(tmp_path / "few.parquet")
    there = train(tmp_path / "few.parquet", target="granted", client=client)
    here = train(table, target="granted")
    assert there.W.tobytes() == here.W.tobytes()


def test_the_command_line_takes_a_cluster(client, tmp_path, loans):
    address = client.scheduler.address
    out = tmp_path / "model.json"
    done = run("train", loans, "--target", "granted", "--cluster", address, "-o", out)
    assert done.exit_code == 0, done.stderr
    assert "5 parts" in " ".join(done.stderr.split())
    assert json.loads(out.read_text())["training"]["rows"] > 7_500
    assert_same_model(Model.load(out), train(loans, target="granted", memory="200MB"))


# --- what goes wrong ------------------------------------------------------------------------------


def test_a_broken_file_is_named(client, tmp_path, frame):
    for k in range(3):
        frame[:3_000].write_parquet(tmp_path / f"{k}.parquet")
    raw = (tmp_path / "1.parquet").read_bytes()
    (tmp_path / "1.parquet").write_bytes(raw[:400] + raw[9_400:])
    with pytest.raises(InputError, match=r"1\.parquet: the Parquet file is cut or damaged"):
        train(tmp_path, target="granted", client=client)


def test_a_file_that_no_worker_sees_is_named(client, tmp_path, frame, monkeypatch):
    frame.write_parquet(tmp_path / "a.parquet")
    cut = parts.cut_stream

    def unlink(stream):
        found = cut(stream)
        (tmp_path / "a.parquet").unlink()
        return found

    monkeypatch.setattr("onelayer.streaming.spread.cut_stream", unlink)
    with pytest.raises(
        InputError, match=r"a\.parquet: no such file on .*: every worker must see this path"
    ):
        train(tmp_path / "a.parquet", target="granted", client=client)


def test_a_partition_that_kills_its_workers_is_named(client, frame):
    dd = pytest.importorskip("dask.dataframe")
    client.run_on_scheduler(forgive, 0)
    pandas = frame.to_pandas()
    table = dd.from_map(lambda k: die() if k == 2 else pandas[k::4], range(4), meta=pandas[:0])
    began = time.monotonic()
    try:
        with pytest.raises(InputError, match=r"partition 2: 1 workers that took it died"):
            train(table, target="granted", client=client)
        assert time.monotonic() - began < 30
    finally:
        client.run_on_scheduler(forgive, 2)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def forgive(deaths, dask_scheduler):
    dask_scheduler.allowed_failures = deaths


def test_malformed_lines_are_said_once(client, tmp_path, frame):
    text = frame.select("debt", "age", "granted").write_csv().splitlines(keepends=True)
    (tmp_path / "a.csv").write_text("".join([*text[:50], "1,2,3,4,5\n", *text[50:]]))
    with pytest.warns(DataWarning, match="1 malformed line"):
        model = train(tmp_path / "a.csv", target="granted", client=client)
    assert model.training.left_out_lines == (51,)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"memory": "200MB"}, "memory is for a training on one machine"),
        ({"resume": True}, "resume is for a training on one machine"),
        ({"cache": False}, "cache is for a training on one machine"),
        ({"target": "grant"}, "no column 'grant'; did you mean 'granted'"),
    ],
    ids=str,
)
def test_what_cannot_be_is_said_in_one_line(client, loans, options, said):
    with pytest.raises(InputError, match=said):
        train(loans, client=client, **{"target": "granted", **options})


def test_what_no_worker_can_read_is_refused(client, loans, frame, tmp_path):
    with pytest.raises(
        InputError, match="a cluster reads paths and Dask dataframes, not DataFrame"
    ):
        train(frame, target="granted", client=client)
    for options in ({"cache": tmp_path}, {"query": "select 1"}):
        with pytest.raises(InputError, match=r"leave it out|a query is for a database"):
            train(loans, target="granted", client=client, **options)


@pytest.fixture(scope="module")
def base(tmp_path_factory, frame):
    """The same rows in an SQLite file."""
    path = tmp_path_factory.mktemp("base") / "t.db"
    texts = frame.with_columns(pl.col("since").cast(pl.String))
    marks = ", ".join("?" * frame.width)
    with closing(sqlite3.connect(path)) as link, link:
        link.execute(f"create table loans ({', '.join(frame.columns)})")
        link.executemany(f"insert into loans values ({marks})", texts.rows())
    return path


@pytest.mark.parametrize("query", [None, "select * from loans order by rowid"])
def test_a_database_is_read_by_one_process_for_all(client, base, tmp_path, query):
    address = f"sqlite:///{base}" + ("" if query else "?table=loans")
    cache = tmp_path / "here"
    options = {"target": "granted", "query": query, "protected": ["region"], "cache": cache}
    there = train(address, client=client, **options)
    here = train(address, **options)
    assert_same_model(there, here)
    assert (there.training.table, there.training.sha256) == (
        here.training.table,
        here.training.sha256,
    )
    assert not cache.exists()


def test_a_value_in_a_database_is_refused_as_on_one_machine(client, base, tmp_path):
    address, odd = (
        f"sqlite:///{base}?table=loans",
        {"target": "granted", "roles": {"city": "numeric"}},
    )
    with pytest.raises(InputError) as refused:
        train(address, **odd)
    with pytest.raises(InputError) as refused_there:
        train(address, client=client, **odd)
    assert str(refused_there.value) == str(refused.value)


def test_a_worker_that_does_not_see_what_was_asked_says_so(base, tmp_path):
    kept = keep_rows(open_stream(f"sqlite:///{base}?table=loans"), tmp_path, 1_000)
    part = parts.cut_stream(kept)[3]
    assert next(iter(part.batches())).table.place_of(7).endswith(", row 3007")
    shutil.rmtree(tmp_path)
    with pytest.raises(InputError, match=r"every worker must see .*; name a folder .*--cache"):
        next(iter(part.batches()))
