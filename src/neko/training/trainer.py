"""The loop over epochs and batches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from neko.arguments import check_integer
from neko.data import sources
from neko.io.console import Output
from neko.training.callbacks import Callback
from neko.training.history import History
from neko.training.learner import Learner
from neko.training.loop import Loop

LINES = 100
"""Lines of progress that a call of `Trainer.train` prints at the most."""
BATCH_SIZE = 128


class Trainer:
    """Feeds batches to a learning rule and keeps the history.

    Parameters
    ----------
    rule : Learner
        What learns: a rule such as ``Eprop(model, mode='symmetric')`` or a sampler such as ``Langevin(model)``.

    Attributes
    ----------
    history : History
        Per epoch the loss and every metric over the training batches (each from the forward pass before its
        update), and with validation data the same names with the prefix ``val_``.
    """

    def __init__(self, rule: Learner) -> None:
        if not isinstance(rule, Learner):
            raise TypeError(f"rule={rule!r}: expected a learning rule, for example Eprop(model)")
        self.rule = rule
        self.history = History()

    def __repr__(self) -> str:
        return f"Trainer({self.rule!r}, {self.history!r})"

    def train(
        self,
        x: Any,
        y: Any = None,
        mask: Any = None,
        *,
        epochs: int = 1,
        batch_size: int | None = None,
        shuffle: bool | None = None,
        lengths: Sequence[int] | None = None,
        seed: int = 0,
        validation: Any = None,
        callbacks: Iterable[Callback] = (),
        progress: bool = True,
    ) -> History:
        """Train on arrays, or on what gives batches, for a number of epochs; call it again to go on.

        Parameters
        ----------
        x : array (examples, time, n_in) or iterable
            Inputs; or, without `y`, batches (x, y[, mask]): a ``torch.utils.data.DataLoader``, a
            ``tf.data.Dataset``, a list, anything that can be gone through once an epoch. Arrays of another framework
            than the model's are converted.
        y : array (examples, …), optional
            Targets, with or without a time axis.
        mask : array (examples, time), optional
            0 at frames that count nowhere: padding after a sequence, and frames without a target. The network reads
            their inputs.
        epochs : int
            How often the data are shown.
        batch_size : int, optional
            Examples per update, 128 by default; of arrays only.
        shuffle : bool, optional
            A new order each epoch, fixed by `seed`; of arrays only. By default True, but for a rule that learns a
            stream, whose batches are its pieces in their order.
        lengths : sequence of int, optional
            Steps to which a loader's sequences are padded with masked frames, which count nowhere, so that a framework
            that compiles does so for a few lengths only. By default, on such a framework, the length of the first batch
            and powers of two.
        seed : int
            Seed of the order.
        validation : tuple (x, y[, mask]) or iterable, optional
            Arrays or batches, evaluated after each epoch.
        callbacks : iterable of Callback
            See `neko.callbacks`: early stopping, checkpoints, TensorBoard, your own.
        progress : bool
            Show a bar with loss, metrics and the time left, where the output is a terminal, and a line an epoch (of
            more than a hundred epochs about a hundred lines).

        Returns
        -------
        History
            `history`.

        Raises
        ------
        ValueError, TypeError
            For data that do not fit the model, are not finite, or have targets that the loss does not take.
        NonFiniteError
            When a loss, gradient or parameter stops being finite; the model keeps its last good parameters.
        KeyboardInterrupt
            On Ctrl-C, after the batch at hand; a second one at once.
        """
        epochs = check_integer("epochs", epochs)
        source = self.source(x, y, mask, batch_size, shuffle, lengths, seed)
        sources.check_passes("x", x, epochs)
        sources.check_passes("validation", validation, epochs)
        model = self.rule.model
        model.check_whole(source, pieces=self.rule.ordered)
        if is_arrays(validation):
            model.check_whole(sources.source(*validation, receive=model.model.receive))
        listeners = sorted(check_callbacks(callbacks), key=lambda callback: callback.order)
        loop = Loop(self.rule, source, self.history, listeners, epochs, validation)
        with loop.interruptible(), bar_of(epochs, progress) as bar:
            for callback in listeners:
                callback.begin(loop)
            total = None if source.length is None else source.length * epochs
            shown = 0 if source.length is None else loop.epoch * source.length + loop.batch
            task = bar.add_task("train", total=total, completed=shown, epoch=loop.epoch + 1, measures="")

            def done() -> None:
                bar.update(task, advance=1)
                loop.done()

            while loop.epoch < epochs and not loop.stopped:
                measures = self.rule.epoch(loop.batches(), done)
                if validation is not None:
                    found = self.validate(validation)
                    measures |= {f"val_{name}": value for name, value in found.items()}
                loop.finish_epoch(measures)
                epoch = loop.epoch
                bar.update(task, epoch=min(epoch + 1, epochs), measures=describe(measures))
                if source.length is not None:
                    bar.update(task, completed=epoch * source.length)
                if progress and (epoch == epochs or loop.stopped or epoch % -(-epochs // LINES) == 0):
                    bar.console.print(f"epoch {epoch}/{epochs}  {describe(measures)}")
            for callback in listeners:
                callback.end(loop)
            if progress and loop.stopped:
                bar.console.print(f"stopped: {loop.stopped}")
        return self.history

    def source(
        self, x: Any, y: Any, mask: Any, batch_size: int | None, shuffle: bool | None, lengths: Any, seed: int
    ) -> sources.Source:
        """Where the batches come from."""
        model, ordered = self.rule.model, self.rule.ordered
        if y is None and batch_size is not None:
            raise ValueError(f"batch_size={batch_size!r}: batches of an iterable have their own size")
        if ordered and shuffle:
            raise ValueError("shuffle=True of a stream: its pieces have an order; expected shuffle=False")
        if lengths is not None and (y is not None or ordered):
            raise ValueError(f"lengths={lengths!r}: expected none with arrays, which have one length, or with a stream")
        return sources.source(
            x,
            y,
            mask,
            batch_size=BATCH_SIZE if batch_size is None else batch_size,
            shuffle=not ordered if shuffle is None else shuffle,
            seed=seed,
            receive=model.model.receive,
            lengths=None if ordered else model.lengths(lengths),
        )

    def validate(self, validation: Any) -> dict[str, float]:
        """Measures of validation data."""
        model = self.rule.model
        return model.evaluate(*validation) if is_arrays(validation) else model.evaluate(validation)


def is_arrays(validation: Any) -> bool:
    """Whether it is (x, y) or (x, y, mask), and not batches."""
    return isinstance(validation, tuple) and len(validation) in (2, 3)


def check_callbacks(callbacks: Any) -> list[Callback]:
    """Callbacks as a list; TypeError for anything else."""
    if isinstance(callbacks, Callback) or not isinstance(callbacks, Iterable):
        raise TypeError(f"callbacks={callbacks!r}: expected a list of them, for example [EarlyStopping()]")
    found = list(callbacks)
    for callback in found:
        if not isinstance(callback, Callback):
            raise TypeError(f"callback {callback!r}: expected a Callback, for example EarlyStopping()")
    return found


def bar_of(epochs: int, progress: bool) -> Progress:
    """The bar of a run."""
    return Progress(
        TextColumn("epoch {task.fields[epoch]}/" + str(epochs)),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[measures]}"),
        console=Output(stderr=True),
        disable=not progress,
        transient=True,
    )


def describe(measures: dict[str, float]) -> str:
    """Measures in one line."""
    return "  ".join(f"{name} {value:.4g}" for name, value in measures.items())
