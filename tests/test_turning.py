"""The smallest change against every change there is, and what missing values could be."""

import json
from dataclasses import replace
from itertools import combinations, product
from typing import Any

import numpy as np
import polars as pl
import pytest
from cli_run import refused, run
from loans import draw_loans

from onelayer.errors import InputError
from onelayer.explaining.changes import Change
from onelayer.model import Model
from onelayer.table.reading import read_table
from onelayer.training import train

RANDOM = np.random.default_rng(5)


def draw_small(rows: int = 500) -> pl.DataFrame:
    """Few values a column: whole numbers, decimals, levels, yes and no, gaps."""
    terms = RANDOM.choice([12, 24, 36, 48, 60], rows)
    debt = np.round(np.clip(RANDOM.normal(1.2, 0.7, rows), 0, 3), 1)
    city = RANDOM.choice(["Aachen", "Bonn", "Celle", "Dresden"], rows)
    owner = RANDOM.random(rows) < 0.4
    children = RANDOM.poisson(1.2, rows)
    logit = 1.0 - 0.03 * terms - 1.1 * debt + 1.5 * owner + 0.3 * children
    logit += np.select([city == "Bonn", city == "Celle"], [0.9, -0.8])
    rank = logit + RANDOM.logistic(size=rows)
    return pl.DataFrame(
        {
            "term": terms,
            "debt": pl.Series(debt).set(pl.Series(RANDOM.random(rows) < 0.08), None),
            "city": city,
            "owner": np.where(owner, "Y", "N"),
            "children": children,
            "granted": np.where(rank > np.quantile(rank, 0.6), "yes", "no"),
        }
    )


SMALL = draw_small()
LOANS = draw_loans(1_000)


def candidates(model: Model, name: str) -> list[Any]:
    """All values that training has seen of a column, or could have: all steps between extremes."""
    column = SMALL[name].drop_nulls()
    if name in ("city", "owner"):
        return column.unique().sort().to_list()
    if name == "debt":
        low, high = round(column.min() * 10), round(column.max() * 10)
        return [k / 10 for k in range(low, high + 1)]
    return column.unique().sort().to_list()  # few values: no others


def cost_of(model: Model, name: str, before: Any, after: Any) -> float:
    """The distance, from the numbers that stand in the model file."""
    if name in ("city", "owner"):
        return 1.0
    column = next(each for each in model.schema.columns if each.name == name)
    quantiles = np.quantile(SMALL[name].drop_nulls(), [0.01, 0.99])
    held = np.clip(SMALL[name].drop_nulls().to_numpy(), *quantiles)
    spread = held.std()
    if before is None:
        return 1 + abs(after - column.terms[0].center) / spread
    return abs(after - before) / spread


def find_by_force(model: Model, row: dict[str, Any], names: list[str]) -> tuple[int, float] | None:
    """Score every combination of values; the fewest columns and the least distance."""
    tables: list[dict[str, Any]] = []
    costs: list[tuple[int, float]] = []
    for count in range(1, len(names) + 1):
        for chosen in combinations(names, count):
            options = [
                [value for value in candidates(model, name) if value != row[name]]
                for name in chosen
            ]
            for values in product(*options):
                tables.append({**row, **dict(zip(chosen, values))})
                costs.append(
                    (count, sum(cost_of(model, n, row[n], v) for n, v in zip(chosen, values)))
                )
        now = model.predict([row])[0]
        turned = model.predict(pl.DataFrame(tables, infer_schema_length=None)) != now
        if turned.any():
            return min(cost for cost, did in zip(costs, turned) if did)
    return None


@pytest.mark.parametrize("options", [{}, {"C": 0.01}, {"l1_ratio": 1.0, "C": 0.1}], ids=str)
def test_brute_force_finds_nothing_smaller(options: dict[str, Any]) -> None:
    model = train(SMALL, target="granted", holdout=0, **options)
    assert model.schema.columns[0].role == "numeric"
    rows = [SMALL.row(k, named=True) for k in (*range(6), *SMALL["debt"].is_null().arg_true()[:2])]
    names = ["term", "debt", "city", "owner"]
    for row in rows:
        del row["granted"]
        change = model.explain(row, fixed=["children"]).change
        assert change is not None
        wanted = find_by_force(model, row, names)
        if wanted is None:
            assert change.values == ()
            assert "no change within the values seen" in change.sentence
            continue
        assert len(change.values) == wanted[0]
        assert change.distance == pytest.approx(wanted[1], rel=1e-9)
        assert change.is_least


