"""The report as a file: what it holds, which rows it shows, and that it is written whole."""

import base64
import hashlib
import json
import re
import warnings

import numpy as np
import polars as pl
import pytest
from cli_run import refused, run
from loans import draw_loans

from onelayer import InputError, Model, train, write_report
from onelayer.holdout import holdout_mask
from onelayer.markup import render
from onelayer.markup.axes import linear_axis, log_axis
from onelayer.report import open_source, render_report
from onelayer.report.judgement import judge_table
from onelayer.thresholds.choice import ThresholdRule

LOANS = draw_loans(500, seed=3)


@pytest.fixture(scope="module")
def model():
    return train(LOANS, target="approve", protected=["sex"])


@pytest.fixture(scope="module")
def page(model):
    return render_report(model, LOANS)


def data_of(page):
    return json.loads(re.search(r'id="onelayer-data">(.*?)</script>', page, re.DOTALL)[1])


def test_it_is_one_small_file_that_asks_for_nothing(page):
    assert len(page.encode()) < 400_000
    assert not re.search(r"(?:src|href)=\"(?!#)|url\(|@import|https?://(?!www\.w3\.org/)", page)
    assert not re.search(r"\sstyle=|\son[a-z]+=", page.split("<body>")[1].split("<script")[0])


def test_only_the_page_s_own_style_and_script_are_allowed(page):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1].replace("&#39;", "'")
    for name in ("style", "script"):
        text = re.search(rf"<{name}>(.*?)</{name}>", page, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")


@pytest.mark.parametrize(
    "title",
    [
        *("In short", "Is it good", "Where to cut", "What moves decisions", "What if"),
        *("The network", "The weights", "Learning, and its proof", "The data", "How it was made"),
    ],
)
def test_every_part_is_there(page, title):
    assert f">{title}</h2>" in page


def test_the_sample_is_of_the_rows_held_out_first(model, page):
    labels = (LOANS["approve"] == "yes").to_numpy().astype(float)
    held = np.flatnonzero(holdout_mask(labels, 0.2, seed=0))
    numbers = data_of(page)["rows"]["numbers"]
    assert set(numbers[: len(held)]) == set(held.tolist())
    assert sorted(numbers) == list(range(500))
    assert f"the {len(held)} rows held out" in page


def test_the_evaluation_is_that_of_the_training(model, page):
    assert f"{model.evaluation.roc_auc:.3f}" in page
    assert data_of(page)["cuts"]["confusion"]["tp"] == model.evaluation.confusion.tp


def test_another_table_is_judged(model):
    other = draw_loans(300, seed=9)
    found, survey = judge_table(model, open_source(model, other.rename({"id": "number"})), 500)
    assert found.found == model.evaluate(other)
    assert (survey.rows, survey.judged, found.where) == (300, 300, "the 300 rows of DataFrame")


def test_a_table_without_answers_shows_what_the_training_found(model):
    page = render_report(model, LOANS.drop("approve"))
    assert f"the {model.evaluation.n} rows held out" in page
    assert set(data_of(page)["rows"]["labels"]) == {None}
    assert 'id="sigmoid"' not in page  # no answers, no classes on it


def test_a_model_that_was_not_judged_says_so(tmp_path):
    path = tmp_path / "loans.csv"
    LOANS.write_csv(path)
    model = train(path, target="approve", holdout=0)
    assert "these numbers flatter it" in render_report(model, path)
    page = render_report(model, LOANS.drop("approve"))
    assert "none were held out" in page
    assert ">Is it good</h2>" not in page


def test_no_row_goes_into_the_page_unless_asked_for(model):
    page = render_report(model, LOANS, rows=0)
    rows = data_of(page)["rows"]
    assert rows["numbers"] == [-1]
    assert "share it as you would share the table" not in page
    assert len(data_of(render_report(model, LOANS, rows=7))["rows"]["numbers"]) == 7
    with pytest.raises(InputError, match="rows is -1, expected how many rows, 0 or more"):
        write_report(model, LOANS, "report.html", rows=-1)


def test_rows_take_no_more_room_than_there_is(tmp_path):
    long = LOANS.with_columns(pl.col("note") + pl.Series([f"{k:04}" * 500 for k in range(500)]))
    model = train(LOANS, target="approve")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        page = render_report(model, long)
    assert len(page.encode()) < 400_000
    assert 10 < len(data_of(page)["rows"]["numbers"]) < 100


def test_the_same_report_in_batches(tmp_path, model):
    path = tmp_path / "loans.csv"
    LOANS.write_csv(path)
    own = train(path, target="approve", protected=["sex"])
    whole = render_report(own, path)
    parts = [LOANS.slice(k, 100) for k in range(0, 500, 100)]
    folder = tmp_path / "loans"
    folder.mkdir()
    for k, part in enumerate(parts):
        part.write_csv(folder / f"{k}.csv")
    streamed = render_report(train(folder, target="approve", protected=["sex"]), folder)
    assert data_of(streamed)["rows"] == data_of(whole)["rows"]
    assert data_of(streamed)["cuts"] == data_of(whole)["cuts"]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"cost_fp": 1, "cost_fn": 5}, "a false ‘yes’ costs 1 and a false ‘no’ 5"),
        ({"cost_fp": "age", "cost_fn": 90}, "a false ‘yes’ costs as in age and a false ‘no’ 90"),
        ({"accept": 0.3}, "30.0\u202f% of the rows are called ‘yes’"),
        ({"min_precision": 0.7}, "at least 70.0\u202f% of those called ‘yes’ are so"),
        ({"max_fpr": 0.1}, "at most 10.0\u202f% of the others are called ‘yes’"),
    ],
)
def test_it_says_how_the_threshold_was_chosen(rule, said):
    model = train(LOANS, target="approve", threshold=ThresholdRule(**rule))
    page = render_report(model, LOANS)
    assert said in page
    assert 'id="choice"' in page
    assert f'id="cut-value" for="cut">{model.threshold:.4f}<' in page
    costs = re.findall(r'id="cost-f[pn]"[^>]*value="([^"]*)"', page)
    assert costs == (["1", "5"] if rule.get("cost_fp") == 1 else ["1", "1"])


