"""A progress bar, and a line an epoch."""

from __future__ import annotations

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from neko.io.console import Output
from neko.training.callbacks.base import Callback
from neko.training.loop import Loop

LINES = 100
"""Largest number of lines that a run prints."""


class Progress(Callback):
    """Shows a bar with measures and remaining time where the output is a terminal, and prints a line per epoch.

    Of more than a hundred epochs it prints about a hundred lines. A `Trainer` has it unless ``progress=False``.
    """

    order = 3
    recorded = False
    everywhere = False

    def begin(self, loop: Loop) -> None:
        self.bar = Bar(
            TextColumn(f"epoch {{task.fields[epoch]}}/{loop.epochs}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[measures]}"),
            console=Output(stderr=True),
            transient=True,
        )
        length = loop.source.length
        total, done = (None, 0) if length is None else (length * loop.epochs, loop.epoch * length + loop.batch)
        self.task = self.bar.add_task("train", total=total, completed=done, epoch=loop.epoch + 1, measures="")
        self.bar.start()

    def batch(self, loop: Loop) -> None:
        self.bar.update(self.task, advance=1)

    def epoch(self, loop: Loop) -> None:
        epoch, epochs, text = loop.epoch, loop.epochs, describe(loop.measures)
        self.bar.update(self.task, epoch=min(epoch + 1, epochs), measures=text)
        if loop.source.length is not None:
            self.bar.update(self.task, completed=epoch * loop.source.length)
        if epoch == epochs or loop.stopped or epoch % -(-epochs // LINES) == 0:
            self.bar.console.print(f"epoch {epoch}/{epochs}  {text}")

    def end(self, loop: Loop) -> None:
        if loop.stopped:
            self.bar.console.print(f"stopped: {loop.stopped}")

    def close(self) -> None:
        if hasattr(self, "bar"):
            self.bar.stop()


def describe(measures: dict[str, float]) -> str:
    """Measures in one line."""
    return "  ".join(f"{name} {value:.4g}" for name, value in measures.items())
