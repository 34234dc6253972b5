"""Figures of the table of rules: what is reached against alignment, and against cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

from neko.experiments.rule_table.cells import Line, gain, mean

MARKS = {"ALIF": "o", "LIF": "s", "RNN": "^", "GRU": "D"}
FILLS: dict[str, Any] = {"symmetric": "full", "random": "none", "adaptive": "left"}
"""How marks are filled by the feedback of a rule; those of rules without modes are full."""
AXES = {"cosine": "mean cosine to the exact gradient", "milliseconds": "processor time of a step in ms"}


def figures(lines: Sequence[Line]) -> dict[str, Figure]:
    """The gain over guessing of every rule by Adam against the cosine and the time of a step, as means over the tasks
    of a neuron: a colour for each rule, a mark for each neuron, a filling for each mode of feedback. Rules that lack a
    task, because they diverged, are not drawn; without any rule there is no figure."""
    found = of_all_tasks([line for line in lines if line.cell.by_adam and len(line.score)])
    if not found:
        return {}
    names = list(dict.fromkeys(rule.partition(":")[0] for _, rule in found))
    colours = dict(zip(names, mpl.colormaps["turbo"](np.linspace(0.02, 0.98, len(names))), strict=True))
    figure = Figure(figsize=(11, 5.5), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (measure, title) in zip(panels, AXES.items(), strict=True):
        for (neuron, rule), own in found.items():
            value = mean(own, measure)
            if value is not None:
                name, _, mode = rule.partition(":")
                style = {"color": colours[name], "fillstyle": FILLS.get(mode, "full"), "markerfacecoloralt": "white"}
                axes.plot(value, gain(own), MARKS[neuron], markersize=6, **style)
        axes.set(xlabel=title)
    panels[0].set_ylabel("gain over guessing (1: no error)")
    panels[1].set_xscale("log")
    panels[1].xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    panels[1].xaxis.set_major_formatter(FormatStrFormatter("%g"))
    panels[1].xaxis.set_minor_formatter(NullFormatter())
    for name, colour in colours.items():
        panels[1].plot([], [], "o", color=colour, label=name)
    for neuron in dict.fromkeys(neuron for neuron, _ in found):
        panels[1].plot([], [], MARKS[neuron], color="black", label=neuron)
    for mode in dict.fromkeys(rule.partition(":")[2] for _, rule in found if ":" in rule):
        panels[1].plot([], [], "o", color="gray", fillstyle=FILLS[mode], markerfacecoloralt="white", label=mode)
    figure.legend(loc="outside right center", frameon=False, fontsize="small")
    return {"gain": figure}


def of_all_tasks(lines: Sequence[Line]) -> dict[tuple[str, str], list[Line]]:
    """By neuron and rule, the lines of rules that have all tasks of their neuron."""
    groups: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        groups.setdefault((line.cell.neuron, line.cell.rule), []).append(line)
    most = {neuron: max(len(own) for (n, _), own in groups.items() if n == neuron) for neuron, _ in groups}
    return {pair: own for pair, own in groups.items() if len(own) == most[pair[0]]}
