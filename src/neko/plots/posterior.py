"""What a posterior knows about examples, and how its chains went: figure 3 of the paper."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from neko.posterior import Posterior

WINDOW = 50
"""Epochs over which the acceptance is averaged for the eye."""


def posterior(
    found: Posterior, x: np.ndarray, y: np.ndarray, history: Mapping[str, list[float]], example: int = 0
) -> Figure:
    """An input example with its prediction, the uncertainty of right against wrong examples, and the traces.

    Parameters
    ----------
    found : Posterior
        With predictions for `x`.
    x : array (examples, …)
        Inputs; the one shown is drawn as a curve.
    y : array (examples,)
        Class numbers.
    history : dict of list of float
        Of the trainer: log density, acceptance and step size over epochs.
    example : int
        Which input is shown.

    References
    ----------
    Zhao et al. (2021), "Neko: a library for exploring neuromorphic learning rules", figure 3.
    """
    figure = Figure(figsize=(13, 3.4), layout="constrained")
    signal, bars, uncertainty, trace = figure.subplots(1, 4)
    signal.plot(np.ravel(x[example]))
    signal.set(title=f"input, class {y[example]}", xlabel="position", ylabel="value")

    draws = found.probabilities[:, example]
    low, middle, high = np.quantile(draws, (0.05, 0.5, 0.95), axis=0)
    bars.bar(range(len(middle)), found.mean_prediction[example], color="lightgray")
    bars.errorbar(range(len(middle)), middle, (middle - low, high - middle), fmt=".", color="black", linewidth=1.0)
    bars.set(title="prediction, 5 to 95 % of the draws", xlabel="class", ylabel="probability", ylim=(0.0, 1.0))

    values = found.mean_cross_entropy()
    right = found.mean_prediction.argmax(axis=-1) == y
    edges = np.linspace(0.0, values.max(), 31)
    for label, chosen in (("right", right), ("wrong", ~right)):
        uncertainty.hist(values[chosen], edges, density=True, histtype="step", label=f"{label} ({chosen.sum()})")
    uncertainty.set(xlabel="mean cross-entropy (nats)", ylabel="density", title="uncertainty of test examples")
    uncertainty.legend(frameon=False)

    trace.plot(history["logdensity"], linewidth=1.0)
    trace.set(xlabel="epoch", ylabel="log density (mean of chains)", title="traces")
    if "acceptance" in history:
        right_axis = trace.twinx()
        right_axis.plot(running_mean(history["acceptance"]), color="tab:orange", linewidth=1.0)
        right_axis.set(ylabel=f"acceptance, mean of {WINDOW} epochs", ylim=(0.0, 1.0))
    return figure


def running_mean(values: list[float]) -> np.ndarray:
    """Mean of the last `WINDOW` values at each place."""
    sums = np.cumsum(np.concatenate([[0.0], values]))
    begin = np.maximum(np.arange(1, len(sums)) - WINDOW, 0)
    return (sums[1:] - sums[begin]) / (np.arange(1, len(sums)) - begin)