def apply(row: dict[str, Any], change: Change) -> dict[str, Any]:
    return {**row, **{each.column: each.after for each in change.values}}


@pytest.mark.parametrize("threshold", [0.5, 0.13])
def test_it_turns_the_decision_of_a_thousand_rows(threshold: float) -> None:
    model = replace(
        train(LOANS, target="approve", holdout=0, protected=["sex"]), threshold=threshold
    )
    texts = LOANS.select(pl.all().cast(pl.String))
    changes = model.changes(LOANS, fixed=["age"])
    assert len(changes) == 1_000
    found = [k for k, each in enumerate(changes) if each.values]
    assert len(found) > 800
    before = model.predict(texts[found])
    after = model.predict(
        pl.DataFrame([apply(texts.row(k, named=True), changes[k]) for k in found])
    )
    assert (before != after).all()
    assert after.tolist() == [changes[k].decision for k in found]
    for name in ("age", "sex", "note", "id"):
        assert all(each.column != name for k in found for each in changes[k].values)
    incomes = LOANS["income"].drop_nulls()
    for k in found:
        for each in changes[k].values:
            if each.column == "income":
                assert incomes.min() <= float(each.after) <= incomes.max()
            assert each.distance > 0


def test_rows_that_nothing_turns_say_how_near_they_come() -> None:
    model = train(LOANS, target="approve", holdout=0)
    fixed = ["age", "since", "income", "employed"]
    found = [each for each in model.changes(LOANS, fixed=fixed) if not each.values]
    assert found
    for each in found:
        above = each.decision == model.positive
        assert (each.probability <= 0.5) == above
        assert f"{each.probability:.4f}" in each.sentence
    nothing = model.explain(LOANS, fixed=LOANS.columns).change
    assert nothing is not None
    assert nothing.values == ()
    assert nothing.probability == pytest.approx(model.predict_proba(LOANS[:1])[0, 1])


def test_thresholds_out_of_reach_are_no_error() -> None:
    model = train(SMALL, target="granted", holdout=0)
    for threshold in (0.0, 1.0):
        found = replace(model, threshold=threshold).explain(SMALL).change
        assert found is not None
        assert found.values == ()


def test_a_bound_holds_for_all_values_beyond() -> None:
    model = train(SMALL, target="granted", holdout=0)
    seen = set()
    for k, change in enumerate(model.changes(SMALL[:200], fixed=["city", "owner", "term"])):
        if len(change.values) != 1 or change.values[0].column != "debt":
            continue
        [value], row = change.values, SMALL.row(k, named=True)
        seen.add(value.bound)
        edge = float(value.after)
        beyond = [
            v
            for v in candidates(model, "debt")
            if (v >= edge if value.bound == "at least" else v <= edge)
        ]
        said = model.predict([{**row, "debt": v} for v in beyond])
        assert (said == change.decision).all()
        assert value.words == f"debt is {value.bound} {value.after}"
        step = -0.1 if value.bound == "at least" else 0.1
        before = round(edge + step, 1)
        if row["debt"] is not None and before != row["debt"]:
            assert model.predict([{**row, "debt": before}])[0] != change.decision
    assert seen == {"at least", "at most"}


