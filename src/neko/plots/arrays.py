"""Arrays of devices: their conductances over training, and the pulses that each has had."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

MAP = "cividis"
"""A colour map whose order is seen alike with and without colour vision deficiencies."""


def conductance_history(found: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Which part of the devices has which conductance, epoch by epoch.

    A panel per parameter and device of a weight; colours are per cent of its devices in each of the equal parts of the
    range, with a scale of square roots, on which rare conductances are seen beside frequent ones.

    Parameters
    ----------
    found : mapping
        By parameter and device what `neko.callbacks.Conductances.read` returns.
    """
    parts = {
        name: {label: 100.0 * h.counts / h.counts.sum(axis=1, keepdims=True) for label, h in devices.items()}
        for name, devices in found.items()
    }
    norm = PowerNorm(0.5, 0.0, max(part.max() for devices in parts.values() for part in devices.values()))
    figure, panels, bar = grid(found)
    for (name, label), axes in panels.items():
        histograms = found[name][label]
        times = np.append(histograms.epochs - 0.5, histograms.epochs[-1] + 0.5)
        image = axes.pcolormesh(times, 1e6 * histograms.edges, parts[name][label].T, norm=norm, cmap=MAP)
        image.set_rasterized(True)
        axes.set(xlabel="epoch" if label == [*found[name]][-1] else "", ylabel=f"{label} (µS)")
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
    figure.colorbar(image, cax=bar, label="devices per bin (%)")
    return figure


def pulse_counts(counts: Mapping[str, Mapping[str, Any]]) -> Figure:
    """How many pulses each device has had, as an image of the array.

    A panel per parameter and device of a weight, with the rows and columns of the weights; of a convolution the last
    axis is that of the columns.

    Parameters
    ----------
    counts : mapping
        Numbers of pulses by parameter and device, as `AnalogUpdate.pulses` returns them.
    """
    most = max(float(np.max(count)) for devices in counts.values() for count in devices.values())
    norm = Normalize(0.0, max(most, 1.0))
    figure, panels, bar = grid(counts)
    for (name, label), axes in panels.items():
        count = np.asarray(counts[name][label])
        matrix = count.reshape(math.prod(count.shape[:-1]), -1)
        image = axes.imshow(matrix, norm=norm, cmap=MAP, aspect="auto", interpolation="nearest")
        axes.set(xlabel="column of the weights" if label == [*counts[name]][-1] else "", ylabel=f"row, {label}")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
    figure.colorbar(image, cax=bar, label="pulses per device")
    return figure


def grid(found: Mapping[str, Mapping[str, Any]]) -> tuple[Figure, dict[tuple[str, str], Axes], Axes]:
    """A figure with a column per parameter and a row per device of a weight, its panels, and axes for a colour bar.

    Placed by hand, in inches: Matplotlib's own layout takes seconds for dozens of panels.
    """
    rows = max(len(devices) for devices in found.values())
    width, height = 2.8 * len(found) + 1.5, 2.1 * rows + 0.7
    figure = Figure(figsize=(width, height))
    bottom, top = 0.5 / height, 1.0 - 0.35 / height
    figure.subplots_adjust(0.75 / width, bottom, 1.0 - 1.1 / width, top, wspace=0.4, hspace=0.35)
    panels: dict[tuple[str, str], Axes] = {}
    for column, (name, devices) in enumerate(found.items()):
        for row, label in enumerate(devices):
            axes = figure.add_subplot(rows, len(found), row * len(found) + column + 1)
            panels[name, label] = axes
            if row == 0:
                axes.set_title(name, fontsize="medium")
    return figure, panels, figure.add_axes((1.0 - 0.9 / width, bottom, 0.15 / width, top - bottom))
