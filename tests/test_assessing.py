"""Groups, drift and the best column: against pandas-like sums by hand, SciPy and laws."""

import io
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from loans import draw_loans
from scipy import stats
from sklearn import metrics

from onelayer.assessing import assess
from onelayer.errors import DataWarning
from onelayer.judging.audit import GroupAudit
from onelayer.judging.drift import Drift, stability
from onelayer.judging.evaluate import Evaluation
from onelayer.labelling import label_batches
from onelayer.model import Model
from onelayer.table.reading import cut_batches, read_table
from onelayer.training import train

LOANS = draw_loans()
LATER = draw_loans(300, seed=1)
MODEL = train(LOANS, target="approve", protected=["sex", "age"], drop=["verdict", "note"])
FOUND = MODEL.evaluate(LATER)


def audit_of(found: Evaluation, column: str) -> GroupAudit:
    return next(each for each in found.groups if each.column == column)


def drift_of(found: Evaluation) -> Drift:
    assert found.drift is not None
    return found.drift


# Groups


def test_rates_by_group_are_those_of_its_rows() -> None:
    labels = (LATER["approve"] == "yes").to_numpy()
    probabilities = MODEL.predict_proba(LATER)[:, 1]
    called = probabilities > 0.5
    audit = audit_of(FOUND, "sex")
    assert sorted(each.value for each in audit.groups) == sorted(set(LATER["sex"]))
    for group in audit.groups:
        mine = (LATER["sex"] == group.value).to_numpy()
        assert (group.n, group.positives) == (mine.sum(), labels[mine].sum())
        assert group.share == pytest.approx(mine.mean())
        for rate, rows in (
            (group.selected, mine),
            (group.recall, mine & labels),
            (group.false_alarms, mine & ~labels),
        ):
            assert rate is not None
            exact = stats.binomtest(int(called[rows].sum()), int(rows.sum()))
            wilson = exact.proportion_ci(method="wilson")
            assert rate.value == pytest.approx(called[rows].mean())
            assert (rate.low, rate.high) == pytest.approx((wilson.low, wilson.high))
        assert group.mean_predicted == pytest.approx(probabilities[mine].mean())
        losses = -np.log(np.where(labels, probabilities, 1 - probabilities))[mine]
        assert group.log_loss is not None
        assert group.log_loss.value == pytest.approx(losses.mean())
        error = losses.std() / np.sqrt(mine.sum())
        assert group.log_loss.high - losses.mean() == pytest.approx(1.96 * error, rel=1e-3)


def test_the_impact_ratio_is_lowest_over_highest() -> None:
    audit = audit_of(FOUND, "sex")
    rates = [each.selected.value for each in audit.groups if each.selected is not None]
    assert audit.selected_impact == pytest.approx(min(rates) / max(rates))
    assert audit.rejected_impact == pytest.approx((1 - max(rates)) / (1 - min(rates)))
    ratios = [each.selected_ratio for each in audit.groups if each.is_judged]
    assert max(ratios) == 1  # type: ignore[type-var]
    assert min(ratios) == pytest.approx(audit.selected_impact)  # type: ignore[type-var]


def test_groups_under_30_rows_are_said_not_judged() -> None:
    few = LATER.with_columns(
        sex=pl.when(pl.int_range(300) < 29).then(pl.lit("x")).otherwise("sex"),
        age=pl.lit(30),
    )
    audit = audit_of(MODEL.evaluate(few), "sex")
    other = next(each for each in audit.groups if each.value == "other")
    assert (other.n, other.is_judged, other.selected, other.log_loss) == (29, False, None, None)
    alone = audit_of(MODEL.evaluate(few), "age")
    assert alone.selected_impact is None


def test_numbers_are_grouped_in_quarters_of_the_training() -> None:
    audit = audit_of(FOUND, "age")
    assert len(audit.groups) == 4
    column = next(each for each in MODEL.schema.columns if each.name == "age")
    assert column.seen is not None
    assert column.seen.numbers is not None
    first = column.seen.numbers.quantiles[2]
    group = next(each for each in audit.groups if each.value == f"up to {first:.6g}")
    assert group.n == (LATER["age"] <= first).sum()


def test_missing_values_are_a_group() -> None:
    holes = LATER.with_columns(sex=pl.when(pl.int_range(300) < 40).then(None).otherwise("sex"))
    audit = audit_of(MODEL.evaluate(holes), "sex")
    assert {each.value: each.n for each in audit.groups}["missing"] == 40


def test_a_weight_of_2_is_the_row_twice_in_every_group() -> None:
    weighted = train(
        LOANS.with_columns(w=pl.lit(1)),
        target="approve",
        weight="w",
        protected=["sex"],
        drop=["note"],
    )
    twice = weighted.evaluate(LATER.with_columns(w=pl.lit(2)))
    doubled = weighted.evaluate(pl.concat([LATER, LATER]).with_columns(w=pl.lit(1)))
    for one, other in zip(twice.groups[0].groups, doubled.groups[0].groups, strict=True):
        assert one.selected == other.selected
        assert one.log_loss is not None
        assert other.log_loss is not None
        assert one.log_loss.low == pytest.approx(other.log_loss.low)


