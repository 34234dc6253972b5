"""What the table of uncertainty says, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping

from neko.experiments.results import Results
from neko.experiments.uncertainty.methods import Recipe


def told(results: Results, rows: Mapping[str, Recipe]) -> str:
    return ""
