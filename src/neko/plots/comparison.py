"""Deviations between learning rules: figure 4 of the paper."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from neko.plots import colours
from neko.training.deviations import EDGES, HIDDEN, READOUT, is_readout

ROUNDING = 1e-5
"""Relative deviation up to which two gradients count as equal."""


def comparison(followed: Any) -> Figure:
    """Distributions of the deviations of a `GradientComparison` above, a panel per layer and kind of weight; deviation
    over time below.

    Tensors in which no rule deviates are left out, such as a readout that all rules train alike; a readout that does
    deviate is the rightmost panel.

    A deviation is that of one entry from the reference's, in units of the reference's root mean square; the outermost
    bins hold all that lies beyond them. Over time it is the norm of the difference over the norm of the reference.

    References
    ----------
    Zhao et al. (2021), "Neko: a library for exploring neuromorphic learning rules", figure 4.
    """
    rules = [name for name in followed.histograms if name != followed.reference]
    deviating = {row["tensor"] for row in followed.records if row["relative"] > ROUNDING} - {HIDDEN, READOUT}
    tensors = sorted(deviating, key=lambda name: (is_readout(name), name)) or [HIDDEN]
    figure = Figure(figsize=(3.0 * max(2, len(tensors)), 5.4), layout="constrained")
    above, below = figure.subplots(2, len(tensors), squeeze=False, sharex="row")
    for column, tensor in enumerate(tensors):
        for rule in rules:
            counts = followed.histograms[rule][tensor]
            colour = colours.of(rule, rules)
            above[column].stairs(counts / counts.sum() / np.diff(EDGES), EDGES, label=rule, color=colour)
            rows = [row for row in followed.records if row["rule"] == rule and row["tensor"] == tensor]
            batches, relative = [row["batch"] for row in rows], [row["relative"] for row in rows]
            below[column].plot(batches, relative, label=rule, linewidth=1.0, color=colour)
        above[column].set(title=tensor, xlabel="deviation / r.m.s. of the reference", yscale="log")
        ticks = np.linspace(EDGES[0], EDGES[-1], 5)
        beyond = [f"< {ticks[0]:g}", *(f"{tick:g}" for tick in ticks[1:-1]), f"> {ticks[-1]:g}"]
        above[column].set_xticks(ticks, beyond)
        below[column].set(xlabel="batch", ylim=(0.0, None))
    above[0].set_ylabel("density")
    below[0].set_ylabel(f"relative deviation from {followed.reference}")
    figure.legend(*below[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(rules), frameon=False)
    return figure
