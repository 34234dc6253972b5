"""Markov chains: traces over epochs with the warm-up shaded, and ranks of their draws."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from neko.bayes.posterior import Posterior

WINDOW = 50
"""Epochs over which the plotted acceptance is averaged."""
BINS = 20
"""Bins of ranks."""


def chains(sampler: Any) -> Figure:
    """Log density and acceptance of every chain of a sampler over epochs, with the warm-up shaded."""
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    density, acceptance = figure.subplots(2, 1, sharex=True)
    draw_traces(density, acceptance, sampler)
    return figure


def ranks(posterior: Posterior, y: Any = None) -> Figure:
    """Histograms of the ranks that a chain's draws have among those of all chains, a column per chain.

    Of the log density, and below of the draws' negative log likelihood where labels `y` are given. Where chains agree
    all are level, but for chance, which is larger the more successive draws are alike.

    References
    ----------
    Vehtari et al. (2021), "Rank-normalization, folding, and localization: an improved R̂", doi:10.1214/20-BA1221.
    """
    traces = {"log density": posterior.logdensity}
    if y is not None:
        traces["negative log likelihood"] = posterior.negative_log_likelihoods(y)
    number, draws = posterior.logdensity.shape
    figure = Figure(figsize=(2.2 * number + 0.8, 2.0 * len(traces) + 0.6), layout="constrained")
    panels = figure.subplots(len(traces), number, squeeze=False, sharex=True, sharey=True)
    edges = np.linspace(0.0, number * draws, min(BINS, draws) + 1)
    for row, (name, trace) in zip(panels, traces.items(), strict=True):
        for chain, (axes, places) in enumerate(zip(row, ranked(trace), strict=True)):
            axes.hist(places + 0.5, edges.tolist(), color=f"C{chain}", alpha=0.7)
            axes.axhline(draws / (len(edges) - 1), color="black", linewidth=1.0, linestyle="--")
        row[0].set_ylabel(f"{name}\ndraws")
    for chain in range(number):
        panels[0][chain].set_title(f"chain {chain}", fontsize="medium")
        panels[-1][chain].set_xlabel("rank")
    return figure


def ranked(trace: np.ndarray) -> np.ndarray:
    """Ranks from 0 among all draws, (chains, draws); equal ones in the order of draws, and of chains within it.

    >>> ranked(np.array([[0.1, 0.4], [0.3, 0.2]])).tolist()
    [[0, 3], [2, 1]]
    """
    order = np.argsort(trace.T.ravel(), kind="stable")
    places = np.empty(order.shape, np.int64)
    places[order] = np.arange(len(order))
    return places.reshape(trace.shape[::-1]).T


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
