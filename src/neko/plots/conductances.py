"""Conductances of the devices after training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

DEVICES = {"g⁺": "#0072B2", "g⁻": "#D55E00"}
"""The two devices of a pair, with their colours."""


def conductances(pairs: Mapping[str, tuple[Any, Any]]) -> Figure:
    """Histograms of g⁺ and g⁻ in microsiemens, a panel per parameter."""
    figure = Figure(figsize=(3.2 * len(pairs), 3.0), layout="constrained")
    panels = figure.subplots(1, len(pairs), squeeze=False)[0]
    for axes, (name, both) in zip(panels, pairs.items(), strict=True):
        micro = [1e6 * np.asarray(g).ravel() for g in both]
        # Common bins, so that the heights of both can be compared.
        edges = np.histogram_bin_edges(np.concatenate(micro), bins=min(50, 5 + int(np.sqrt(micro[0].size))))
        for (label, colour), g in zip(DEVICES.items(), micro, strict=True):
            axes.hist(g, bins=edges, histtype="step", label=label, color=colour)
        axes.set(title=f"{name}, {micro[0].size} pairs", xlabel="conductance (µS)")
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.title.set_fontsize("medium")
    panels[0].set_ylabel("devices per bin")
    panels[0].legend(frameon=False, fontsize="small")
    return figure
