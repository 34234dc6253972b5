"""The loop over epochs and batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from neko.rules.base import Learner

LINES = 100
"""Lines of progress that a call of `Trainer.train` prints at the most."""


class Trainer:
    """Feeds batches to a learning rule and keeps the history.

    Parameters
    ----------
    rule : Learner
        What learns: a rule such as ``Eprop(model, mode='symmetric')`` or a sampler such as ``Langevin(model)``.

    Attributes
    ----------
    history : dict of list of float
        Per epoch the loss and every metric over the training batches (each from the forward pass before its
        update), and with validation data the same names with the prefix ``val_``.
    """

    def __init__(self, rule: Learner) -> None:
        if not isinstance(rule, Learner):
            raise TypeError(f"rule={rule!r}: expected a learning rule, for example Eprop(model)")
        self.rule = rule
        self.history: dict[str, list[float]] = {}

    def train(
        self,
        x: Any,
        y: Any,
        mask: Any = None,
        *,
        epochs: int = 1,
        batch_size: int = 128,
        shuffle: bool = True,
        seed: int = 0,
        validation: tuple[Any, ...] | None = None,
        progress: bool = True,
    ) -> dict[str, list[float]]:
        """Train on arrays for a number of epochs; call it again to go on.

        Parameters
        ----------
        x : array (examples, time, n_in)
            Inputs.
        y : array (examples, …)
            Targets, with or without a time axis.
        mask : array (examples, time), optional
            0 at padded frames, which count nowhere.
        epochs, batch_size : int
            How often and in what portions the data are shown.
        shuffle : bool
            A new order each epoch, fixed by `seed`.
        seed : int
            Seed of the order.
        validation : tuple (x, y[, mask]), optional
            Evaluated after each epoch.
        progress : bool
            Show a bar with loss, metrics and the time left, where the output is a terminal, and a line an epoch (of
            more than a hundred epochs about a hundred lines).

        Returns
        -------
        dict of list of float
            `history`.
        """
        x, y = as_array(x), as_array(y)
        mask = None if mask is None else as_array(mask)
        check_sizes(x, y, mask, epochs=epochs, batch_size=batch_size)
        rng = np.random.default_rng(seed)
        batches = -(-len(x) // batch_size)
        with Progress(
            TextColumn("epoch {task.fields[epoch]}/" + str(epochs)),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[measures]}"),
            console=Console(stderr=True),
            disable=not progress,
            transient=True,
        ) as bar:
            task = bar.add_task("train", total=batches * epochs, epoch=1, measures="")
            for epoch in range(1, epochs + 1):
                order = rng.permutation(len(x)) if shuffle else np.arange(len(x))
                data = slices(x, y, mask, order, batch_size)
                measures = self.rule.epoch(data, lambda: bar.update(task, advance=1))
                if validation is not None:
                    found = self.rule.model.evaluate(*validation)
                    measures |= {f"val_{name}": value for name, value in found.items()}
                for name, value in measures.items():
                    self.history.setdefault(name, []).append(value)
                bar.update(task, completed=epoch * batches, epoch=min(epoch + 1, epochs), measures=describe(measures))
                if progress and (epoch == epochs or epoch % -(-epochs // LINES) == 0):
                    bar.console.print(f"epoch {epoch}/{epochs}  {describe(measures)}")
        return self.history


def as_array(a: Any) -> Any:
    """An array as it is, anything else through NumPy."""
    return a if hasattr(a, "shape") else np.asarray(a)


def slices(x: Any, y: Any, mask: Any, order: np.ndarray, size: int) -> Iterator[tuple[Any, Any, Any]]:
    """Batches (x, y, mask) of `size` examples in this order, the last one as long as what is left."""
    for begin in range(0, len(order), size):
        index = order[begin : begin + size]
        yield x[index], y[index], None if mask is None else mask[index]


def check_sizes(x: Any, y: Any, mask: Any, **counts: int) -> None:
    """Raise ValueError for a count below 1, or arrays with unequal numbers of examples."""
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name}={value!r}: expected a positive integer")
    lengths = [len(a) for a in (x, y, mask) if a is not None]
    if len(set(lengths)) != 1 or not lengths[0]:
        raise ValueError(f"x, y (and mask) have {lengths!r} examples: expected the same number, at least 1")


def describe(measures: dict[str, float]) -> str:
    """Measures in one line."""
    return "  ".join(f"{name} {value:.4g}" for name, value in measures.items())
