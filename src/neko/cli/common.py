"""What the commands share: options, errors, data and models by name."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

console = Console()

Backend = Annotated[str, typer.Option(help="torch, jax or tensorflow.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Examples per update, or per pass of a sampler.")]
Cell = Annotated[str, typer.Option(help="Neuron model.")]
Data = Annotated[str, typer.Option(help="Data set: digits, mnist, mnist1d or mnist1d-step.")]
Epochs = Annotated[int, typer.Option(min=1, help="Passes over the training data.")]
Hidden = Annotated[int, typer.Option(min=1, help="Number of neurons.")]
Rate = Annotated[float, typer.Option(help="Rate of the optimizer.")]
Recurrent = Annotated[bool, typer.Option("--recurrent/--feedforward", help="Whether the neurons feed back.")]
Seed = Annotated[int, typer.Option(help="Seed of weights and of the order of examples.")]
Figure = Annotated[Path | None, typer.Option(help="Write the figure here.")]


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """What a person got wrong, in one line and with exit code 2."""
    try:
        yield
    except (ValueError, TypeError, ImportError, OSError) as error:
        console.print(f"[red]error:[/red] {error}", soft_wrap=True, highlight=False)
        raise typer.Exit(2) from error


def load_data(name: str) -> Any:
    """A data set with one-hot labels."""
    from neko import datasets

    return datasets.load(name).one_hot()


def evaluator_of(
    data: Any, cell: str, hidden: int, backend: str, seed: int, *, recurrent: bool = True, target: str = "every"
) -> Any:
    """A layer of cells with a readout, judged by cross-entropy and accuracy."""
    from neko import Evaluator, Model, cells

    made = cells.get(cell)
    if not recurrent and not hasattr(made, "recurrent"):
        raise ValueError(f"cell {cell!r} has no feed-forward form: expected lif or alif")
    model = Model(made(hidden, **({} if recurrent else {"recurrent": False})), data.classes, backend, seed=seed)
    metrics = ["accuracy", "firing_rate"] if made.spiking else ["accuracy"]
    return Evaluator(model, loss="categorical_crossentropy", metrics=metrics, target=target)


def save_figure(figure: Any, path: Path | None) -> None:
    """Write a figure where one is wanted, and say where."""
    from neko import plots

    if path is not None:
        console.print(f"Figure: {plots.save(figure, path)}")
