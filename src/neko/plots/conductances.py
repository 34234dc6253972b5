"""Conductances of the devices after training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

COLOURS = {"g⁺": "#0072B2", "g⁻": "#D55E00", "g": "#0072B2"}
"""The devices of a weight."""


def conductances(held: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Histograms of conductances in microsiemens, a panel per parameter and a line per device of a weight."""
    figure = Figure(figsize=(3.2 * len(held), 3.0), layout="constrained")
    panels = figure.subplots(1, len(held), squeeze=False)[0]
    for axes, (name, devices) in zip(panels, held.items(), strict=True):
        micro = {label: 1e6 * np.asarray(g).ravel() for label, g in devices.items()}
        size = next(iter(micro.values())).size
        # Common bins, so that the heights can be compared.
        edges = np.histogram_bin_edges(np.concatenate([*micro.values()]), bins=min(50, 5 + int(np.sqrt(size))))
        for label, g in micro.items():
            axes.hist(g, bins=edges, histtype="step", label=label, color=COLOURS[label])
        axes.set(title=f"{name}, {size} weights", xlabel="conductance (µS)")
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.title.set_fontsize("medium")
    panels[0].set_ylabel("devices per bin")
    panels[0].legend(frameon=False, fontsize="small")
    return figure
