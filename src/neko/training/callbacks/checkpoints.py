"""Checkpoints during a run, and resuming from the last one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from neko import arguments, identity
from neko.errors import CheckpointError
from neko.io import checkpoint, files
from neko.training.callbacks.base import Callback
from neko.training.loop import Loop


class Checkpoints(Callback):
    """Saves all that a run depends on, so that it can be resumed after any interruption.

    A checkpoint has parameters, feedback weights, the states of optimizer, rule, sampler and random generators,
    history and position. On the same backend and machine a resumed run equals an uninterrupted one bit for bit. Ctrl-C
    stops the run after the present batch, with a checkpoint.

    Parameters
    ----------
    folder : path
        Where checkpoints go.
    every : int
        Epochs between two checkpoints.
    batches : int, optional
        Batches between two further checkpoints within a long epoch. Samplers and comparisons of gradients have
        checkpoints between epochs only.
    keep : int
        Number of most recent checkpoints that are kept.
    resume : bool
        Resume from the last checkpoint of the folder, if there is one, as `resume` of `Trainer.train` does from any
        checkpoint. The epochs of the call to train count from the beginning of the run. Model, rule, data and callbacks
        must be created as they were then, with the same options, constants and numbers; any other checkpoint is
        refused, with a message that names the differences.
    changed : sequence of str
        Intended changes of a resumed run, by the names of such a message: ``("learning_rate",)``, or ``("tau_m",
        "data")``. A name stands for the path itself, for all below it, and for paths that end in it. A changed
        optimizer begins with a new state; data can be changed between two epochs; samplers allow no change.

    Raises
    ------
    CheckpointError
        When a run begins in a folder with checkpoints and `resume` is False; or when the last checkpoint is damaged
        or belongs to another run.
    ValueError
        For a name of `changed` that the run does not have.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import neko
    >>> x, y = np.ones((3, 20, 4)), np.eye(2)[[0, 1, 1]]
    >>> folder = tempfile.mkdtemp()
    >>> def run(epochs):
    ...     model = neko.Evaluator(neko.ALIF(8, 2, "torch"), loss="categorical_crossentropy")
    ...     trainer = neko.Trainer(neko.Eprop(model))
    ...     keep = neko.callbacks.Checkpoints(folder, resume=True)
    ...     return trainer.train(x, y, epochs=epochs, callbacks=[keep], progress=False)
    >>> first = run(2)
    >>> run(5).epochs
    5
    """

    order = 1

    def __init__(
        self,
        folder: str | Path,
        *,
        every: int = 1,
        batches: int | None = None,
        keep: int = 3,
        resume: bool = False,
        changed: Sequence[str] = (),
    ) -> None:
        if not isinstance(resume, bool):
            raise TypeError(f"resume={resume!r}: expected True or False")
        self.folder = arguments.as_path("folder", folder)
        self.every = arguments.check_integer("every", every)
        self.batches = None if batches is None else arguments.check_integer("batches", batches)
        self.keep = arguments.check_integer("keep", keep)
        self.resume = resume
        self.changed = identity.check_names("changed", changed)
        if self.changed and not resume:
            raise ValueError(f"changed={changed!r}: only a run that goes on can change, with resume=True")

    def begin(self, loop: Loop) -> None:
        if loop.world.writes:
            files.prepare(self.folder)
            files.clean(self.folder)
        found = checkpoint.listed(self.folder)
        if not found:
            _ = loop.identity  # before the first step
        elif self.resume:
            loop.resume(found[-1], self.changed)
        elif loop.resumed is None or loop.resumed.resolve().parent != self.folder.resolve():
            raise CheckpointError(
                f"{self.folder} has checkpoints of another run: expected resume=True to go on, or another folder"
            )

    def batch(self, loop: Loop) -> None:
        if self.batches is not None and loop.learner.pausable and loop.batch % self.batches == 0:
            self.write(loop)

    def epoch(self, loop: Loop) -> None:
        if loop.epoch % self.every == 0 or loop.epoch == loop.epochs or loop.stopped:
            self.write(loop)

    def interrupted(self, loop: Loop) -> None:
        self.write(loop)

    def write(self, loop: Loop) -> Path:
        """Write a checkpoint now, and delete the oldest beyond `keep`."""
        path = self.folder / f"epoch-{loop.epoch:06d}-batch-{loop.batch:07d}{checkpoint.SUFFIX}"
        state = loop.exported()
        if loop.world.writes:
            checkpoint.write(path, state)
            for old in checkpoint.listed(self.folder)[: -self.keep]:
                old.unlink()
        return path
