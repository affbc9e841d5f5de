"""Pictures of an evaluation with matplotlib: ROC, precision and recall, calibration, gain."""

from collections.abc import Sequence
from typing import Any

from onelayer.errors import InputError
from onelayer.measures import CalibrationBin, Curve

_SIZE = (9.0, 8.0)  # inches


def plot_evaluation(
    curve: Curve | None, calibration: Sequence[CalibrationBin], threshold: float, axes: Any = None
) -> Any:
    """Draw the four pictures, the cut at the threshold marked on each curve.

    Args:
        curve: None where all rows are of one class: the calibration alone is drawn.
        calibration: From the lowest probabilities to the highest.
        threshold: Of the decisions.
        axes: Four axes to draw on, (2, 2) or in a row; None for a new figure.

    Returns:
        The axes, (2, 2): ROC, precision over recall; calibration, gain.

    Raises:
        InputError: matplotlib is not there, or `axes` are not four.
    """
    axes = _find_axes(axes)
    roc, precision, calibrated, gain = axes.ravel()
    if curve is not None:
        _draw(roc, curve.roc, curve, threshold, "ROC", ("false positive rate", "recall"))
        roc.plot([0, 1], [0, 1], ":", color="grey")
        names = "recall", "precision"
        _draw(precision, curve.precision_recall, curve, threshold, "Precision and recall", names)
        precision.axhline(curve.base_rate, linestyle=":", color="grey")
        names = "share of rows called positive", "share of the positive rows among them"
        _draw(gain, curve.gain, curve, threshold, "Gain", names)
        gain.plot([0, 1], [0, 1], ":", color="grey")
    _draw_calibration(calibrated, calibration)
    return axes


def _find_axes(axes: Any) -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise InputError("pictures need matplotlib: pip install 'onelayer[plot]'") from None
    if axes is None:
        return plt.subplots(2, 2, figsize=_SIZE, layout="constrained")[1]
    if getattr(axes, "size", 0) != 4:
        raise InputError("axes must be an array of four, such as plt.subplots(2, 2)[1]")
    return axes


def _draw(
    ax: Any,
    points: Sequence[tuple[float, float]],
    curve: Curve,
    threshold: float,
    title: str,
    names: tuple[str, str],
) -> None:
    ax.plot(*zip(*points), color="C0")
    # The precision-recall curve has no point for calling no row, and one more at its beginning.
    places = [k for k, cut in enumerate(curve.cuts) if cut.threshold == threshold]
    for k in places:
        if 0 <= k < len(points):
            ax.plot(*points[k], "o", color="C1", label=f"threshold {threshold:.3g}")
            ax.legend(frameon=False)
    ax.set(title=title, xlabel=names[0], ylabel=names[1], xlim=(0, 1), ylim=(0, 1.02))


def _draw_calibration(ax: Any, bins: Sequence[CalibrationBin]) -> None:
    said = [each.mean_predicted for each in bins]
    seen = [each.observed for each in bins]
    ax.plot([0, 1], [0, 1], ":", color="grey")
    if all(each.low is not None and each.high is not None for each in bins):
        below = [each.observed - (each.low or 0.0) for each in bins]
        above = [(each.high or 0.0) - each.observed for each in bins]
        ax.errorbar(said, seen, [below, above], fmt="o-", color="C0", capsize=2)
    else:
        ax.plot(said, seen, "o-", color="C0")
    ax.set(title="Calibration", xlabel="probability said", ylabel="share of positives")
