"""``neko sweep``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from neko.cli import common
from neko.cli.common import console

SHOWN = 6
"""Measures that are printed, of all in ``sweep.csv``."""


def sweep(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Which options are fixed, and which vary: a YAML.")],
    seeds: Annotated[
        str | None, typer.Option(help="Seeds of every setting: 0:10 from 0 to 9, or 0,3,5; by default those of FILE.")
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Settings that random and tpe try; by default as in FILE.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Runs at a time; by default as many as there are cores.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of each run.")] = 1,
    engine: Annotated[str, typer.Option(help="Where they run: processes of this machine, or ray.")] = "processes",
    out: Annotated[Path | None, typer.Option(help="Folder; by default runs/ and the name of FILE.")] = None,
) -> None:
    """Run many settings of one command with many seeds, side by side; each run has a folder of its own.

    Stopped or killed, the same command goes on. More seeds and trials may be added later. The exit status is 1 if runs
    failed.
    """
    from neko.sweeps import Sweep, read_plan
    from neko.sweeps.sweep import FIGURE, NUMBERS

    found = Sweep(read_plan(file).changed(seeds, trials), out or Path("runs") / file.stem)
    try:
        results = found.go(workers=workers, threads=threads, engine=engine)
    except KeyboardInterrupt:
        words = ["neko", "sweep", str(file)]
        for option, value in (("seeds", seeds), ("trials", trials), ("workers", workers), ("out", out)):
            words += [] if value is None else [f"--{option}", str(value)]
        words += [] if threads == 1 else ["--threads", str(threads)]
        words += [] if engine == "processes" else ["--engine", engine]
        common.stopped(f"after {len(found.outcomes)} trials", shlex.join(words))
    console.print(table(f"{file.name}, mean ± standard deviation over the seeds", results))
    for trial, error in results.failed:
        common.say(f"Failed: {trial.name}: {error}")
    common.say(f"Numbers: {found.folder / NUMBERS}")
    if (found.folder / FIGURE).exists():
        common.say(f"Figure: {found.folder / FIGURE}")
    if results.failed:
        raise typer.Exit(1)


def table(title: str, results: Any) -> Table:
    """A row per setting, the best first."""
    measures = results.measures[:SHOWN]
    made = Table(title=escape(title), title_justify="left")
    for name in results.varied:
        made.add_column(escape(name))
    for name in ("seeds", *measures):
        made.add_column(escape(name), justify="right")
    for setting in results.ranked():
        failed = sum(outcome.state == "failed" for outcome in setting.outcomes)
        made.add_row(
            *(escape(str(value)) for value in setting.values.values()),
            f"{len(setting.done)}{f', {failed} failed' if failed else ''}",
            *(str(spread) if spread.count else "-" for spread in map(setting.spread, measures)),
        )
    return made
