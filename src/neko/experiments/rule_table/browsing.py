"""The table of rules as a page to sort and filter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from neko.experiments.results import Interval
from neko.experiments.rule_table.cells import Line, tabled
from neko.experiments.rule_table.contenders import EXACT
from neko.plots import colours, pages

MARKS = {"ALIF": "circle", "LIF": "square", "RNN": "triangle-up", "GRU": "diamond"}
MEANINGS = {
    "accuracy": "of the test, mean over seeds",
    "error": "mean squared error of the test relative to the variance, mean over seeds",
    "gain": "gain over guessing (1: no error)",
    "cosine": "to the exact gradient of the hidden weights, mean over the training",
    "first": "cosine at the first update",
    "last": "cosine at the last comparison",
    "ms a step": "processor time of an update, median",
    "MiB": "what a gradient adds to the memory of the process at its peak",
    "signal": "root mean square of the learning signals",
    "activity": "spikes per step, or mean magnitude of units that do not spike",
    "learning rate": "best on validation data, mean over seeds",
}


def browsed(lines: Sequence[Line], about: str) -> dict[str, bytes]:
    """The page by its name; none without the packages of the extra ``report``."""
    return {} if pages.missing() else {"table": pages.page("rules", numbers(lines, about))}


def numbers(lines: Sequence[Line], about: str) -> dict[str, Any]:
    """All that the page shows."""
    table = tabled(lines)
    rows: list[dict[str, Any]] = [{"rule": rule} for rule in table.rows]
    for title, cells, _ in table.columns:
        for row, cell in zip(rows, cells, strict=True):
            row[title] = cell.mean if isinstance(cell, Interval) else cell
            if isinstance(cell, Interval) and not np.isnan(cell.half):
                row[f"{title} ±"] = cell.half
    for row, line in zip(rows, lines, strict=True):
        row["gain"] = float(line.gain.mean()) if len(line.score) else None
        row["control"] = line.cell.control
    columns = ["rule"]
    for title, *_ in table.columns:
        spread = f"{title} ±"
        columns += [title, *([spread] if any(spread in row for row in rows) else [])]
        columns += ["gain"] if title == "error" else []
    names = list(dict.fromkeys(row["rule"] for row in rows))
    return {
        "about": about,
        "reference": EXACT,
        "titles": {},
        "meanings": MEANINGS,
        "columns": columns,
        "rows": [{column: row.get(column) for column in (*columns, "control")} for row in rows],
        "marks": MARKS,
        "colours": {name: "#000000" if name == EXACT else colours.of(name, names) for name in names},
    }
