"""Whether a posterior's probabilities are right, and whether it knows its errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neko.bayes.calibration import Expected, Reliability
from neko.bayes.posterior import Posterior
from neko.bayes.ranking import selective_accuracy


def reliability(posterior: Posterior, y: Any, *, bins: int = 15) -> Figure:
    """The reliability diagram of a posterior: accuracy over confidence, and below how many examples a bin has.

    Each bin has the 95 % range in which the accuracy of a perfectly calibrated predictor with these confidences would
    be; the title has the expected calibration error beside the one that such a predictor would measure.

    Parameters
    ----------
    posterior : Posterior
        With predictions of class probabilities.
    y : array (examples,) or (examples, classes)
        Class numbers, or one-hot.
    bins : int
        Number of equal bins of the confidence.
    """
    figure = Figure(figsize=(4.2, 4.8), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    draw_reliability(above, posterior, y, bins)
    found = posterior.reliability(y, bins)
    below.stairs(found.examples, found.edges, fill=True, color="lightgray")
    above.set_xlabel("")
    below.set(xlabel="confidence", ylabel="examples")
    return figure


def draw_reliability(axes: Axes, posterior: Posterior, y: Any, bins: int = 15) -> None:
    """Accuracy over confidence, with the range of a calibrated predictor."""
    draw_bins(axes, posterior.reliability(y, bins), posterior.calibrated_error(bins))


def draw_bins(axes: Axes, found: Reliability, chance: Expected) -> None:
    """A reliability diagram, and the calibration error that a calibrated predictor would measure."""
    some = found.examples > 0
    axes.bar(
        found.edges[:-1],
        found.high - found.low,
        np.diff(found.edges),
        found.low,
        align="edge",
        color="lightgray",
        label="if calibrated: 95 % range",
    )
    axes.plot([0.0, 1.0], [0.0, 1.0], color="black", linewidth=1.0, linestyle="--")
    axes.plot(found.confidence[some], found.accuracy[some], ".-", color="#0072B2", label="measured")
    title = f"ECE {found.error:.3f}; if calibrated {chance.mean:.3f} ({chance.low:.3f} to {chance.high:.3f})"
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0.0, 1.0), ylim=(0.0, 1.0), title=title)
    axes.title.set_fontsize("medium")
    axes.legend(frameon=False, fontsize="small", loc="upper left")


def selective(posteriors: Mapping[str, Posterior], y: Any) -> Figure:
    """Accuracy of the others when the most uncertain examples are refused, a line per posterior.

    By the mean cross-entropy of the draws. The dashed line is the mean confidence of the others, which is the accuracy
    that a perfectly calibrated predictor would have.

    Parameters
    ----------
    posteriors : dict of str to Posterior
        By the name in the legend.
    y : array (examples,) or (examples, classes)
        Class numbers, or one-hot.
    """
    figure = Figure(figsize=(5.0, 3.6), layout="constrained")
    axes = figure.subplots()
    for number, (name, found) in enumerate(posteriors.items()):
        curve = found.selective_accuracy(y)
        expected = selective_accuracy(found.mean_cross_entropy().ravel(), found.confidence.ravel())
        refused = 100.0 * curve.refused
        label = f"{name} (area {curve.area:.3f})"
        axes.plot(refused, 100.0 * curve.accuracy, color=f"C{number}", linewidth=1.2, label=label)
        axes.plot(refused, 100.0 * expected.accuracy, color=f"C{number}", linewidth=1.0, linestyle="--")
    axes.plot([], [], color="gray", linewidth=1.0, linestyle="--", label="mean confidence of the others")
    axes.set(xlabel="most uncertain examples refused (%)", ylabel="accuracy of the others (%)", xlim=(0.0, 100.0))
    axes.legend(frameon=False, fontsize="small", loc="lower right")
    return figure
