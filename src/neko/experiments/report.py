"""The report of an experiment in Markdown, and its numbers as rows of a table."""

from __future__ import annotations

import inspect
import os
import platform
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from neko import datasets
from neko.experiments.base import Experiment
from neko.experiments.results import Results

COLUMNS = ("trial", "row", "seed", "measure", "step", "value")
"""Columns of the numbers."""


def numbers(results: Results) -> Iterator[dict[str, Any]]:
    """A row for each trial and measure; a measure that is a list has a row for each of its steps, from 0."""
    for trial, measures in results:
        about = {"trial": trial.key, "row": trial.row, "seed": trial.seed}
        for name, value in measures.items():
            single = np.ndim(value) == 0
            for step, number in enumerate(np.ravel(value).tolist()):
                yield {**about, "measure": name, "step": "" if single else step, "value": number}


def written(
    experiment: Experiment,
    results: Results,
    figures: Sequence[str],
    command: str,
    versions: dict[str, str],
) -> str:
    """The report: title, command, set-up, table, figures, notes, and what the numbers depend on.

    Parameters
    ----------
    experiment, results
        The experiment and its measures.
    figures : sequence of str
        Paths of figures and pages from the report.
    command : str
        The command line.
    versions : dict
        Versions by package.
    """
    seconds = sum(measures["seconds"] for _, measures in results)
    seeds = sorted({trial.seed for trial, _ in results})
    settings = ", ".join(f"{name} {shown(value)}" for name, value in experiment.settings().items())
    trials = (
        f"- {len(results.found)} trials with the seeds {', '.join(map(str, seeds))}, backend {experiment.backend}; "
        f"{seconds / 60.0:.1f} minutes in all on {platform.system()} {platform.machine()} with {os.cpu_count()} cores."
    )
    licences = ", ".join(f"{name} ({datasets.entry(name).licence})" for name in experiment.data_sets)
    parts = [
        f"# {experiment.title}",
        "Reduced to a few seconds by `--quick`: the numbers test the code and mean nothing else." * experiment.quick,
        f"```bash\n{command}\n```",
        "## Set-up",
        setup(experiment),
        f"Settings: {settings}." if settings else "",
        "## Results",
        "Mean ± half-width of the 95 % t-interval over the trials of a row.",
        experiment.shown(results),
        *(shown_at(path) for path in figures),
        experiment.notes(results).strip(),
        "## What the numbers depend on",
        f"{trials}\n- {', '.join(f'{name} {version}' for name, version in versions.items())}.",
        f"Data: {licences}." if licences else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def shown_at(path: str) -> str:
    """A figure, or a link to a page."""
    name, _, kind = path.rpartition("/")[2].rpartition(".")
    return f"![{name}]({path})" if kind == "png" else f"To sort and filter in a browser: [{name}]({path})."


def setup(experiment: Experiment) -> str:
    """The docstring of an experiment, with its NumPy-style sections as Markdown."""
    text = inspect.getdoc(type(experiment)) or ""
    return re.sub(r"^(\w[\w ]*)\n-+$", r"**\1**\n", text, flags=re.M).replace("``", "`")


def shown(value: Any) -> str:
    """A setting in a sentence."""
    return " / ".join(map(shown, value)) if isinstance(value, list | tuple) else str(value)
