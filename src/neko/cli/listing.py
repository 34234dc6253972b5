"""``neko runs``."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from neko.cli import common
from neko.cli.common import console
from neko.io import files
from neko.runs.summary import Summary, summaries

COLUMNS = ("run", "command", "data", "cell", "rule", "update", "backend", "epochs")
SHOWN = 3
"""Measures that are printed, of all that ``--csv`` writes."""


def runs(
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="[DIR]...", help="Folders with runs, or of runs; by default runs.")
    ] = None,
    sort: Annotated[
        str | None, typer.Option(metavar="MEASURE", help="The best last value of this measure first.")
    ] = None,
    compare: Annotated[bool, typer.Option("--compare", help="Show in which options and measures they differ.")] = False,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the table, with all measures, as CSV.")
    ] = None,
) -> None:
    """List the runs below DIR with the last value of their measures, and the best of accuracies and losses."""
    places = folders or [Path("runs")]
    for place in places:
        if not place.is_dir():
            raise FileNotFoundError(f"no folder {place}: expected one with runs in it")
    found = list({run.folder: run for place in places for run in summaries(place)}.values())
    if not found:
        raise FileNotFoundError(f"no run below {', '.join(map(str, places))}: expected folders with a config.yaml")
    found = ranked(found, sort)
    names = named(found, places)
    columns, rows = differences(found, names) if compare else listed(found, names)
    if csv is not None:
        files.write_table(csv, columns, rows)
    shown = columns if compare else visible(columns, sort)
    made = Table(*(escape(column) for column in shown))
    for entries in rows:
        made.add_row(*(escape(said(entries.get(column))) for column in shown))
    console.print(made)
    for run in found:
        if run.damage is not None:
            common.say(f"Damaged: {names[run.folder]}: {run.damage}")
    if csv is not None:
        common.say(f"Table: {csv}")


def named(found: list[Summary], places: list[Path]) -> dict[Path, str]:
    """What runs are called: by their path below the one folder that is listed, or else their whole path."""
    top = places[0] if len(places) == 1 else Path()
    return {run.folder: str(run.folder.relative_to(top) if top in run.folder.parents else run.folder) for run in found}


def ranked(found: list[Summary], measure: str | None) -> list[Summary]:
    """The runs with the best last value of a measure first, those without it last; ValueError if none has it.

    More is better of an accuracy, less of anything else.
    """
    if measure is None:
        return found
    known = list(dict.fromkeys(name for run in found for name in run.last))
    if measure not in known:
        near = difflib.get_close_matches(measure, known, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"--sort {measure!r}: expected one of {known!r}{hint}")
    sign = -1.0 if "accuracy" in measure else 1.0

    def merit(run: Summary) -> tuple[bool, float]:
        value = run.last.get(measure, math.nan)
        return math.isnan(value), 0.0 if math.isnan(value) else sign * value

    return sorted(found, key=merit)


def listed(found: list[Summary], names: dict[Path, str]) -> tuple[list[str], list[dict[str, Any]]]:
    """Columns and rows, one for each run."""
    measures = list(dict.fromkeys(name for run in found for name in run.last))
    measures.sort(key=lambda name: not name.startswith("val_"))
    best = {name for run in found for name in run.best}
    columns = [column for name in measures for column in (name, *([f"best {name}"] if name in best else []))]
    rows = []
    for run in found:
        entries: dict[str, Any] = {"run": names[run.folder], "date": run.date.isoformat(" ", "minutes")}
        if run.config is None:
            entries["command"] = "damaged"
        else:
            config = run.config
            entries |= {"command": config.command, "data": config.data, "cell": config.cell, "backend": config.backend}
            entries |= {"rule": getattr(config, config.chosen), "update": getattr(config, "optimizer", None)}
            entries["epochs"] = f"{run.history.epochs} of {config.epochs}"
        rows.append(entries | run.last | {f"best {name}": value for name, value in run.best.items()})
    return [*COLUMNS, *columns, "date"], rows


def visible(columns: list[str], sort: str | None) -> list[str]:
    """The columns that are printed."""
    measures = [name for name in columns if name not in (*COLUMNS, "date") and not name.startswith("best ")]
    chosen = list(dict.fromkeys([*([sort] if sort else []), *measures]))[:SHOWN]
    shown = [name for measure in chosen for name in (measure, f"best {measure}") if name in columns]
    return [*COLUMNS, *shown, "date"]


def differences(found: list[Summary], names: dict[Path, str]) -> tuple[list[str], list[dict[str, Any]]]:
    """A row for each option in which runs differ, and for each measure's last value; a column for each run."""
    kept = [run for run in found if run.damage is None]
    if len(kept) < 2:
        raise ValueError(f"--compare with {len(kept)} readable run: expected two or more")
    rows = []
    for name in keys(run.options for run in kept):
        values = [run.options.get(name) for run in kept]
        if any(value != values[0] for value in values):
            rows.append(row(name, {run.folder: value for run, value in zip(kept, values, strict=True)}, names))
    for name in keys(run.last for run in kept):
        rows.append(row(name, {run.folder: run.last.get(name) for run in kept}, names))
    return ["", *(names[run.folder] for run in kept)], rows


def keys(found: Iterable[dict[str, Any]]) -> list[str]:
    """The names of all mappings, in order."""
    return list(dict.fromkeys(name for one in found for name in one))


def row(name: str, values: dict[Path, Any], names: dict[Path, str]) -> dict[str, Any]:
    """A row of a comparison."""
    return {"": name} | {names[folder]: value for folder, value in values.items()}


def said(value: Any) -> str:
    """An entry of a table."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
