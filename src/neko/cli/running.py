"""``neko train``, ``neko sample``, ``neko compare`` and ``neko show``."""

from __future__ import annotations

import dataclasses
import datetime
import re
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from neko.cli import common, costs, tables
from neko.cli.common import console
from neko.runs.config import Config


def run(
    kind: type[Config],
    given: dict[str, Any],
    *,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; by default a new one in runs.")] = None,
    config: Annotated[Path | None, typer.Option(help="Repeat the run of this config.yaml.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Continue the run of this folder.")] = None,
    changed: Annotated[
        list[str] | None, typer.Option(help="With --resume: an option that is changed on purpose; may be repeated.")
    ] = None,
    distributed: Annotated[
        bool,
        typer.Option("--distributed", help="Train together with the other processes of torchrun, or JAX's devices."),
    ] = False,
) -> None:
    """A run is a folder: config.yaml, history.csv, checkpoints and figures.

    With --config or --resume, options that are not given are taken from there.
    """
    from neko import runs

    if resume is not None and (out is not None or config is not None):
        raise ValueError(f"--resume {resume} goes on in its own folder: expected no --out and no --config")
    if changed and resume is None:
        raise ValueError(f"--changed {' '.join(changed)}: only a run that goes on can change, with --resume")
    if resume is not None and not changed and set(given) - {"epochs", "report"}:
        raise ValueError(f"--resume {resume} with {sorted(given)!r}: only --epochs may change, or what --changed names")
    if distributed and resume is None and out is None:
        raise ValueError("--distributed: every process needs the same folder: expected --out, or --resume")
    source = resume / runs.CONFIG if resume is not None else config
    stored = None if source is None else runs.read_config(source)
    if stored is not None and not isinstance(stored, kind):
        raise ValueError(f"{source} is of neko {stored.command}: expected one of neko {kind.command}")
    chosen = kind.of(({} if stored is None else dataclasses.asdict(stored)) | given)
    folder = resume or out or new_folder(chosen)
    found = runs.of(chosen, folder)
    try:
        found.go(resume=resume is not None, changed=changed or (), progress=True, distributed=distributed)
    except KeyboardInterrupt:
        if (folder / runs.CONFIG).exists():
            common.stopped("", f"neko {kind.command} --resume {shlex.quote(str(folder))}")
        common.stopped("before the first batch; nothing is kept")
    if not found.world.writes:
        return
    tables.RESULTS[kind.command](found)
    common.say(f"Run: {folder}")


def show(folder: Annotated[Path, typer.Argument(help="Folder of a run.")]) -> None:
    """Show the options and measures of a run, and redraw its figures."""
    from neko import runs
    from neko.runs.summary import best
    from neko.training.history import History

    config = runs.read_config(folder / runs.CONFIG)
    found = runs.of(config, folder)
    figures = found.draw()
    history = History.load(folder / runs.HISTORY)
    common.say(f"Run: {folder}")
    options = Table("option", "value")
    for name, value in {"command": config.command, **dataclasses.asdict(config)}.items():
        options.add_row(name, "-" if value is None else escape(str(value)))
    console.print(options)
    measures = Table("measure", "last", "best", title=f"After {history.epochs} of {config.epochs} epochs")
    spent = costs.table(history)
    for name, values in history.items():
        if spent is not None and name in costs.COSTS:
            continue
        found_best = best(name, values)
        measures.add_row(name, f"{values[-1]:.4g}", "" if found_best is None else f"{found_best:.4g}")
    console.print(measures)
    if spent is not None:
        console.print(spent)
    if config.command != "train":  # whose measures are these
        tables.RESULTS[config.command](found)
    for path in figures:
        common.say(f"Figure: {path}")


def new_folder(config: Config) -> Path:
    """A new folder name from the options and the time."""
    now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    parts = (Path(config.data).name, Path(config.cell).name, getattr(config, config.chosen), config.backend, now)
    stem = Path("runs") / "-".join(re.sub(r"[^\w.]+", "-", part) for part in parts)
    folder, number = stem, 1
    while folder.exists():
        number += 1
        folder = stem.with_name(f"{stem.name}-{number}")
    return folder
