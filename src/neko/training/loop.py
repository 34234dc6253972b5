"""One run of a trainer: where it stands, and what a checkpoint of it holds."""

from __future__ import annotations

import contextlib
import functools
import signal
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from neko import identity
from neko.data.sources import Ahead, Source
from neko.errors import CheckpointError
from neko.evaluator import Evaluator
from neko.io import generators
from neko.training.history import History
from neko.training.learner import Learner


class Loop:
    """A call of `Trainer.train` while it runs; callbacks get it.

    Attributes
    ----------
    epoch, batch : int
        Epochs done, and batches done of the next one.
    epochs : int
        Epochs that were asked for.
    history : History
        Measures of the trainer's epochs.
    stopped : str or None
        Why the run ends before its last epoch.
    """

    def __init__(
        self,
        learner: Learner,
        source: Source,
        history: History,
        callbacks: list[Any],
        epochs: int,
        validation: Any = None,
    ) -> None:
        learner.attach(source)
        self.learner = learner
        self.source = source
        self.history = history
        self.callbacks = callbacks
        self.epochs = epochs
        self.validation = validation
        self.before = history.epochs
        self.epoch = 0
        self.batch = 0
        self.stopped: str | None = None
        self.interrupt = False
        self._coming: Ahead | None = None
        self._mark: Any = None

    @property
    def model(self) -> Evaluator:
        """The evaluator that is trained."""
        return self.learner.model

    @functools.cached_property
    def identity(self) -> dict[str, Any]:
        """All that the run's numbers depend on, by value, as it was when this was first asked for: before the first
        epoch where checkpoints are wanted, so that what a person's own function remembers is no part of it."""
        callbacks: dict[str, Any] = {}
        for callback in self.callbacks:
            name = type(callback).__name__
            callbacks[name if name not in callbacks else f"{name} {len(callbacks)}"] = callback.identity()
        # batches of a loader are not looked at before they are needed
        validation = self.validation if isinstance(self.validation, tuple) else type(self.validation).__name__
        return {
            **self.learner.identity(),
            "data": self.source.identity(),
            "validation": identity.describe(validation),
            "callbacks": {name: options for name, options in callbacks.items() if options},
        }

    def stop(self, reason: str) -> None:
        """End after this epoch."""
        self.stopped = reason

    def batches(self) -> Ahead:
        """What is left of the coming epoch."""
        found = self.source.rest(self.epoch, self.batch) if self.batch else self.source.epoch(self.epoch)
        self._coming = Ahead(self.source, found, marked=bool(self.callbacks))
        if self._mark is not None:
            self._coming.fetch_again(self._mark)
            self._mark = None
        return self._coming

    def done(self) -> None:
        """A batch is done; KeyboardInterrupt if a person asked for it meanwhile."""
        self.batch += 1
        if not self.learner.pausable:
            return
        for callback in self.callbacks:
            callback.batch(self)
        self.obey()

    def finish_epoch(self, measures: dict[str, float]) -> None:
        """An epoch is done."""
        self.epoch, self.batch, self._coming = self.epoch + 1, 0, None
        self.history.append(measures)
        for callback in self.callbacks:
            callback.epoch(self)
        self.obey()

    def obey(self) -> None:
        """Stop here if a person asked for it."""
        if self.interrupt:
            for callback in self.callbacks:
                callback.interrupted(self)
            raise KeyboardInterrupt

    def state(self) -> dict[str, Any]:
        """All that the rest of the run depends on."""
        return {
            "kind": "training",
            "identity": self.identity,
            "learner": self.learner.state(),
            "source": self.source.state(),
            "random": generators.state(getattr(self.source, "generator", None)),
            "ahead": None if self._coming is None else self._coming.mark,
            "callbacks": [{"kind": type(c).__name__, **c.state()} for c in self.callbacks],
            "history": dict(self.history),
            "position": {
                "before": self.before,
                "epoch": self.epoch,
                "batch": self.batch,
                "stopped": self.stopped,
            },
        }

    def restore(self, saved: dict[str, Any], changed: Iterable[str] = ()) -> None:
        """Go on from what `state` gave; CheckpointError if it is of another run, but for what is named in `changed`."""
        if saved.get("kind") != "training":
            raise CheckpointError(f"it holds {saved.get('kind')!r}: expected 'training'")
        if "data" not in saved["identity"]:
            raise CheckpointError(
                "it was written by an earlier neko, which did not say what a run depends on: expected another folder; "
                "its weights can be had by neko.checkpoint.load_weights"
            )
        others = identity.compare(saved["identity"], self.identity, changed, this="this run")
        saved = self.adapted(saved, {path.partition(".")[0] for path in others}, new_data="data" in changed)
        kinds = [type(callback).__name__ for callback in self.callbacks]
        if [entry["kind"] for entry in saved["callbacks"]] != kinds:
            raise CheckpointError(f"its callbacks are {saved['callbacks']!r}: this run has {kinds!r}")
        position = saved["position"]
        if position["before"] != self.before:
            raise CheckpointError(
                f"it was written by a call after {position['before']!r} epochs: this trainer has had {self.before!r}"
            )
        if position["epoch"] > self.epochs:
            raise CheckpointError(f"it is {position['epoch']!r} epochs old: this call asks for {self.epochs!r}")
        self.source.restore(saved["source"])
        self.learner.restore(saved["learner"], self.source.first())
        for callback, entry in zip(self.callbacks, saved["callbacks"], strict=True):
            callback.restore(entry)
        self.history.clear()
        self.history.update(saved["history"])
        self.epoch, self.batch, self.stopped = position["epoch"], position["batch"], position["stopped"]
        generators.restore(saved["random"], getattr(self.source, "generator", None))
        self._mark = saved["ahead"]

    def adapted(self, saved: dict[str, Any], others: set[str], *, new_data: bool) -> dict[str, Any]:
        """What was saved, without what has no meaning after these parts of the run were changed on purpose."""
        if others and not self.learner.changeable:
            raise CheckpointError(
                f"changed={sorted(others)!r}: a chain is of one density and one sampler; begin another, whose `starts` "
                "may be the last draws"
            )
        learner, source, position = dict(saved["learner"]), dict(saved["source"]), dict(saved["position"])
        if "optimizer" in others:
            learner["update"] = None
        if others & {"stream", "model", "data"}:
            learner["carry"] = None
        if position["batch"] and "data" in others:
            raise CheckpointError("changed='data': the checkpoint stands within an epoch of the data it was of")
        if new_data and not position["batch"]:
            source["seen"] = None
        if "callbacks" in others:
            position["stopped"] = None
        return {**saved, "learner": learner, "source": source, "position": position}

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Ctrl-C waits for the end of a batch, or of an epoch where a batch is no place to stop; a second one does not.

        Elsewhere than in the main thread Python gives no signals, and nothing changes; nor where the process ignores
        Ctrl-C, as under nohup, or has a handler that is not Python's.
        """
        foreign = signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, None)
        if foreign or threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(number: int, frame: Any) -> None:
            if self.interrupt:
                raise KeyboardInterrupt
            self.interrupt = True

        before = signal.signal(signal.SIGINT, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
