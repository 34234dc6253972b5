"""``neko reproduce``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from neko.cli import common
from neko.cli.common import console
from neko.cli.options import build_option


def reproduce(
    name: Annotated[str, typer.Argument(metavar="NAME", help="{neko.experiments:EXPERIMENTS}; or file.py:Class.")],
    quick: Annotated[bool, typer.Option("--quick", help="A few seconds, to try; the numbers mean nothing.")] = False,
    seeds: Annotated[int | None, typer.Option(min=1, help="Number of seeds; by default the experiment's own.")] = None,
    backend: Annotated[str | None, build_option("backend")] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="Rows to run and report, as 'evidence, *'; repeatable.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder; by default runs/NAME, with --quick runs/NAME-quick.")
    ] = None,
) -> None:
    """Make a figure or table of the paper again: numbers, figures and a report in a folder.

    It may be stopped by Ctrl-C; the same command goes on after the last finished trial. More seeds may be added later.
    """
    from neko.experiments import Reproduction
    from neko.experiments.reproduction import REPORT

    found = Reproduction(name, out, seeds=seeds, quick=quick, backend=backend, only=only or ())
    try:
        made = found.go()
    except KeyboardInterrupt:
        trials = found.trials()
        common.stopped(f"after {len(trials) - len(found.missing())} of {len(trials)} trials", found.command)
    table = Table(made.heading, title=escape(found.experiment.title))
    for column in made.columns:
        table.add_column(escape(column.title), justify="right")
    for row in zip(made.rows, *(column.shown() for column in made.columns), strict=True):
        table.add_row(*map(escape, row))
    console.print(table)
    common.say(f"Report: {found.folder / REPORT}")