def test_values_are_written_as_the_table_writes_them() -> None:
    rank = np.arange(400) + RANDOM.normal(0, 60, 400)
    table = pl.DataFrame(
        {
            "share": [f"{k / 8:.2f} %".replace(".", ",") for k in range(400)],
            "paid": [f"${k * 25:,}" for k in range(400)],
            "open": RANDOM.choice(["on", "off"], 400),
            "day": pl.date_range(pl.date(2020, 1, 1), pl.date(2021, 2, 3), eager=True)
            .dt.strftime("%d.%m.%Y")
            .to_list(),
            "good": np.where(rank > 200, "yes", "no"),
        }
    )
    for name, shape in (("share", r"\d+,\d\d%"), ("paid", r"\$\d+"), ("day", r"202\d-\d\d-\d\d")):
        model = train(table.select(name, "open", "good"), target="good", holdout=0)
        changes = model.changes(table[:50], fixed=["open"])
        found = [(k, each) for k, each in enumerate(changes) if each.values]
        assert found, name
        for k, each in found:
            assert pl.Series([each.values[0].after]).str.contains(f"^{shape}$").all()
            assert model.predict([apply(table.row(k, named=True), each)])[0] == each.decision
    flags = {
        value.after
        for each in model.changes(table)
        for value in each.values
        if value.column == "open"
    }
    assert flags <= {"on", "off"}


def test_a_number_that_means_missing_is_never_advised() -> None:
    table = SMALL.with_columns(pl.col("debt").fill_null(2.0).cast(pl.String))
    raw = read_table({name: table[name].to_list() for name in table.columns}, na=["0.3"])
    model = train(raw, target="granted", na=["0.3"], holdout=0)
    after = {v.after for each in model.changes(SMALL) for v in each.values if v.column == "debt"}
    assert after
    assert "0.3" not in after


def test_columns_that_are_not_there_cannot_be_fixed() -> None:
    model = train(SMALL, target="granted", holdout=0)
    with pytest.raises(InputError, match="no column 'depts'; did you mean 'debt'"):
        model.explain(SMALL, fixed=["depts"])


def test_models_of_an_older_onelayer_are_explained_too() -> None:
    """What their files lack is worked out from what they have."""
    model = train(LOANS, target="approve", holdout=0, C=0.1)
    whole = json.loads(json.dumps(model.to_dict()))
    for column in whole["schema"]["columns"]:
        if column["seen"] and column["seen"]["numbers"]:
            for name in ("spread", "decimals", "values"):
                del column["seen"]["numbers"][name]
    older = Model.from_dict(whole)
    changes = older.changes(LOANS[:100])
    texts = LOANS[:100].select(pl.all().cast(pl.String))
    found = [k for k, each in enumerate(changes) if each.values]
    assert len(found) > 80
    for k in found[:20]:
        row = apply(texts.row(k, named=True), changes[k])
        assert older.predict([row])[0] == changes[k].decision
    ages = [v.after for each in changes for v in each.values if v.column == "age"]
    assert ages
    assert all(age.isdigit() for age in ages)


def test_numbers_of_many_digits_move_in_round_steps() -> None:
    x = RANDOM.normal(size=(600, 3)) * [1e-3, 1.0, 1e6]
    rank = x @ [2e3, 2.0, 2e-6] + RANDOM.logistic(size=600)
    table = pl.DataFrame(x, schema=["small", "one", "large"]).with_columns(
        good=pl.Series(np.where(rank > 0, "yes", "no"))
    )
    model = train(table, target="good", holdout=0)
    changes = model.changes(table)
    assert all(each.is_least for each in changes)
    for each in changes:
        for value in each.values:
            assert len(value.after.lstrip("-0.").replace(".", "").rstrip("0")) <= 8
    found = [k for k, each in enumerate(changes) if each.values]
    rows = [apply(table.row(k, named=True), changes[k]) for k in found]
    texts = pl.DataFrame(rows, schema=dict.fromkeys(table.columns, pl.String), strict=False)
    assert (model.predict(texts) != model.predict(table[found])).all()


