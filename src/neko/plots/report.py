"""A comparison of rules as one HTML file, with its numbers, tables and interactive figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from neko.io import files
from neko.plots import colours
from neko.plots.pages import page
from neko.training.activity import FLAGS, Activity
from neko.training.deviations import EDGES, HIDDEN

TITLES = {
    "relative": "relative deviation",
    "variance": "variance over batches",
    "control": "permuted targets",
    "signal": "learning signal",
    "rate": "spikes per step and neuron",
    "variation": "variation over the batch",
    "seconds": "CPU time / s",
    "megabytes": "memory / MB",
}
"""Headings of columns, where they are not the columns' names."""
MEANINGS = {
    "cosine": "g·r / (‖g‖ ‖r‖)",
    "angle": "angle between g and r, in degrees",
    "norm_ratio": "‖g‖ / ‖r‖",
    "relative": "‖g − r‖ / ‖r‖",
    "sign_agreement": "share of weights with the same sign",
    "bias": "mean of (g − r) / r.m.s. of r",
    "spread": "standard deviation of (g − r) / r.m.s. of r",
    "variance": "½ ‖g_k − g_{k−1}‖² / ‖r_k‖² of successive comparisons",
    "control": "cosine of the reference for targets permuted in the batch to the reference",
    "signal": "root mean square of the learning signals in the layer",
    "seconds": "CPU time of one gradient, computed alone",
    "megabytes": "peak memory of one gradient beyond parameters and data, computed alone",
    "silent": "share of comparisons with less than 2 % spikes per step and neuron",
    "saturated": "share of comparisons with more than 40 % spikes per step and neuron",
    "collapsed": "share of comparisons in which all inputs of the batch had the same answer",
}
"""What columns mean, with g the gradient of a rule and r that of the reference."""


def report(followed: Any, path: str | Path) -> Path:
    """Write a `GradientComparison` as a page that a browser opens without a network.

    The page is one file with Plotly's library (about 5 MB) and all numbers in it: a table of means to sort, curves
    over training, histograms of deviations, the cosines between all pairs of rules, each by layer and tensor, and the
    activity of the network. Numbers have all digits, as in the tables that ``followed.save`` writes.

    Raises
    ------
    ImportError
        Without the packages of the extra ``report``.
    ValueError
        For a comparison that has not begun.
    """
    return files.write(path, page("report", numbers(followed)))


def numbers(followed: Any) -> dict[str, Any]:
    """All that the page shows, as JSON knows it."""
    statistics = followed.statistics
    if not statistics.records:
        raise ValueError(f"{followed!r} has compared nothing yet: train it with a Trainer first")
    columns, rows = followed.table("summary")
    measures = followed.table("records")[0][3:]
    found: dict[str, Any] = {}
    for row in statistics.records:
        of = found.setdefault(row["tensor"], {}).setdefault(row["rule"], {measure: [] for measure in measures})
        for measure in measures:
            of[measure].append(row[measure])
    layers = statistics.layers()
    raised = [
        f"{row['layer']} {flag} in {100.0 * row[flag]:.0f} % of comparisons"
        for row in layers
        for flag in FLAGS
        if row[flag]
    ]
    return {
        "about": f"{len(statistics.rules)} rules, {statistics.comparisons} comparisons with {statistics.reference}",
        "warnings": "; ".join(raised),
        "reference": statistics.reference,
        "rules": statistics.rules,
        "colours": {rule: colour(rule, statistics) for rule in statistics.rules},
        "titles": TITLES,
        "meanings": MEANINGS,
        "measures": measures,
        "tensor": HIDDEN if HIDDEN in found else next(iter(found)),
        "batches": list(dict.fromkeys(row["batch"] for row in statistics.records)),
        "curves": found,
        "summary": {"columns": columns, "rows": rows},
        "activity": {"columns": list(Activity._fields), "rows": layers},
        "edges": EDGES.tolist(),
        "histograms": {rule: {t: c.tolist() for t, c in of.items()} for rule, of in statistics.histograms.items()},
        "cosines": {tensor: statistics.pairs(tensor).tolist() for tensor in statistics.cosines},
    }


def colour(rule: str, statistics: Any) -> str:
    """The colour of a rule as in `neko.plots.comparison`; the reference is black."""
    others = [name for name in statistics.rules if name != statistics.reference]
    return "#000000" if rule == statistics.reference else colours.of(rule, others)
