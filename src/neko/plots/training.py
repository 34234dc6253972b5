"""Learning curves, and what a network does with one example."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure


def learning_curves(axes: Axes, histories: Mapping[str, Mapping[str, list[float]]], measure: str) -> None:
    """One line per history: `measure` over epochs, dashed for the training batches beside a validation set."""
    for name, history in histories.items():
        (line,) = axes.plot(range(1, len(history[measure]) + 1), history[measure], label=name)
        training = history.get(measure.removeprefix("val_"))
        if measure.startswith("val_") and training is not None:
            axes.plot(range(1, len(training) + 1), training, "--", color=line.get_color(), alpha=0.5)
    axes.set(xlabel="epoch", ylabel=measure.removeprefix("val_").replace("_", " "))
    axes.legend(frameon=False)


def raster(axes: Axes, z: np.ndarray, dt: float) -> None:
    """Spikes (time, n) as dots over time in ms."""
    time, neuron = np.nonzero(z)
    axes.plot(time * dt, neuron, "|", color="black", markersize=3)
    axes.set(xlabel="time (ms)", ylabel="neuron", xlim=(-dt, len(z) * dt), ylim=(-1, z.shape[1]))


def membrane(axes: Axes, v: np.ndarray, threshold: np.ndarray, z: np.ndarray, dt: float) -> None:
    """Potential (time,), threshold (time,) and spikes (time,) of one neuron."""
    time = np.arange(len(v)) * dt
    axes.plot(time, v, label="membrane potential")
    axes.plot(time, threshold, ":", color="gray", label="threshold")
    axes.plot(time[z > 0], v[z > 0], "v", color="black", markersize=4, label="spike")
    axes.set(xlabel="time (ms)", ylabel="potential")
    axes.legend(frameon=False, fontsize="small")


def overview(histories: Mapping[str, Mapping[str, list[float]]], model: Any, x: np.ndarray, measure: str) -> Figure:
    """Learning curves, and for one example `x` (time, n_in) the spikes of the last layer and its busiest neuron.

    The last layer must be a spiking one with a membrane `v` and a threshold `v_th` (LIF, ALIF).
    """
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    curves, spikes, potential = figure.subplots(1, 3)
    learning_curves(curves, histories, measure)
    cell, states = model.network.cells[-1], model.record(x[None])[-1]
    z = states.z[0]
    raster(spikes, z, cell.dt)
    busiest = int(z.sum(axis=0).argmax())
    threshold = np.broadcast_to(np.asarray(cell.v_th, float), z.shape[1:])[busiest] * np.ones(len(z))
    if hasattr(states, "a"):
        threshold = threshold + np.broadcast_to(np.asarray(cell.beta), z.shape[1:])[busiest] * states.a[0][:, busiest]
    membrane(potential, states.v[0][:, busiest], threshold, z[:, busiest], cell.dt)
    potential.set_title(f"neuron {busiest}", fontsize="medium")
    return figure
