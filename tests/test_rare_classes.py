"""Classes of so few rows that the sample by which a long table is settled may lack them."""

import numpy as np
import polars as pl
import pytest
from mixed_tables import make_mixed

from onelayer import train
from onelayer.errors import InputError
from onelayer.rows.lots import draw_lots, hold_out
from onelayer.table import findings, survey

ROWS = 12_000


@pytest.fixture(autouse=True)
def small_samples(monkeypatch, tmp_path):
    """Tables of a few thousand rows count as long."""
    monkeypatch.setattr(survey, "SAMPLE_ROWS", 4_000)
    monkeypatch.setattr(survey, "LEAST_ROWS", 1_000)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))


def rare(kind, held=False):
    """A table with three rows of a class, none of which is in a sample of 4,000."""
    table, numbers = make_mixed(ROWS), np.arange(ROWS)
    last = np.argsort(draw_lots(numbers, findings._SAMPLE_SEED))[::-1]
    last = last[hold_out(last, 0.2, 0) == held][:3]
    values = pl.Series(np.isin(numbers, last))
    return table.with_columns(
        granted=values.cast(pl.String) if kind == "text" else values.cast(kind)
    )


@pytest.mark.parametrize(
    ("kind", "where"),
    [
        *((kind, "streamed") for kind in ("text", pl.Int8, pl.Float32, pl.Boolean)),
        *((kind, "cluster") for kind in ("text", pl.Boolean)),
    ],
    ids=str,
)
def test_a_class_that_the_sample_lacks_is_learnt(request, tmp_path, kind, where):
    table, options = rare(kind), {"target": "granted", "tol": 1e-8}
    for k in range(3):
        table[4_000 * k :][:4_000].write_parquet(tmp_path / "loans" / f"{k}.parquet", mkdir=True)
    if where == "cluster":
        pytest.importorskip("distributed", reason="Dask is not installed: extra [dask]")
        options["client"] = request.getfixturevalue("client")
    there = train(tmp_path / "loans", **options)
    options.pop("client", None)
    whole = train(table, **options)
    assert there.schema == whole.schema
    assert there.training.positives == whole.training.positives == 3
    assert there.certificate.rho <= 1e-8
    np.testing.assert_allclose(there.W, whole.W, atol=1e-6)
    assert there.evaluation.log_loss == pytest.approx(whole.evaluation.log_loss, rel=1e-6)


@pytest.mark.parametrize("where", ["streamed", "whole"])
def test_a_class_that_is_all_held_out_is_said(tmp_path, where):
    rare("text", held=True).write_parquet(tmp_path / "a" / "0.parquet", mkdir=True)
    table = tmp_path / "a" if where == "streamed" else tmp_path / "a" / "0.parquet"
    with pytest.raises(InputError, match="the training rows hold only class 0; both are needed"):
        train(table, target="granted")
