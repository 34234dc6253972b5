"""Signals, their spikes, what is decoded from them, and what that costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

CHANNELS = 4
"""Largest number of channels that are drawn."""
MARKERS = "osD^v<>PX*"
SIGNAL, DECODED, UP, DOWN = "black", "#D55E00", "#0072B2", "#E69F00"


def encoding(
    signal: np.ndarray,
    spikes: np.ndarray,
    reconstruction: np.ndarray | None = None,
    *,
    names: Sequence[str] | None = None,
    samples: int = 1000,
) -> Figure:
    """Two axes for each channel: the signal with its reconstruction, and the spikes below.

    Parameters
    ----------
    signal : array (time, channels)
    spikes : array (time · steps, channels · per_channel)
        As an encoder returns them: those of channel c are at ``c``, ``channels + c``, …; a spike down is -1.
    reconstruction : array (time, channels), optional
    names : sequence of str, optional
        Of the channels.
    samples : int
        Largest number of samples that are drawn, from the first; the first four channels are.
    """
    time, channels = signal.shape
    shown, drawn = min(time, samples), min(channels, CHANNELS)
    figure = Figure(figsize=(8.0, 2.6 * drawn + 0.6), layout="constrained")
    axes = figure.subplots(2 * drawn, 1, sharex=True, height_ratios=[2.0, 1.2] * drawn)
    x = np.arange(shown)
    for c in range(drawn):
        above, below = axes[2 * c : 2 * c + 2]
        above.plot(x, signal[:shown, c], color=SIGNAL, linewidth=1.2, label="signal")
        if reconstruction is not None:
            above.plot(x, reconstruction[:shown, c], color=DECODED, linewidth=1.2, label="decoded from the spikes")
        above.set_ylabel(names[c] if names else "signal")
        steps = len(spikes) // time
        raster(below, spikes[: shown * steps, c::channels], steps)
    if reconstruction is not None:
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=2, frameon=False)
    end = f" (the first {shown} of {time})" if shown < time else ""
    axes[-1].set(xlabel=f"sample{end}", xlim=(-0.01 * shown - 0.5, 1.01 * shown))
    figure.align_ylabels()
    return figure


def codes(signal: np.ndarray, spikes: Mapping[str, np.ndarray]) -> Figure:
    """A signal, and below it its spikes by several codes.

    Parameters
    ----------
    signal : array (time,)
    spikes : dict of str to array (time · steps,) or (time · steps, per_channel)
        By the name of the code, as encoders return them.
    """
    rows = [z.reshape(len(z), -1) for z in spikes.values()]
    heights = [2.0, *(0.5 + 0.08 * z.shape[1] for z in rows)]
    figure = Figure(figsize=(8.0, 0.62 * sum(heights) + 0.6), layout="constrained")
    above, *below = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    above.plot(signal, color=SIGNAL, linewidth=1.2)
    above.set_ylabel("signal", rotation=0, ha="right", va="center")
    for axes, name, z in zip(below, spikes, rows, strict=True):
        raster(axes, z, len(z) // len(signal))
        axes.set_yticks([])
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
    below[-1].set(xlabel="sample", xlim=(-0.01 * len(signal), 1.01 * len(signal)))
    return figure


def fronts(tunings: Mapping[str, Any]) -> Figure:
    """SNR over spikes per sample on the Pareto fronts of several codes, from 0 dB upwards, below which 0 is nearer.

    Parameters
    ----------
    tunings : dict of str to Tuning
        By the name of the code, as `neko.encoders.tune` returns them.
    """
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    for k, (name, found) in enumerate(tunings.items()):
        front = [(row.density, row.snr) for row in found.front if row.density > 0.0 and row.snr >= 0.0]
        style = f"{'-' if k < len(MARKERS) else '--'}{MARKERS[k % len(MARKERS)]}"
        axes.plot(*np.reshape(front, (-1, 2)).T, style, markersize=5.0, label=name)
    axes.set(xscale="log", xlabel="spikes per sample", ylabel="SNR (dB)")
    axes.grid(color="lightgray", linewidth=0.5)
    figure.legend(loc="outside right upper", frameon=False)
    return figure


def raster(axes: Axes, spikes: np.ndarray, steps: int) -> None:
    """Spikes of one channel, (time · steps, neurons), as ticks; those down in a row of their own."""
    signed = bool((spikes < 0).any())
    rows = [spikes[:, 0] > 0, spikes[:, 0] < 0] if signed else list(spikes.T > 0)
    at = [np.flatnonzero(row) / steps for row in rows]
    # a spike down is drawn below one up, and neurons from the lowest upwards
    places = [1.0, 0.0] if signed else list(range(len(rows)))
    width = float(np.clip(500.0 / len(spikes), 0.3, 1.2))
    colours = [UP, DOWN] if signed else [UP] * len(rows)
    axes.eventplot(at, lineoffsets=places, linelengths=0.8, linewidths=width, colors=colours)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    if signed:
        axes.set_yticks([0.0, 1.0], ["down", "up"])
    elif len(rows) == 1:
        axes.set_yticks([])
    else:
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("neuron" if len(rows) > 1 and not signed else "spikes")
