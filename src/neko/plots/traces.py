"""The factors of e-prop's gradient of one neuron over time."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from neko.rules.observed import LayerTraces

SYNAPSES = 5
"""Largest number of synapses whose gradient is drawn."""


def traces(layer: LayerTraces, *, neuron: int, weight: str = "w_in", example: int = 0, dt: float = 1.0) -> Figure:
    """Eligibility traces of a neuron's synapses, its learning signal, and the cumulative sum of their products.

    Parameters
    ----------
    layer : LayerTraces
        Of one layer, as `Eprop.traces` gives them.
    neuron, example : int
        Which neuron, in which sequence of the batch.
    weight : {'w_in', 'w_rec'}
        Which of its synapses.
    dt : float
        Time step in ms.
    """
    filtered = layer.filtered[weight][example, :, :, neuron]
    signal = layer.signal[example, :, neuron]
    gradient = np.cumsum(signal[:, None] * filtered, axis=0)
    time = np.arange(len(signal)) * dt
    figure = Figure(figsize=(13, 3.6), layout="constrained")
    image, course, total = figure.subplots(1, 3)
    largest = float(np.abs(filtered).max()) or 1.0
    extent = (-0.5 * dt, time[-1] + 0.5 * dt, -0.5, filtered.shape[1] - 0.5)
    drawn = image.imshow(
        filtered.T, aspect="auto", origin="lower", cmap="RdBu_r", vmin=-largest, vmax=largest, extent=extent
    )
    figure.colorbar(drawn, ax=image, label="ē")
    image.set(title=f"eligibility traces onto neuron {neuron}", ylabel=f"synapse ({weight})")
    course.axhline(0.0, color="lightgray", linewidth=0.8)
    course.plot(time, signal, color="black", linewidth=1.2)
    course.set(title="learning signal", ylabel="L")
    total.axhline(0.0, color="lightgray", linewidth=0.8)
    for synapse in largest_gradients(gradient):
        total.plot(time, gradient[:, synapse], linewidth=1.2, label=f"synapse {synapse}")
    total.set(title="gradient so far, largest synapses", ylabel="Σ L ē")
    total.legend(frameon=False, fontsize="small")
    for axes in (image, course, total):
        axes.set_xlabel("time (ms)")
        axes.title.set_fontsize("medium")
    image.yaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def largest_gradients(gradient: np.ndarray) -> list[int]:
    """Synapses with the largest final gradient, from cumulative sums (time, synapses), without equal time courses."""
    found: list[int] = []
    for synapse in np.argsort(-np.abs(gradient[-1]), kind="stable"):
        if len(found) < SYNAPSES and not any(np.allclose(gradient[:, synapse], gradient[:, old]) for old in found):
            found.append(int(synapse))
    return found
