"""The command line: ``neko demo`` and ``neko train``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer(add_completion=False, help="Learning rules of the brain and of neuromorphic hardware.")
console = Console()

Epochs = Annotated[int, typer.Option(min=1, help="Passes over the training data.")]
Backend = Annotated[str, typer.Option(help="torch, jax or tensorflow.")]
Seed = Annotated[int, typer.Option(help="Seed of weights and of the order of examples.")]
Figures = Annotated[Path, typer.Option(help="Where to write the figure.")]


@app.command()
def demo(
    backend: Backend = "torch",
    epochs: Epochs = 45,
    seed: Seed = 0,
    figure: Figures = Path("runs/demo.png"),
) -> None:
    """Train ALIF neurons with e-prop on real digits, beside backpropagation through time; about a minute."""
    from neko import plots

    data = load_data("digits")
    # Eight rows are eight steps; shown for 4 ms each they give the neurons time to integrate.
    data = data._replace(x_train=data.x_train.repeat(4, axis=1), x_test=data.x_test.repeat(4, axis=1))
    histories, rows, shown = {}, [], None
    for title, rule, mode in (("e-prop", "eprop", "symmetric"), ("BPTT", "bptt", None)):
        console.print(f"[bold]{title}[/bold]: ALIF(64) on the {len(data.x_train)} training digits, {backend}")
        trainer, seconds = fit(data, "alif", 64, rule, mode, backend, epochs, 32, 5e-3, seed)
        histories[title] = trainer.history
        rows.append((title, trainer.history, seconds))
        shown = shown or trainer.rule.model.model
    print_table("Test set of scikit-learn's digits", rows)
    path = plots.save(plots.overview(histories, shown, data.x_test[0], "val_accuracy"), figure)
    console.print(f"Figure: {path}")


@app.command()
def train(
    data: Annotated[str, typer.Option(help="Data set: digits or mnist.")] = "digits",
    cell: Annotated[str, typer.Option(help="Neuron model.")] = "alif",
    hidden: Annotated[int, typer.Option(min=1, help="Number of neurons.")] = 128,
    rule: Annotated[str, typer.Option(help="Learning rule.")] = "eprop",
    mode: Annotated[str | None, typer.Option(help="Mode of e-prop: symmetric, random or adaptive.")] = None,
    backend: Backend = "torch",
    epochs: Epochs = 30,
    batch_size: Annotated[int, typer.Option(min=1, help="Examples per update.")] = 128,
    learning_rate: Annotated[float, typer.Option(help="Rate of Adam.")] = 1e-3,
    seed: Seed = 0,
    figure: Annotated[Path | None, typer.Option(help="Write learning curves here.")] = None,
) -> None:
    """Train a recurrent network with the rule, neuron and framework of your choice."""
    from neko import plots

    try:
        loaded = load_data(data)
        trainer, seconds = fit(loaded, cell, hidden, rule, mode, backend, epochs, batch_size, learning_rate, seed)
    except (ValueError, TypeError, ImportError, OSError) as error:
        console.print(f"[red]error:[/red] {error}", soft_wrap=True, highlight=False)
        raise typer.Exit(2) from error
    title = rule if mode is None else f"{rule} ({mode})"
    print_table(f"Test set of {data}", [(title, trainer.history, seconds)])
    if figure is not None:
        from matplotlib.figure import Figure

        drawing = Figure(figsize=(5, 3.6), layout="constrained")
        plots.learning_curves(drawing.subplots(), {title: trainer.history}, "val_accuracy")
        console.print(f"Figure: {plots.save(drawing, figure)}")


def load_data(name: str) -> Any:
    """A data set with one-hot labels."""
    from neko import datasets

    return datasets.load(name).one_hot()


def fit(
    data: Any,
    cell: str,
    hidden: int,
    rule: str,
    mode: str | None,
    backend: str,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
) -> tuple[Any, float]:
    """A trainer that has run, and the seconds it took."""
    from neko import Evaluator, Model, Trainer, cells, rules

    rule_class, cell_class = rules.get(rule), cells.get(cell)
    if mode is not None and rule != "eprop":
        raise ValueError(f"mode={mode!r}: only the rule 'eprop' has modes, not {rule!r}")
    model = Model(cell_class(hidden), data.classes, backend, seed=seed)
    metrics = ["accuracy", "firing_rate"] if cell_class.spiking else ["accuracy"]
    evaluator = Evaluator(model, loss="categorical_crossentropy", metrics=metrics)
    options: dict[str, Any] = {} if mode is None else {"mode": mode}
    trainer = Trainer(rule_class(evaluator, learning_rate=learning_rate, **options))
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
