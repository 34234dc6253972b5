"""What the pulses have done to the devices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure


def conductances(pairs: Mapping[str, tuple[Any, Any]]) -> Figure:
    """Histograms of g⁺ and g⁻ in microsiemens, a panel per parameter."""
    figure = Figure(figsize=(3.0 * len(pairs), 2.8), layout="constrained")
    panels = figure.subplots(1, len(pairs), squeeze=False)[0]
    for axes, (name, both) in zip(panels, pairs.items(), strict=True):
        for label, g in zip(("g⁺", "g⁻"), both, strict=True):
            axes.hist(1e6 * np.asarray(g).ravel(), bins=50, histtype="step", label=label)
        axes.set(title=name, xlabel="conductance (µS)", yscale="log")
    panels[0].set_ylabel("devices")
    panels[0].legend(frameon=False)
    return figure
