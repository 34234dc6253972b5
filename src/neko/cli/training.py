"""``neko train`` and ``neko show``."""

from __future__ import annotations

import dataclasses
import datetime
import shlex
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.markup import escape
from rich.table import Table

from neko.cli import common
from neko.cli.common import console

RULE = Annotated[str, typer.Option(help="Learning rule: bptt, rtrl, eprop, eprop:random, eprop:adaptive.")]


def train(
    context: typer.Context,
    data: common.Data = "digits",
    cell: common.Cell = "alif",
    hidden: common.Hidden = 128,
    rule: RULE = "eprop",
    optimizer: Annotated[str, typer.Option(help="adam, sgd and so on of the framework, naive, or manhattan.")] = "adam",
    device: Annotated[
        str | None,
        typer.Option(help="Analog device that holds manhattan's weights: constant, linear or soft_bounds."),
    ] = None,
    backend: common.Backend = None,
    processor: common.Processor = None,
    dtype: Annotated[str, typer.Option(help="float32 or float64.")] = "float32",
    target: common.Target = "every",
    firing_rate: Annotated[float | None, typer.Option(help="Rate in Hz that a regularizer draws to.")] = None,
    epochs: common.Epochs = 30,
    batch_size: common.BatchSize = 128,
    learning_rate: common.Rate = 1e-3,
    clip_norm: Annotated[float | None, typer.Option(help="Scale longer gradients down to this L2 norm.")] = None,
    patience: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many epochs without a better validation loss.")
    ] = None,
    checkpoint_every: Annotated[int, typer.Option(min=1, help="Epochs between two checkpoints.")] = 1,
    keep: Annotated[int, typer.Option(min=1, help="Checkpoints that stay.")] = 3,
    seed: common.Seed = 0,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; by default a new one under runs.")] = None,
    config: Annotated[Path | None, typer.Option(help="Repeat the run of this config.yaml.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run of this folder.")] = None,
) -> None:
    """Train a recurrent network with the rule, neuron, optimizer and framework of your choice.

    A run is a folder: config.yaml, history.csv, checkpoints and figures. With --config or --resume the options come
    from there, but for those that are given.
    """
    from neko import runs

    if resume is not None and (out is not None or config is not None):
        raise ValueError(f"--resume {resume} goes on in its own folder: expected no --out and no --config")
    given = given_options(context)
    source = resume / runs.CONFIG if resume is not None else config
    if resume is not None and set(given) - {"epochs"}:
        raise ValueError(f"--resume {resume} with {sorted(given)!r}: only --epochs may change")
    chosen = runs.Config() if source is None else runs.read_config(source)
    chosen = runs.Config.of(dataclasses.asdict(chosen) | given)
    folder = resume or out or new_folder(chosen)
    if resume is not None:
        runs.warn_of_versions(folder, chosen.backend)
    begin = time.perf_counter()
    try:
        trainer = runs.train(chosen, folder, resume=resume is not None)
    except KeyboardInterrupt:
        if (folder / runs.CONFIG).exists():
            common.stopped("", f"neko train --resume {shlex.quote(str(folder))}")
        common.stopped("before the first batch; nothing is kept")
    print_table(f"Test set of {chosen.data}", [(chosen.rule, trainer.history, time.perf_counter() - begin)])
    common.say(f"Run: {folder}")


def show(folder: Annotated[Path, typer.Argument(help="Folder of a run.")]) -> None:
    """Show a run's options and last measures, and draw its figures again."""
    from neko import runs
    from neko.training.history import History

    config = runs.read_config(folder / runs.CONFIG)
    figures = runs.draw(folder)
    history = History.load(folder / runs.HISTORY)
    common.say(f"Run: {folder}")
    options = Table("option", "value")
    for name, value in dataclasses.asdict(config).items():
        options.add_row(name, "-" if value is None else escape(str(value)))
    console.print(options)
    measures = Table("measure", "last", "best", title=f"After {history.epochs} of {config.epochs} epochs")
    for name, values in history.items():
        best = np.nanmax(values) if "accuracy" in name else np.nanmin(values) if "loss" in name else None
        measures.add_row(name, f"{values[-1]:.4g}", "" if best is None else f"{best:.4g}")
    console.print(measures)
    for path in figures:
        common.say(f"Figure: {path}")


def given_options(context: typer.Context) -> dict[str, Any]:
    """The options of a configuration that the person gave."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    own = {name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}
    return {name: context.params[name] for name in own - {"out", "config", "resume"}}


def new_folder(config: Any) -> Path:
    """A name for a run that no folder has yet."""
    now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    stem = Path("runs") / f"{config.data}-{config.cell}-{config.rule.replace(':', '-')}-{config.backend}-{now}"
    folder, number = stem, 1
    while folder.exists():
        number += 1
        folder = stem.with_name(f"{stem.name}-{number}")
    return folder


def print_table(title: str, rows: list[tuple[str, dict[str, list[float]], float]]) -> None:
    """Test measures after the last epoch, a row per run."""
    table = Table(title=title)
    for column in ("rule", "test accuracy", "test loss", "firing rate", "seconds"):
        table.add_column(column, justify="left" if column == "rule" else "right")
    for name, history, seconds in rows:
        accuracy, rate = (history.get(f"val_{measure}", [np.nan])[-1] for measure in ("accuracy", "firing_rate"))
        table.add_row(
            name,
            "–" if np.isnan(accuracy) else f"{100 * accuracy:.1f} %",
            f"{history['val_loss'][-1]:.3f}",
            "–" if np.isnan(rate) else f"{rate:.0f} Hz",
            f"{seconds:.0f}",
        )
    console.print(table)
