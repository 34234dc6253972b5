"""One run of a trainer: where it stands, and what a checkpoint of it holds."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

from neko import randomness
from neko.batches import Ahead, Source
from neko.errors import CheckpointError
from neko.evaluator import Evaluator
from neko.history import History
from neko.rules.base import Learner


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

    def __init__(self, learner: Learner, source: Source, history: History, callbacks: list[Any], epochs: int) -> None:
        self.learner = learner
        self.source = source
        self.history = history
        self.callbacks = callbacks
        self.epochs = epochs
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
            "identity": self.learner.identity(),
            "learner": self.learner.state(),
            "source": self.source.state(),
            "random": randomness.state(getattr(self.source, "generator", None)),
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

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from what `state` gave; CheckpointError if it is of another run."""
        if saved.get("kind") != "training":
            raise CheckpointError(f"it holds {saved.get('kind')!r}: expected 'training'")
        identity = self.learner.identity()
        for name in {**identity, **saved["identity"]}:
            expected, found = identity.get(name), saved["identity"].get(name)
            if expected != found:
                raise CheckpointError(f"it was written with {name}={found!r}: this run has {expected!r}")
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
        randomness.restore(saved["random"], getattr(self.source, "generator", None))
        self._mark = saved["ahead"]

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
