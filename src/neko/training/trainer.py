"""The trainer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from neko import distributed
from neko.arguments import check_integer
from neko.data import sources
from neko.distributed import World
from neko.training.callbacks import Activity, Callback, Progress
from neko.training.callbacks.resume import Resume
from neko.training.history import History
from neko.training.learner import Learner
from neko.training.learning_rule import LearningRule
from neko.training.loop import Loop

BATCH_SIZE = 128


class Trainer:
    """Feeds batches to a learning rule and keeps the history.

    Parameters
    ----------
    rule : Learner
        A rule such as ``Eprop(model, mode='symmetric')`` or a sampler such as ``Langevin(model)``.

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
        resume: str | Path | None = None,
        changed: Sequence[str] = (),
        progress: bool = True,
        distributed: bool = False,
    ) -> History:
        """Train on arrays, or on an iterable of batches, for a number of epochs; a further call continues training.

        Parameters
        ----------
        x : array (examples, time, n_in) or iterable
            Inputs; or, without `y`, batches (x, y[, mask]): a ``torch.utils.data.DataLoader``, a
            ``tf.data.Dataset``, a list, anything that can be iterated once per epoch. Arrays of another framework than
            the model's are converted.
        y : array (examples, …), optional
            Targets, with or without a time axis.
        mask : array (examples, time), optional
            0 at frames that count nowhere: padding after a sequence, and frames without a target. The network still
            reads their inputs.
        epochs : int
            Number of passes over the data.
        batch_size : int, optional
            Examples per update, 128 by default; of arrays only.
        shuffle : bool, optional
            Whether the order is new in each epoch, determined by `seed`; of arrays only. By default True, except for a
            rule that learns a stream, whose batches are its consecutive chunks.
        lengths : sequence of int, optional
            Lengths to which a loader's sequences are padded with masked frames, so that a framework that compiles does
            so for a few lengths only. By default, on such a framework, the length of the first batch and powers of two.
        seed : int
            Seed of the order.
        validation : tuple (x, y[, mask]) or iterable, optional
            Arrays or batches, evaluated after each epoch.
        callbacks : iterable of Callback
            See `neko.callbacks`: early stopping, checkpoints, TensorBoard, your own.
        resume : path, optional
            A checkpoint, or a folder whose last checkpoint is used, from which the run is resumed as if it had never
            been interrupted. `epochs` counts from the beginning of the run. Model, rule, data and callbacks must be
            created as they were then; any other checkpoint is refused, with a message that names the differences.
        changed : sequence of str
            Intended changes of a resumed run, by the names of such a message; see `neko.callbacks.Checkpoints`.
        progress : bool
            Show a bar with loss, metrics and remaining time, where the output is a terminal, and a line per epoch
            (about a hundred lines for more than a hundred epochs).
        distributed : bool
            Train together with the other processes or devices (see `neko.distributed.start`), which divide each batch
            of `batch_size` examples, or of the iterable, and call `train` with the same arguments. Only process 0
            writes checkpoints and shows progress. A checkpoint can be resumed with any number of processes.

        Returns
        -------
        History
            The attribute `history`.

        Raises
        ------
        ValueError, TypeError
            For data that do not fit the model, are not finite, or have targets that do not fit the loss.
        WorldError
            When another process of a distributed run has ended.
        NonFiniteError
            When a loss, gradient or parameter stops being finite; the model keeps its last good parameters.
        CheckpointError
            For a checkpoint that does not fit or is damaged.
        KeyboardInterrupt
            On Ctrl-C, after the present batch; on a second one at once.
        """
        epochs = check_integer("epochs", epochs)
        if changed and resume is None:
            raise ValueError(f"changed={changed!r}: only a run that goes on can change, with resume=…")
        world = together(self.rule) if distributed else World()
        source = self.source(x, y, mask, batch_size, shuffle, lengths, seed)
        sources.check_passes("x", x, epochs)
        sources.check_passes("validation", validation, epochs)
        if isinstance(validation, tuple) and len(validation) in (2, 3):  # (x, y[, mask])
            validation = self.rule.model.source(*validation)
        listeners = [Activity(), *check_callbacks(callbacks)]
        listeners += [] if resume is None else [Resume(resume, changed)]
        listeners += [Progress()] if progress else []
        listeners = [callback for callback in listeners if callback.everywhere or world.writes]
        # `Resume` comes before callbacks of equal order, which write files from the resumed state on.
        listeners.sort(key=lambda callback: (callback.order, not isinstance(callback, Resume)))
        Loop(self.rule, source, self.history, listeners, epochs, validation, world).run()
        return self.history

    def source(
        self, x: Any, y: Any, mask: Any, batch_size: int | None, shuffle: bool | None, lengths: Any, seed: int
    ) -> sources.Source:
        """The source of batches."""
        model, ordered = self.rule.model, self.rule.ordered
        if y is None and batch_size is not None:
            raise ValueError(f"batch_size={batch_size!r}: batches of an iterable have their own size")
        if ordered and shuffle:
            raise ValueError("shuffle=True of a stream: its chunks have an order; expected shuffle=False")
        if lengths is not None and (y is not None or ordered):
            raise ValueError(f"lengths={lengths!r}: expected none with arrays, which have one length, or with a stream")
        return sources.source(
            model.intake,
            x,
            y,
            mask,
            batch_size=BATCH_SIZE if batch_size is None else batch_size,
            shuffle=not ordered if shuffle is None else shuffle,
            seed=seed,
            lengths=None if ordered else model.intake.lengths(lengths),
            chunks=ordered,
        )


def together(rule: Learner) -> World:
    """The processes and devices that train a rule; ValueError for a learner that needs whole batches."""
    if not isinstance(rule, LearningRule):
        raise ValueError(
            f"distributed=True: {type(rule).__name__} is no learning rule; expected one, or for chains the option "
            "workers of a sampler"
        )
    if rule.stream:
        raise ValueError("distributed=True with stream=True: the sequences of a stream stay together in one process")
    world = distributed.start(rule.xp)
    module: Any = getattr(rule.model.model, "module", None)
    parts = module.modules() if hasattr(module, "modules") else ()
    batchwise = [type(part).__name__ for part in parts if "BatchNorm" in type(part).__name__]
    if world.size > 1 and batchwise:
        raise ValueError(
            f"distributed=True with {batchwise[0]}: its statistics would be those of a part of each batch; expected a "
            "normalisation of single examples, such as GroupNorm or LayerNorm"
        )
    return world


def check_callbacks(callbacks: Any) -> list[Callback]:
    """Callbacks as a list; TypeError for anything else."""
    if isinstance(callbacks, Callback) or not isinstance(callbacks, Iterable):
        raise TypeError(f"callbacks={callbacks!r}: expected a list of them, for example [EarlyStopping()]")
    found = list(callbacks)
    for callback in found:
        if not isinstance(callback, Callback):
            raise TypeError(f"callback {callback!r}: expected a Callback, for example EarlyStopping()")
    return found
