"""Learning curves, spikes and membrane potentials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from neko.plots import colours

UNITS = {"firing_rate": "firing rate (Hz)"}
HANDFUL = range(3, 7)
"""Preferred numbers of spikes of the shown neuron: the threshold adapts, and single spikes are visible."""
APART = 4.0
"""Steps between two spikes from which both are visible."""


def learning_curves(
    axes: Axes,
    histories: Mapping[str, Mapping[str, list[float]]],
    measure: str,
    *,
    levels: Mapping[str, float] | None = None,
) -> None:
    """`measure` over epochs, one colour per history.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where to draw.
    histories : dict of str to dict of list of float
        By name; a rule's name gives its colour (see `neko.plots.colours`).
    measure : str
        A measure of the histories. With the prefix ``val_`` that of the training batches is added, dashed.
    levels : dict of str to float, optional
        Values to compare with, by name, as dotted lines.
    """
    name = measure.removeprefix("val_")
    both = False
    for title, history in histories.items():
        colour = colours.of(title, histories)
        axes.plot(range(1, len(history[measure]) + 1), history[measure], color=colour, label=title)
        if measure != name and name in history:
            both = True
            axes.plot(range(1, len(history[name]) + 1), history[name], "--", color=colour, linewidth=1.0)
    for title, level in (levels or {}).items():
        axes.axhline(level, linestyle=":", color="black", linewidth=1.0, label=title)
    if both:
        for title, style in (("validation", "-"), ("training", "--")):
            axes.add_line(Line2D([], [], linestyle=style, color="gray", label=title))
    axes.set(xlabel="epoch", ylabel=UNITS.get(name, name.replace("_", " ")))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize="small")


def raster(axes: Axes, z: np.ndarray, dt: float) -> None:
    """Spikes (time, n) as marks over time in ms."""
    time, neuron = np.nonzero(z)
    axes.plot(time * dt, neuron, "|", color="black", markersize=4)
    axes.set(xlabel="time (ms)", ylabel="neuron", xlim=(-dt, len(z) * dt), ylim=(-1, z.shape[1]))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))


def membrane(
    axes: Axes, v: np.ndarray, threshold: np.ndarray, z: np.ndarray, dt: float, *, reset: np.ndarray | None = None
) -> None:
    """Potential, threshold and spikes of one neuron over time in ms.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where to draw.
    v, threshold, z : array (time,)
        Membrane potential, threshold in the same unit, and spikes.
    dt : float
        Time step in ms.
    reset : array (time,), optional
        The potential right after a spike at each step; the line drops to it where the neuron spikes.
    """
    time, fired = np.arange(len(v)) * dt, z > 0
    shown_time, shown = time, v
    if reset is not None:
        after = np.flatnonzero(fired) + 1
        shown_time, shown = np.insert(time, after, time[fired]), np.insert(v, after, reset[fired])
    axes.plot(shown_time, shown, color="black", linewidth=1.2, label="membrane potential")
    axes.plot(time, threshold, "--", color="gray", linewidth=1.2, label="threshold")
    axes.plot(time[fired], v[fired], "v", color="#D55E00", markersize=5, label="spike")
    axes.set(xlabel="time (ms)", ylabel="potential (threshold at rest = 1)")
    axes.legend(frameon=False, fontsize="small")


def overview(
    histories: Mapping[str, Mapping[str, list[float]]],
    model: Any,
    x: np.ndarray,
    measure: str,
    *,
    levels: Mapping[str, float] | None = None,
    onsets: Mapping[float, str] | None = None,
) -> Figure:
    """Learning curves, and for one input the spikes of the last layer and the membrane of one of its neurons.

    Parameters
    ----------
    histories, measure, levels
        See `learning_curves`.
    model : Model
        Its last layer must be a spiking one with a membrane `v` and a threshold `v_th` (LIF, ALIF).
    x : array (time, n_in)
        The input.
    onsets : dict of float to str, optional
        Times in ms at which a new input begins, with its name.
    """
    figure = Figure(figsize=(13, 3.8), layout="constrained")
    curves, spikes, potential = figure.subplots(1, 3)
    learning_curves(curves, histories, measure, levels=levels)
    top = len(model.network.cells) - 1
    cell, states = model.network.cells[top], model.record(x[None])[-1]
    z = states.z[0]
    rate = 1000.0 * z.mean() / cell.dt
    raster(spikes, z, cell.dt)
    spikes.set_title(f"spikes of {cell.units} neurons, {rate:.0f} Hz on average", fontsize="medium")
    learnt = {name.rpartition(".")[2]: c for name, c in model.constants.items() if name.startswith(f"layers.{top}.")}
    v_th = np.broadcast_to(np.asarray(learnt.get("v_th", cell.v_th), float), z.shape[1:])
    shown = clearest_neuron(z, states.v[0] / v_th)
    v, threshold = states.v[0][:, shown] / v_th[shown], np.ones(len(z))
    if hasattr(states, "a"):
        beta = float(np.broadcast_to(np.asarray(learnt.get("beta", cell.beta), float), z.shape[1:])[shown])
        threshold = threshold + beta / v_th[shown] * states.a[0][:, shown]
    reset = v - 1.0 if cell.reset == "subtract" else np.zeros_like(v)
    membrane(potential, v, threshold, z[:, shown], cell.dt, reset=reset)
    potential.set_title(f"neuron {shown}", fontsize="medium")
    potential.set_xlim(spikes.get_xlim())
    above, points = ("data", "axes fraction"), "offset points"
    for begin, name in (onsets or {}).items():
        for axes in (spikes, potential):
            axes.axvline(begin, color="lightgray", linewidth=0.8, zorder=0)
            axes.annotate(name, (begin, 1.0), (2, -9), xycoords=above, textcoords=points, color="gray", size="small")
    return figure


def clearest_neuron(z: np.ndarray, v: np.ndarray) -> int:
    """The neuron whose spikes are best visible, from spikes and potentials in units of the threshold, (time, n).

    In this order: a number of spikes in or closest to `HANDFUL`, spikes at least `APART` steps apart, and the smallest
    range of potentials, of which a reset is then the largest part.
    """
    counts = z.sum(axis=0)

    def merit(neuron: int) -> tuple[float, float, float]:
        missing = max(HANDFUL.start - counts[neuron], counts[neuron] - HANDFUL[-1], 0)
        gaps = np.diff(np.flatnonzero(z[:, neuron]))
        return -float(missing), min(float(gaps.min()) if len(gaps) else 0.0, APART), -float(np.ptp(v[:, neuron]))

    return max(range(z.shape[1]), key=merit)
