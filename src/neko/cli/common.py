"""What the commands share: options, errors, data and models by name."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.markup import escape

from neko.io.console import Output

console = Output(emoji=False)
complaints = Output(stderr=True, emoji=False)
"""Where errors and warnings go, so that what a command prints can be piped."""

Backend = Annotated[str | None, typer.Option(help="torch, jax or tensorflow; by default the first that is installed.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Examples per update, or per pass of a sampler.")]
Cell = Annotated[str, typer.Option(help="Neuron model.")]
Data = Annotated[str, typer.Option(help="Data set, one of `neko data list`.")]
Processor = Annotated[
    str | None,
    typer.Option(help="Where it is computed, in the framework's words: cpu, cuda:1 of torch, gpu of jax, /GPU:0."),
]
Epochs = Annotated[int, typer.Option(min=1, help="Passes over the training data.")]
Hidden = Annotated[int, typer.Option(min=1, help="Number of neurons.")]
Rate = Annotated[float, typer.Option(help="Rate of the optimizer.")]
Recurrent = Annotated[bool, typer.Option("--recurrent/--feedforward", help="Whether the neurons feed back.")]
Target = Annotated[str, typer.Option(help="Output that is judged: every, last or mean (over time).")]
Seed = Annotated[int, typer.Option(help="Seed of weights and of the order of examples.")]
Figure = Annotated[Path | None, typer.Option(help="Write the figure here.")]


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """What a person got wrong, in one line and with exit code 2; warnings in one line too; Ctrl-C ends with 130."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = show_warning
            yield
    except KeyboardInterrupt:
        stopped("")
    except BrokenPipeError:  # whoever read the output has seen enough
        raise
    except (ValueError, TypeError, ImportError, OSError, ArithmeticError) as error:
        complaints.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True, highlight=False)
        raise typer.Exit(2) from error


def stopped(told: str, command: str | None = None) -> NoReturn:
    """End after Ctrl-C, with what was done and, last in the line so that it can be copied, the command that goes on."""
    say(f"Stopped{f' {told}' if told else ''}{'.' if command is None else f'; to go on: {command}'}")
    raise typer.Exit(130)


def show_warning(
    message: Warning | str, category: Any, filename: str, lineno: int, file: Any = None, line: str | None = None
) -> None:
    """A warning without the line of code that it came from, as `warnings.showwarning` is called."""
    complaints.print(f"[yellow]warning:[/yellow] {escape(str(message))}", soft_wrap=True, highlight=False)


def say(text: str) -> None:
    """A line of the result, as it is."""
    console.print(text, soft_wrap=True, highlight=False, markup=False)


def tell(text: str) -> None:
    """A line beside the result, of what begins or goes on."""
    complaints.print(text, soft_wrap=True, highlight=False, markup=False)


def backend_of(name: str | None, processor: str | None) -> Any:
    """The backend of these options, or the first one that is installed; ImportError where none is."""
    from neko import backend

    return backend.get(backend.default() if name is None else name, device=processor)


def load_data(name: str) -> Any:
    """A data set with one-hot labels."""
    from neko import datasets

    return datasets.load(name).one_hot()


def load_classes(name: str) -> Any:
    """A data set with one label a sequence; ValueError for any other."""
    data = load_data(name)
    if data.task_type != "classification" or data.y_train.ndim != 2 or data.mask_train is not None:
        raise ValueError(f"data set {name!r}: expected one with a class for each whole sequence, such as 'mnist'")
    return data


def check_outputs(figure: Path | None, table: Path | None = None) -> None:
    """ValueError or OSError for files that could not be written, before the work and not after it."""
    from neko import plots
    from neko.io import files

    if figure is not None:
        plots.format_of(figure)
    for path in (figure, table):
        if path is not None:
            if path.is_dir():
                raise IsADirectoryError(f"{path} is a folder: expected a file to write")
            files.prepare(path.parent)


def save_figure(figure: Any, path: Path | None) -> None:
    """Write a figure where one is wanted, and say where."""
    from neko import plots

    if path is not None:
        say(f"Figure: {plots.save(figure, path)}")
