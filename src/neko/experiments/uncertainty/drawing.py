"""The table and the figures of the uncertainty of every method."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from neko.bayes import Posterior
from neko.bayes.calibration import calibrated_error, reliability
from neko.bayes.ranking import selective_accuracy
from neko.experiments.results import Column, Results, Table
from neko.experiments.uncertainty.measuring import CLASSES, EXAMPLE
from neko.experiments.uncertainty.methods import FIVE, MALA, POINT, PRIOR, VARIATIONAL, Recipe
from neko.plots.posterior import draw_prediction, draw_uncertainty
from neko.plots.reliability import draw_bins

COLUMNS = {
    "accuracy, %": ("accuracy", ".1f", 100.0),
    "NLL": ("negative log likelihood", ".3f", 1.0),
    "Brier score": ("Brier score", ".3f", 1.0),
    "ECE": ("calibration error", ".3f", 1.0),
    "ECE if calibrated": ("calibration error if calibrated", ".3f", 1.0),
    "AUROC": ("AUROC", ".3f", 1.0),
    "AUROC if calibrated": ("AUROC if calibrated", ".3f", 1.0),
    "uncertainty if right": ("uncertainty, right", ".2f", 1.0),
    "if wrong": ("uncertainty, wrong", ".2f", 1.0),
}
"""Title of a column: measure, format and scale."""
LATER = {
    "processor s": ("processor seconds", ".0f", 1.0),
    "R-hat of predictions": ("R-hat of predictions", ".2f", 1.0),
    "of NLL": ("R-hat of the likelihood", ".2f", 1.0),
    "ESS of predictions": ("ESS of predictions", ".0f", 1.0),
}
DENSITY = {"λ": "power", "T": "temperature"}


def tabled(results: Results) -> Table:
    """The table of all methods."""
    largest = [float(results.values(row, "rank test p").max()) for row in results.rows]
    columns = [
        *(results.column(title, measure, form, scale=scale) for title, (measure, form, scale) in COLUMNS.items()),
        Column("rank test p", largest, ".0e"),
        *(results.column(title, measure, form, scale=scale) for title, (measure, form, scale) in LATER.items()),
        # the same in all trials
        *(
            Column(title, [results.values(row, name)[0] for row in results.rows], ".3g")
            for title, name in DENSITY.items()
        ),
    ]
    return Table("method", results.rows, columns)


def figures(results: Results, x: np.ndarray, label: int, rows: Mapping[str, Recipe]) -> dict[str, Figure]:
    """The paper's figure for an input `x` of a class, reliability, selective accuracy, and traces of chains."""
    first = VARIATIONAL if VARIATIONAL in results.rows else results.rows[0]
    drawn = {
        "uncertainty": paper(results, first, x, label),
        "reliability": reliabilities(results),
        "selective": selective(results, rows),
    }
    sampled = [row for row in (PRIOR, MALA) if row in results.rows]
    return drawn | ({"chains": traces(results, sampled, rows)} if sampled else {})


def paper(results: Results, row: str, x: np.ndarray, label: int) -> Figure:
    """An input, its prediction, and the uncertainty of right and wrong predictions by one method."""
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    signal, bars, uncertainty = figure.subplots(1, 3)
    signal.plot(np.ravel(x), color="black", linewidth=1.0)
    signal.set(title=f"input {EXAMPLE}, class {label}", xlabel="position", ylabel="value")
    draws = results.values(row, "example")[0].reshape(1, -1, 1, CLASSES)
    unknown = np.full(draws.shape[:2], np.nan)
    draw_prediction(bars, Posterior({}, unknown, unknown, unknown[:, 0], draws), 0)
    draw_uncertainty(uncertainty, *examples(results, row, "uncertainty"))
    figure.suptitle(row, fontsize="medium")
    return figure


def examples(results: Results, row: str, measure: str) -> tuple[np.ndarray, np.ndarray]:
    """A measure of the test examples of the first seed, and whether they are predicted right."""
    return results.values(row, measure)[0], results.values(row, "right")[0] > 0.5


def reliabilities(results: Results) -> Figure:
    """Reliability diagrams of the main methods, those of their first seed."""
    found = [row for row in (POINT, VARIATIONAL, FIVE, PRIOR) if row in results.rows] or results.rows[:1]
    figure = Figure(figsize=(3.6 * len(found), 3.8), layout="constrained")
    for axes, row in zip(figure.subplots(1, len(found), squeeze=False)[0], found, strict=True):
        confidence, right = examples(results, row, "confidence")
        draw_bins(axes, reliability(confidence, right), calibrated_error(confidence))
        axes.set_title(f"{row}\n{axes.get_title()}", fontsize="small")
    return figure


def selective(results: Results, rows: Mapping[str, Recipe]) -> Figure:
    """Accuracy of the others when the most uncertain examples are refused, of all methods; dashed for 40 steps."""
    figure = Figure(figsize=(8.5, 4.8), layout="constrained")
    axes = figure.subplots()
    for number, row in enumerate(results.rows):
        curve = selective_accuracy(*examples(results, row, "uncertainty"))
        style = "--" if rows[row].sequence else "-" if number < 10 else "-."
        name = f"{row} (area {curve.area:.3f})"
        axes.plot(100.0 * curve.refused, 100.0 * curve.accuracy, style, color=f"C{number}", linewidth=1.2, label=name)
    axes.set(xlabel="most uncertain examples refused (%)", ylabel="accuracy of the others (%)", xlim=(0.0, 95.0))
    figure.legend(loc="outside right center", frameon=False, fontsize="small")
    return figure


def traces(results: Results, sampled: list[str], rows: Mapping[str, Recipe]) -> Figure:
    """The log density of every chain of some samplers in the first seed, with the warm-up shaded."""
    figure = Figure(figsize=(5.0 * len(sampled), 3.4), layout="constrained")
    for axes, row in zip(figure.subplots(1, len(sampled), squeeze=False)[0], sampled, strict=True):
        for chain in range(rows[row].options["chains"]):
            trace = results.values(row, f"log density, chain {chain}")[0]
            axes.plot(range(1, len(trace) + 1), trace, linewidth=1.0, label=f"chain {chain}")
        axes.axvspan(0, rows[row].options["warmup"], color="lightgray", alpha=0.5, linewidth=0, label="warm-up")
        axes.set(xlabel="transition", ylabel="log density (nats)", title=row, xlim=(0, rows[row].epochs))
        axes.legend(frameon=False, fontsize="small")
    return figure
