"""A measure against the options that a sweep varied."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

COLOUR = "#0072B2"
CELLS = 400
"""Settings up to which two options are shown as a heat map."""


def sweep(
    settings: Sequence[dict[str, Any]],
    means: Sequence[float],
    deviations: Sequence[float],
    measure: str,
    *,
    logarithmic: Collection[str] = (),
) -> Figure:
    """The mean of a measure over the seeds, with the standard deviation as error bar: against the varied option; for
    two of them, where every value of one goes with several of the other, as a heat map; for more, a panel for each.

    Parameters
    ----------
    settings : list of dict
        Values of the varied options; all have the same names.
    means, deviations : list of float
        Of the measure, a number per setting; a deviation is NaN where there is one seed.
    measure : str
        Name of the measure.
    logarithmic : collection of str
        Options whose axis is logarithmic.
    """
    names = list(settings[0]) or ["all seeds"]
    rows = [setting or {"all seeds": ""} for setting in settings]
    if len(names) == 2 and is_grid(rows, names):
        figure = Figure(figsize=(5.4, 4.0), layout="constrained")
        heat_map(figure, rows, means, deviations, measure)
        return figure
    figure = Figure(figsize=(max(5.0, 3.2 * len(names)), 3.6), layout="constrained")
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        against(axes, name, [row[name] for row in rows], means, deviations, joined=len(names) == 1)
        if name in logarithmic:
            axes.set_xscale("log")
    panels[0].set_ylabel(measure.replace("_", " "))
    return figure


def against(
    axes: Axes,
    name: str,
    values: Sequence[Any],
    means: Sequence[float],
    deviations: Sequence[float],
    *,
    joined: bool,
) -> None:
    """Points with error bars over the values of an option: numbers at their place, anything else side by side."""
    errors = np.nan_to_num(deviations)
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        order = np.argsort(values)
        place = np.asarray(values, float)[order]
        style = "o-" if joined else "o"
        axes.errorbar(place, np.asarray(means)[order], errors[order], fmt=style, color=COLOUR, capsize=3)
    else:
        labels = distinct(values)
        axes.errorbar([labels.index(str(value)) for value in values], means, errors, fmt="o", color=COLOUR, capsize=3)
        axes.set_xticks(range(len(labels)), labels, rotation=30 if max(map(len, labels)) > 8 else 0)
        axes.set_xlim(-0.5, len(labels) - 0.5)
    axes.set_xlabel(name.replace("_", " "))


def heat_map(
    figure: Figure, rows: list[dict[str, Any]], means: Sequence[float], deviations: Sequence[float], measure: str
) -> None:
    """Mean and deviation of every combination of two options."""
    down, across = rows[0]
    labels = {name: distinct(ordered([row[name] for row in rows])) for name in (down, across)}
    values = np.full((len(labels[down]), len(labels[across])), np.nan)
    axes = figure.subplots()
    cells = [(labels[down].index(str(row[down])), labels[across].index(str(row[across]))) for row in rows]
    for cell, mean in zip(cells, means, strict=True):
        values[cell] = mean
    image = axes.imshow(values, aspect="auto", cmap="cividis")
    for (i, j), mean, deviation in zip(cells, means, deviations, strict=True):
        text = f"{mean:.3g}" + ("" if math.isnan(deviation) else f"\n± {deviation:.1g}")
        pale = mean > 0.4 * min(means) + 0.6 * max(means)
        axes.text(j, i, text, ha="center", va="center", fontsize="small", color="black" if pale else "white")
    axes.set_yticks(range(len(labels[down])), labels[down])
    axes.set_xticks(range(len(labels[across])), labels[across])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    axes.set(xlabel=across.replace("_", " "), ylabel=down.replace("_", " "))
    figure.colorbar(image, label=measure.replace("_", " "))


def is_grid(rows: list[dict[str, Any]], names: list[str]) -> bool:
    """Whether two options were combined, and are few enough to be shown so."""
    one, two = (len(distinct([row[name] for row in rows])) for name in names)
    return one * two <= min(CELLS, 2 * len(rows))


def distinct(values: Sequence[Any]) -> list[str]:
    """The different values as text, in order."""
    return list(dict.fromkeys(map(str, values)))


def ordered(values: list[Any]) -> list[Any]:
    """Numbers sorted; anything else in its order."""
    try:
        return sorted(values)
    except TypeError:
        return values
