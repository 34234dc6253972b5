"""Predictions and uncertainty of a posterior, and traces of its chains: figure 3 of the paper."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from neko.bayes.posterior import Posterior

WINDOW = 50
"""Epochs over which the plotted acceptance is averaged."""


def posterior(sampler: Any, x: np.ndarray, y: np.ndarray, *, example: int = 0) -> Figure:
    """One input with its prediction, the uncertainty of right and of wrong predictions, and traces of the chains.

    Parameters
    ----------
    sampler : Langevin, HMC or SGLD
        A trained sampler with predictions for `x` (``x_pred=x``).
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
    found: Posterior = sampler.posterior
    labels = found.classes(y)
    figure = Figure(figsize=(14, 3.6), layout="constrained")
    grid = figure.add_gridspec(2, 4)
    signal, bars, uncertainty = (figure.add_subplot(grid[:, column]) for column in range(3))
    density, acceptance = (figure.add_subplot(grid[row, 3]) for row in range(2))
    signal.plot(np.ravel(x[example]), color="black", linewidth=1.0)
    signal.set(title=f"input {example}, class {labels[example]}", xlabel="position", ylabel="value")
    draw_prediction(bars, found, example)
    draw_uncertainty(uncertainty, found.mean_cross_entropy(), found.mean_prediction.argmax(axis=-1) == labels)
    draw_traces(density, acceptance, sampler)
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


def draw_traces(density: Axes, acceptance: Axes, sampler: Any) -> None:
    """Log density and acceptance of every chain over epochs, with the warm-up shaded."""
    tested = not np.isnan(sampler.chains[0].acceptance).all()
    for number, chain in enumerate(sampler.chains):
        epochs = range(1, len(chain.logdensity) + 1)
        density.plot(epochs, chain.logdensity, linewidth=1.0, label=f"chain {number}")
        if tested:
            acceptance.plot(epochs, running_mean(chain.acceptance), linewidth=1.0)
    for axes in (density, acceptance):
        if sampler.warmup:
            axes.axvspan(0, sampler.warmup, color="lightgray", alpha=0.5, linewidth=0, label="warm-up")
        axes.set_xlim(0, sampler.epochs)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    density.set(ylabel="log density (nats)", title="chains")
    density.tick_params(labelbottom=False)
    density.legend(frameon=False, fontsize="small")
    acceptance.set(xlabel="epoch", ylabel="acceptance", ylim=(0.0, 1.0))
    acceptance.annotate(
        f"mean of {WINDOW} epochs", (0.98, 0.06), xycoords="axes fraction", ha="right", fontsize="small"
    )


def running_mean(values: list[float]) -> np.ndarray:
    """Mean of the last `WINDOW` values at each place."""
    sums = np.cumsum(np.concatenate([[0.0], values]))
    begin = np.maximum(np.arange(1, len(sums)) - WINDOW, 0)
    return (sums[1:] - sums[begin]) / (np.arange(1, len(sums)) - begin)
