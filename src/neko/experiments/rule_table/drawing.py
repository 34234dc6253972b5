"""Figures of the table of rules: what is reached against alignment, and against cost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from neko.experiments.rule_table.cells import Line
from neko.plots import colours

MARKS = {"ALIF": "o", "LIF": "s", "RNN": "^", "GRU": "D"}
LOWEST = -0.2
"""Gain as which all below it is drawn."""
AXES = {"cosine": "mean cosine to the exact gradient", "milliseconds": "processor time of a step in ms"}


def figures(lines: Sequence[Line]) -> dict[str, Figure]:
    """The gain over guessing of every cell against the cosine and the time of a step; a colour for each rule, a mark
    for each neuron."""
    shown = [line for line in lines if not line.cell.control and len(line.score)]
    names = list(dict.fromkeys(line.cell.rule for line in shown))
    figure = Figure(figsize=(11, 5), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (measure, title) in zip(panels, AXES.items(), strict=True):
        for name in names:
            for neuron, mark in MARKS.items():
                own = [line for line in shown if line.cell.rule == name and line.cell.neuron == neuron]
                x = [line.mean(measure) for line in own if measure in line.values]
                y = [float(line.gain.mean()) for line in own if measure in line.values]
                axes.plot(x, np.maximum(y, LOWEST), mark, color=colours.of(name, names), markersize=5, alpha=0.7)
        axes.set(xlabel=title)
    panels[0].set_ylabel("gain over guessing (1: no error)")
    panels[1].set_xscale("log")
    for name in names:
        panels[1].plot([], [], "o", color=colours.of(name, names), label=name)
    for neuron in dict.fromkeys(line.cell.neuron for line in shown):
        panels[1].plot([], [], MARKS[neuron], color="black", label=neuron)
    figure.legend(loc="outside right center", frameon=False, fontsize="x-small")
    return {"gain": figure}
