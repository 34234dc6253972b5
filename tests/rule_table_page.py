"""The page of the table of rules in the site, made of the numbers beside its report."""

from __future__ import annotations

import csv
from pathlib import Path

from neko.experiments import Results, Trial
from neko.experiments.rule_table.experiment import Rules

NUMBERS = Path(__file__).parents[1] / "docs" / "experiments" / "rules.csv"


def results(path: Path = NUMBERS) -> Results:
    """The measures of all trials, as ``numbers.csv`` of a reproduction has them."""
    found: dict[tuple[str, int], dict[str, float]] = {}
    with path.open(encoding="utf-8", newline="") as lines:
        for line in csv.DictReader(lines):
            measures = found.setdefault((line["row"], int(line["seed"])), {})
            measures[line["measure"]] = float(line["value"])
    return Results([(Trial(*about), measures) for about, measures in found.items()])


def page() -> bytes:
    """The page."""
    found = results()
    seeds = len({trial.seed for trial, _ in found})
    return Rules(seeds=seeds, backend="torch").pages(found)["table"]
