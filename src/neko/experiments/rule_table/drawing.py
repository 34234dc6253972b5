"""Figures of the table of rules: what is reached against alignment, and against cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from neko.experiments.rule_table.cells import Line

MARKS = {"ALIF": "o", "LIF": "s", "RNN": "^", "GRU": "D"}
FILLS: dict[str, Any] = {"symmetric": "full", "random": "none", "adaptive": "left"}
"""How marks are filled by the feedback of a rule; those of rules without modes are full."""
LOWEST = -0.2
"""Gain as which all below it is drawn."""
AXES = {"cosine": "mean cosine to the exact gradient", "milliseconds": "processor time of a step in ms"}


def figures(lines: Sequence[Line]) -> dict[str, Figure]:
    """The gain over guessing of every rule by Adam against the cosine and the time of a step: a colour for each rule, a
    mark for each neuron, a filling for each mode of feedback."""
    shown = [line for line in lines if line.cell.by_adam and len(line.score)]
    names = list(dict.fromkeys(line.cell.rule.partition(":")[0] for line in shown))
    colours = dict(zip(names, mpl.colormaps["turbo"](np.linspace(0.02, 0.98, len(names))), strict=True))
    figure = Figure(figsize=(11, 5.5), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (measure, title) in zip(panels, AXES.items(), strict=True):
        for line in [line for line in shown if measure in line.values]:
            name, _, mode = line.cell.rule.partition(":")
            style = {"color": colours[name], "fillstyle": FILLS.get(mode, "full"), "markerfacecoloralt": "white"}
            gain = max(float(line.gain.mean()), LOWEST)
            axes.plot(line.mean(measure), gain, MARKS[line.cell.neuron], markersize=6, **style)
        axes.set(xlabel=title)
    panels[0].set_ylabel("gain over guessing (1: no error)")
    panels[1].set_xscale("log")
    for name, colour in colours.items():
        panels[1].plot([], [], "o", color=colour, label=name)
    for neuron in dict.fromkeys(line.cell.neuron for line in shown):
        panels[1].plot([], [], MARKS[neuron], color="black", label=neuron)
    for mode in dict.fromkeys(line.cell.rule.partition(":")[2] for line in shown if ":" in line.cell.rule):
        panels[1].plot([], [], "o", color="gray", fillstyle=FILLS[mode], markerfacecoloralt="white", label=mode)
    figure.legend(loc="outside right center", frameon=False, fontsize="small")
    return {"gain": figure}