def test_hostile_names_and_values_stay_text(tmp_path: Any) -> None:
    names = {"debt": "=1+1\n<b>{}", "city": "\u202eytic", "term": "%s {0} 'x'"}
    table = SMALL.rename(names)
    table = table.with_columns(pl.col(names["city"]).replace("Bonn", "<script>\t" + "x" * 9_000))
    table.write_parquet(tmp_path / "t.parquet")
    run("train", tmp_path / "t.parquet", "--target", "granted", "-o", tmp_path / "m.json")
    for row in range(1, 12):
        said = run("explain", tmp_path / "m.json", tmp_path / "t.parquet", "--row", row)
        assert said.exit_code == 0
        lines = said.stdout.splitlines()
        assert all(len(line) <= 80 and line.isprintable() for line in lines)
        assert len(lines) < 40
    run("explain", tmp_path / "m.json", tmp_path / "t.parquet", "-o", tmp_path / "r.csv")
    written = pl.read_csv(tmp_path / "r.csv")
    texts = [text for k in range(1, 6) for text in written[f"reason_{k}"].drop_nulls()]
    assert any(text.startswith("'=1+1") for text in texts)
    assert not any(text.startswith("=") for text in texts)
    assert max(map(len, texts)) < 200


# --- missing answers ----------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::onelayer.errors.DataWarning")
@pytest.mark.parametrize("names", [["debt"], ["debt", "city"], ["owner", "children"]])
def test_the_range_is_that_of_all_values_seen(names: list[str]) -> None:
    model = train(SMALL, target="granted", holdout=0)
    row = {**SMALL.row(1, named=True), **dict.fromkeys(names)}
    known = {name: [*dict.fromkeys(SMALL[name].drop_nulls())] for name in names}
    found = model.explain(row).unanswered
    assert found is not None
    assert {each.column for each in found.answers} == set(names)
    rows = [{**row, **dict(zip(names, values))} for values in product(*known.values())]
    said = model.predict_proba(pl.DataFrame(rows, infer_schema_length=None))[:, 1]
    assert found.lowest == pytest.approx(said.min(), rel=1e-9)
    assert found.highest == pytest.approx(said.max(), rel=1e-9)
    now = model.predict_proba([row])[0, 1] > 0.5
    assert found.depends == bool(((said > 0.5) != now).any())


def test_nothing_is_left_open_where_all_is_there() -> None:
    model = train(SMALL, target="granted", holdout=0)
    row = next(k for k in range(500) if SMALL["debt"][k] is not None)
    assert model.explain(SMALL, row).unanswered is None


@pytest.mark.filterwarnings("ignore::onelayer.errors.DataWarning")
def test_missing_texts_and_dates_range_over_their_words_and_days() -> None:
    model = train(LOANS, target="approve", holdout=0)
    row = {**LOANS.row(0, named=True), "note": None, "since": None}
    found = model.explain(row).unanswered
    assert found is not None
    assert {"note", "since"} <= {each.column for each in found.answers}
    others = LOANS.select("note", "since")
    rows = pl.DataFrame([row] * 1_000, infer_schema_length=None)
    said = model.predict_proba(rows.with_columns(others))[:, 1]
    assert found.lowest <= said.min() + 1e-12
    assert found.highest >= said.max() - 1e-12


# --- the command line ---------------------------------------------------------------------------


def test_explain_says_what_would_turn_the_decision(tmp_path: Any) -> None:
    table, model = tmp_path / "loans.csv", tmp_path / "model.json"
    SMALL.write_csv(table)
    run("train", table, "--target", "granted", "-o", model)
    loaded = Model.load(model)
    missing = int(SMALL["debt"].is_null().arg_true()[0])
    said = " ".join(run("explain", model, table, "--row", missing + 1).stdout.split())
    found = loaded.explain(SMALL, missing)
    assert found.change is not None
    assert found.unanswered is not None
    assert "Smallest change that turns it" in said
    assert all(each.words in said for each in found.change.values)
    assert "debt is missing. Over all that training has seen there" in said
    assert f"between {found.unanswered.lowest:.4f} and {found.unanswered.highest:.4f}" in said
    assert "threshold" not in said
    replace(loaded, threshold=0.3).save(model)
    other = " ".join(run("explain", model, table, "--row", missing + 1).stdout.split())
    assert "above the threshold 0.3, so that the model says" in other
    loaded.save(model)
    kept = run("explain", model, table, "--fixed", "term,debt,city,owner,children").stdout
    assert "No change within the values seen in training turns this decision" in kept
    assert all(len(line) <= 80 for line in kept.splitlines())
    assert "leave out -o" in refused(
        run("explain", model, table, "--fixed", "term", "-o", tmp_path / "x.csv")
    )
