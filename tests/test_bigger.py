"""The table larger than memory of the benchmarks: its truth, its ways, what is kept of them."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import OneHotEncoder

from benchmarks.bigger import child, command, make
from benchmarks.race import draw


def test_the_truth_is_what_a_fit_of_the_rows_finds():
    truth = make.draw_truth()
    frame, least = make.make_frame(1, 40_000, truth)
    units = np.array([(0, 1)] * 6 + [(2_000, 400)] * 5 + [(50, 12)] * 5, dtype=float)
    Z = (frame.select(make.NUMBERS).to_numpy() - units[:, 0]) / units[:, 1]
    levels = OneHotEncoder().fit(frame.select(*make.LEVELS).to_numpy())
    X = np.column_stack([Z, levels.transform(frame.select(*make.LEVELS).to_numpy()).toarray()])
    y = (frame[make.TARGET] == make.YES).to_numpy()
    model = LogisticRegression(C=100.0).fit(X, y)
    np.testing.assert_allclose(model.coef_[0, :16], truth.weights, atol=0.06)
    fitted = log_loss(y, model.predict_proba(X)[:, 1])
    assert least - 0.004 < fitted < least


def test_files_hold_the_rows_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(make, "FILE_ROWS", 400)
    monkeypatch.setattr(make, "HELD_ROWS", 300)
    make.make_files(tmp_path, 1_000)
    assert make.read_made(tmp_path)["rows"] == 1_000
    assert sorted(path.name for path in (tmp_path / "trained").iterdir()) == [
        "00000.parquet",
        "00001.parquet",
        "00002.parquet",
    ]
    always = np.full(300, 0.5)
    assert child.judge(tmp_path, always) == pytest.approx(np.log(2))
    found = command.run_way("scikit-learn SGDClassifier", tmp_path, 60.0)
    assert 0.3 < found["log_loss"] < 20
    assert found["seconds"] > 0
    assert command.run_way("onelayer", tmp_path, 0.01)["note"] == "over 0.01 s"


def test_the_quickest_of_several_runs_is_kept_and_drawn(tmp_path):
    for seconds in (30.0, 20.0, 25.0):
        facts = {"way": "onelayer", "rows": 1_000, "seconds": seconds, "pass_seconds": 2.0}
        more = {"log_loss": 0.5, "peak_mb": 700.0, "cpu_seconds": 2 * seconds}
        command.keep(facts | more, tmp_path)
    scan = {"way": "polars scan and sum", "rows": 1_000, "seconds": 4.0, "cpu_seconds": 4.0}
    command.keep(scan, tmp_path)
    command.keep({"way": "Spark MLlib", "rows": 1_000, "note": "over 9 s"}, tmp_path)
    lines = command.read_results(tmp_path / "1000.csv")
    assert (lines["onelayer"]["seconds"], lines["onelayer"]["rounds"]) == ("20.0", "3")
    drawn = draw.write_bigger(tmp_path)
    assert "| onelayer | 20 s | 5x | 40 s | 10x | 700 MB | 0.50000 |" in drawn
    assert "one pass 2.0 s, 0.5x" in drawn
    assert "| Spark MLlib | over 9 s |" in drawn