def test_it_is_written_whole_or_not_at_all(model, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    size = write_report(model, LOANS, path)
    assert path.stat().st_size == size
    before = path.read_bytes()
    monkeypatch.setattr("os.fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(InputError, match=r"cannot write .*report\.html: full"):
        write_report(model, LOANS, path, rows=3)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]


def test_the_commands(tmp_path):
    table, model, page = (tmp_path / name for name in ("loans.csv", "model.json", "page.html"))
    LOANS.write_csv(table)
    done = run("train", table, "--target", "approve", "-o", model, "--report", page)
    assert done.exit_code == 0, done.stderr
    assert f"The report went to {page}" in " ".join(done.stdout.split())
    first = page.read_text("utf-8")
    done = run("report", model, table, "-o", page, "--json")
    document = json.loads(done.stdout)
    assert document == {"table": "loans.csv", "report": str(page), "bytes": len(first.encode())}
    assert page.read_text("utf-8") == first
    assert run("report", model, table, "-o", "-").stdout == first
    assert (
        str(page)
        in json.loads(
            run(
                "train", table, "--target", "approve", "-o", model, "--report", page, "--json"
            ).stdout
        )["report"]
    )
    assert refused(run("report", model, table, "-o", table)).startswith(f"-o {table} is the input")
    assert "name a file" in refused(run("report", model, table, "-o", "-", "--json"))
    same = run("train", table, "--target", "approve", "-o", model, "--report", model)
    assert "is where the model goes" in refused(same)


def test_older_models_have_a_report_too(tmp_path):
    """Without a summary, a curve, intervals, or the share held out."""
    LOANS.write_csv(tmp_path / "loans.csv")
    sections = train(tmp_path / "loans.csv", target="approve").to_dict()
    del sections["summary"], sections["training"]["holdout"]
    for name in ("curve", "intervals", "ks", "brier_parts"):
        del sections["evaluation"][name]
    page = render_report(Model.from_dict(sections), tmp_path / "loans.csv")
    assert ">Where to cut</h2>" not in page
    assert ">The weights</h2>" in page
    assert "most of them trained on" in page


def test_a_page_holds_no_half_written_numbers(page):
    shown = re.sub(r"C=inf", "", page.split("<main")[1].split("</main")[0])
    assert not re.search(r"\b(?:nan|inf|None|Undefined)\b", shown)


def test_ticks_are_round_and_within():
    for low, high in (
        (0, 1),
        (-3.21, 4.9),
        (1e-9, 2e-9),
        (99999.5, 100000.5),
        (5, 5),
        (-1e12, 3e12),
    ):
        axis = linear_axis("x", [low, high])
        assert 2 <= len(axis.ticks) <= 8, (low, high)
        assert all(axis.low <= tick.value <= axis.high + 1e-9 * abs(high) for tick in axis.ticks)
        assert len({tick.label for tick in axis.ticks}) == len(axis.ticks)
    assert [tick.label for tick in log_axis("y", [1e-10, 1e3]).ticks] == [
        "10⁻¹⁰",
        "10⁻⁷",
        "10⁻⁴",
        "10⁻¹",
        "10²",
    ]


def test_a_model_without_an_evaluation_shows_itself():
    model = train(LOANS, target="approve", holdout=0)
    assert "none were held out" in model._repr_html_()


def test_templates_refuse_a_value_that_is_not_there():
    with pytest.raises(Exception, match="'text' is undefined"):
        render("value.html.jinja")
