"""``neko demo`` and ``neko train``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from neko.cli import common
from neko.cli.common import console


def demo(
    backend: common.Backend = "torch",
    epochs: common.Epochs = 45,
    seed: common.Seed = 0,
    figure: Annotated[Path, typer.Option(help="Write the figure here.")] = Path("runs/demo.png"),
) -> None:
    """Train ALIF neurons with e-prop on real digits, beside backpropagation through time; about a minute."""
    from neko import plots

    data = common.load_data("digits")
    # Eight rows are eight steps; shown for 4 ms each they give the neurons time to integrate.
    data = data._replace(x_train=data.x_train.repeat(4, axis=1), x_test=data.x_test.repeat(4, axis=1))
    histories, rows, shown = {}, [], None
    for title, rule in (("e-prop", "eprop"), ("BPTT", "bptt")):
        console.print(f"[bold]{title}[/bold]: ALIF(64) on the {len(data.x_train)} training digits, {backend}")
        model = common.evaluator_of(data, "alif", 64, backend, seed)
        trainer, seconds = fit(data, model, rule, epochs, 32, seed, learning_rate=5e-3)
        histories[title] = trainer.history
        rows.append((title, trainer.history, seconds))
        shown = shown or model.model
    print_table("Test set of scikit-learn's digits", rows)
    common.save_figure(plots.overview(histories, shown, data.x_test[0], "val_accuracy"), figure)


def train(
    data: common.Data = "digits",
    cell: common.Cell = "alif",
    hidden: common.Hidden = 128,
    rule: Annotated[
        str, typer.Option(help="Learning rule: bptt, rtrl, eprop, eprop:random, eprop:adaptive.")
    ] = "eprop",
    optimizer: Annotated[str, typer.Option(help="adam, sgd, … of the framework, naive, or manhattan.")] = "adam",
    device: Annotated[str | None, typer.Option(help="Device of manhattan: constant, linear or soft_bounds.")] = None,
    backend: common.Backend = "torch",
    epochs: common.Epochs = 30,
    batch_size: common.BatchSize = 128,
    learning_rate: common.Rate = 1e-3,
    seed: common.Seed = 0,
    figure: common.Figure = None,
) -> None:
    """Train a recurrent network with the rule, neuron, optimizer and framework of your choice."""
    from matplotlib.figure import Figure

    from neko import plots

    with common.plain_errors():
        loaded = common.load_data(data)
        model = common.evaluator_of(loaded, cell, hidden, backend, seed)
        options = optimizer_options(optimizer, device, learning_rate)
        trainer, seconds = fit(loaded, model, rule, epochs, batch_size, seed, **options)
        print_table(f"Test set of {data}", [(rule, trainer.history, seconds)])
        drawing = Figure(figsize=(5, 3.6), layout="constrained")
        plots.learning_curves(drawing.subplots(), {rule: trainer.history}, "val_accuracy")
        common.save_figure(drawing, figure)
        if device is not None and figure is not None:
            rule_used = trainer.rule
            pairs = rule_used.update.update.conductances(rule_used.update_state)
            common.save_figure(plots.conductances(pairs), figure.with_stem(f"{figure.stem}-conductances"))


def optimizer_options(optimizer: str, device: str | None, learning_rate: float) -> dict[str, Any]:
    """Options of a rule; a Manhattan rule without a device takes the rate as its step."""
    from neko import devices
    from neko.updates import Manhattan

    if optimizer != "manhattan":
        if device is not None:
            raise ValueError(f"device={device!r}: only the optimizer 'manhattan' writes into a device")
        return {"optimizer": optimizer, **({} if optimizer == "naive" else {"learning_rate": learning_rate})}
    if device is None:
        return {"optimizer": Manhattan(delta=learning_rate)}
    return {"optimizer": Manhattan(device=devices.get(device)())}


def fit(data: Any, model: Any, rule: str, epochs: int, batch_size: int, seed: int, **options: Any) -> tuple[Any, float]:
    """A trainer that has run, and the seconds it took."""
    from neko import Trainer, rules

    trainer = Trainer(rules.resolve(rule)(model, **options))
    begin = time.perf_counter()
    trainer.train(
        data.x_train,
        data.y_train,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        validation=(data.x_test, data.y_test),
    )
    return trainer, time.perf_counter() - begin


def print_table(title: str, rows: list[tuple[str, dict[str, list[float]], float]]) -> None:
    """Test measures after the last epoch, a row per run."""
    table = Table(title=title)
    for column in ("rule", "test accuracy", "test loss", "firing rate", "seconds"):
        table.add_column(column, justify="left" if column == "rule" else "right")
    for name, history, seconds in rows:
        rate = history.get("val_firing_rate", [np.nan])[-1]
        table.add_row(
            name,
            f"{100 * history['val_accuracy'][-1]:.1f} %",
            f"{history['val_loss'][-1]:.3f}",
            "–" if np.isnan(rate) else f"{rate:.0f} Hz",
            f"{seconds:.0f}",
        )
    console.print(table)