# Drift


def test_a_table_like_the_training_has_not_moved() -> None:
    drift = drift_of(FOUND)
    assert drift.rows == 300
    assert drift.score.psi < 3 * drift.score.noise
    for each in drift.columns:
        assert each.psi < 4 * each.noise, each
        assert sum(part.before for part in each.bins) == pytest.approx(1)
        assert sum(part.now for part in each.bins) == pytest.approx(1)
    names = {each.name for each in MODEL.schema.columns if each.terms}
    assert {each.column for each in drift.columns} == names | {"sex", "age"}


def test_what_has_moved_comes_first_with_what_is_new() -> None:
    moved = LATER.with_columns(
        income=pl.when(pl.int_range(300) < 90).then(None).otherwise(pl.col("income") * 3),
        city=pl.lit("moon"),
    )
    with pytest.warns(DataWarning, match="values that no training row held"):
        drift = drift_of(MODEL.evaluate(moved))
    assert {each.column for each in drift.columns[:2]} == {"income", "city"}
    found = {each.column: each for each in drift.columns}
    assert found["income"].missing_now == pytest.approx(moved["income"].is_null().mean())
    assert found["city"].unseen_now == 1
    assert found["income"].psi > 0.25
    assert found["city"].psi > 0.25


def test_the_index_is_the_symmetric_divergence() -> None:
    p, q = np.array([0.2, 0.5, 0.3]), np.array([0.4, 0.4, 0.2])
    expected = stats.entropy(p, q) + stats.entropy(q, p)
    assert stability(p, q, 10**9, 10**9) == pytest.approx(expected)
    assert stability([1.0, 0.0], [0.5, 0.5], 100, 100) == pytest.approx(
        (0.5 - 1) * np.log(0.5) + (0.5 - 0.005) * np.log(0.5 / 0.005)
    )


def test_columns_that_are_gone_are_named() -> None:
    drift = drift_of(MODEL.evaluate(LATER.drop("sex")))
    assert drift.absent == ("sex",)
    assert not [each for each in MODEL.evaluate(LATER.drop("sex")).groups if each.column == "sex"]


# The best column


def test_the_best_column_is_the_one_that_alone_does_best() -> None:
    assert MODEL.best_column is not None
    columns = [each.name for each in MODEL.schema.columns if each.terms]
    alone = {}
    for column in columns:
        others = [name for name in LOANS.columns if name not in (column, "approve")]
        alone[column] = train(LOANS, target="approve", drop=others, holdout=0).training.cost
    assert MODEL.best_column.column == min(alone, key=lambda column: alone[column])
    baseline = FOUND.best_column
    assert baseline is not None
    assert FOUND.log_loss < baseline.log_loss < FOUND.baseline_log_loss
    W, b = MODEL.best_column.spread(MODEL.schema.feature_columns)
    logits = replace(MODEL, W=W, b=b).predict_logits(LATER)
    labels = (LATER["approve"] == "yes").to_numpy()
    assert baseline.roc_auc == pytest.approx(metrics.roc_auc_score(labels, logits))
    assert baseline.log_loss == pytest.approx(metrics.log_loss(labels, 1 / (1 + np.exp(-logits))))


# Laws


def test_parts_of_a_table_give_the_same_bits() -> None:
    parts = (table for _, table in cut_batches(read_table(LATER), 37))
    assert MODEL.evaluate(parts) == FOUND


def test_an_older_model_is_judged_all_the_same() -> None:
    sections: dict[str, Any] = MODEL.to_dict()
    del sections["reference"], sections["best_column"]
    for name in ("ks", "brier_parts", "intervals", "curve", "best_column", "groups", "drift"):
        del sections["evaluation"][name]
    del sections["evaluation"]["costs"]
    for each in sections["evaluation"]["calibration"]:
        del each["low"], each["high"]
    older = Model.from_dict(sections)
    assert older.evaluation is not None
    assert older.evaluation.intervals == ()
    assert older.evaluation.calibration[0].low is None
    found = older.evaluate(LATER)
    assert (found.drift, found.best_column) == (None, None)
    assert found.log_loss == FOUND.log_loss
    again = Model.load(io.BytesIO(older.to_bytes()))
    assert again.to_dict() == older.to_dict()


def test_assess_takes_rows_without_their_table() -> None:
    labelled = label_batches(MODEL.schema, [read_table(LATER)])
    parts = (each._replace(table=None, there=None) for each in labelled)
    found = assess(MODEL.subject, parts)
    assert found == replace(FOUND, groups=(), drift=None)
