"""Pictures with matplotlib: what is drawn is what was found."""

import sys

import matplotlib as mpl
import numpy as np
import pytest

from onelayer.errors import InputError
from onelayer.judging.evaluate import evaluate
from onelayer.network import sigmoid

mpl.use("agg")
import matplotlib.pyplot as plt

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=300)
LABELS = (RANDOM.random(300) < sigmoid(LOGITS)).astype(float)
FOUND = evaluate(LABELS, LOGITS, threshold=0.4)


def test_the_pictures_hold_the_numbers() -> None:
    roc, precision, calibration, gain = FOUND.plot().ravel()
    assert FOUND.curve is not None
    assert roc.lines[0].get_xydata().tolist() == [list(point) for point in FOUND.curve.roc]
    assert gain.lines[0].get_xydata().tolist() == [list(point) for point in FOUND.curve.gain]
    cells = FOUND.confusion
    for ax, expected in (
        (roc, (1 - cells.specificity, cells.recall)),  # type: ignore[operator]
        (precision, (cells.recall, cells.precision)),
        (gain, ((cells.tp + cells.fp) / FOUND.n, cells.recall)),
    ):
        assert ax.get_legend().get_texts()[0].get_text() == "threshold 0.4"
        marked = next(line for line in ax.lines if line.get_marker() == "o")
        assert marked.get_xydata()[0].tolist() == pytest.approx(expected)
    said = [each.mean_predicted for each in FOUND.calibration]
    assert calibration.containers[0].lines[0].get_xdata().tolist() == said
    plt.close("all")


def test_axes_of_ones_own_are_drawn_on() -> None:
    _, axes = plt.subplots(1, 4)
    assert FOUND.plot(axes) is axes
    assert all(ax.get_title() for ax in axes)
    with pytest.raises(InputError, match="axes must be an array of four"):
        FOUND.plot(axes[:2])
    plt.close("all")


def test_one_class_has_a_calibration_alone() -> None:
    axes = evaluate([1, 1, 1], [0.0, 1.0, 2.0]).plot()
    assert [bool(ax.get_title()) for ax in axes.ravel()] == [False, False, True, False]
    plt.close("all")


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(InputError, match=r"pip install 'onelayer\[plot\]'"):
        FOUND.plot()
