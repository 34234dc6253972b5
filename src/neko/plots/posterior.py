"""Predictions and uncertainty of a posterior: figure 3 of the paper."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from neko.bayes.posterior import Posterior
from neko.bayes.sampling import Sampling
from neko.plots.chains import draw_traces
from neko.plots.reliability import draw_reliability


def posterior(learner: Any, x: np.ndarray, y: np.ndarray, *, example: int = 0) -> Figure:
    """One input with its prediction, the uncertainty of right and of wrong predictions, and traces of the chains or,
    for a method without chains, the reliability diagram.

    Parameters
    ----------
    learner : Inference
        A trained sampler, such as `Langevin`, or approximation, with predictions for `x` (``x_pred=x``).
    x : array (examples, …)
        Inputs; the one shown is drawn as a curve.
    y : array (examples,) or (examples, classes)
        Class numbers, or one-hot.
    example : int
        Which input is shown.

    References
    ----------
    Zhao et al. (2021), "Neko: a library for exploring neuromorphic learning rules", figure 3.
    """
    found: Posterior = learner.posterior
    labels = found.classes(y)
    figure = Figure(figsize=(14, 3.6), layout="constrained")
    grid = figure.add_gridspec(2, 4)
    signal, bars, uncertainty = (figure.add_subplot(grid[:, column]) for column in range(3))
    signal.plot(np.ravel(x[example]), color="black", linewidth=1.0)
    signal.set(title=f"input {example}, class {labels[example]}", xlabel="position", ylabel="value")
    draw_prediction(bars, found, example)
    draw_uncertainty(uncertainty, found.mean_cross_entropy(), found.mean_prediction.argmax(axis=-1) == labels)
    if isinstance(learner, Sampling):
        draw_traces(figure.add_subplot(grid[0, 3]), figure.add_subplot(grid[1, 3]), learner)
    else:
        draw_reliability(figure.add_subplot(grid[:, 3]), found, y)
    for axes in figure.axes:
        axes.title.set_fontsize("medium")
    return figure


def draw_prediction(axes: Axes, found: Posterior, example: int) -> None:
    """Class probabilities of one example: the posterior mean, and the range of the draws."""
    low, middle, high = np.quantile(found.probabilities[:, example], (0.05, 0.5, 0.95), axis=0)
    classes = range(len(middle))
    axes.bar(classes, found.mean_prediction[example], color="lightgray", label="posterior mean")
    ranges = (middle - low, high - middle)
    axes.errorbar(classes, middle, ranges, fmt=".", color="black", linewidth=1.0, label="draws: median, 5 to 95 %")
    axes.set(title=f"prediction for input {example}", xlabel="class", ylabel="probability", ylim=(0.0, 1.0))
    if len(middle) <= 20:
        axes.set_xticks(classes)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize="small")


def draw_uncertainty(axes: Axes, values: np.ndarray, right: np.ndarray) -> None:
    """Histograms of the mean cross-entropy of examples, (examples,), by whether they are predicted right."""
    edges = np.linspace(0.0, values.max(), 31).tolist()
    for label, chosen, colour in (("right", right, "#009E73"), ("wrong", ~right, "#D55E00")):
        if chosen.any():
            name = f"{label} ({chosen.sum()} examples)"
            axes.hist(values[chosen], edges, density=True, histtype="step", color=colour, label=name)
    axes.set(xlabel="mean cross-entropy (nats)", ylabel="density (1/nat)", title="uncertainty of predictions")
    axes.legend(frameon=False, fontsize="small")
