"""A signal, its spikes, and what is decoded from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

CHANNELS = 4
"""Largest number of channels that are drawn."""
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
