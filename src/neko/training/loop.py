"""The loop over epochs and steps, and its checkpoints."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from neko import identity
from neko.backend import parts
from neko.data.prefetch import Prefetcher
from neko.data.sources import Arrays, Source
from neko.distributed import World
from neko.errors import CheckpointError
from neko.evaluator import Evaluator
from neko.io import checkpoint, generators, snapshot
from neko.measures import add
from neko.training.history import History
from neko.training.interrupt import Interrupt
from neko.training.learner import Learner, Measures

CHECK_EVERY = 32
"""Number of steps between two checks on the host whether all numbers were finite."""


class Loop:
    """A running call of `Trainer.train`: it iterates over batches, sums measures, and calls the callbacks.

    Attributes
    ----------
    learner : Learner
        What is trained.
    source : Source
        Gives the batches.
    epoch, batch : int
        Finished epochs, and finished steps of the next one.
    epochs : int
        Number of epochs of the call.
    history : History
        Measures of the trainer's epochs.
    measures : dict of float
        Measures of the last epoch.
    totals : dict
        (total, weight) by measure, summed over the steps of the epoch so far, on the device.
    world : World
        The processes that train together.
    resumed : Path or None
        The checkpoint from which the run was resumed.
    stopped : str or None
        The reason why the run ends before its last epoch.
    """

    def __init__(
        self,
        learner: Learner,
        source: Source,
        history: History,
        callbacks: list[Any],
        epochs: int,
        validation: Any = None,
        world: World | None = None,
    ) -> None:
        self.world = World() if world is None else world
        source.world = self.world
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
        self.measures: dict[str, float] = {}
        self.totals: Measures = {}
        self.resumed: Path | None = None
        self.stopped: str | None = None
        self.interrupt = Interrupt()
        self._coming: Prefetcher | None = None
        self._mark: Any = None

    @property
    def model(self) -> Evaluator:
        """The evaluator that is trained."""
        return self.learner.model

    @functools.cached_property
    def identity(self) -> dict[str, Any]:
        """All that the run's numbers depend on, by value, at the first access: with checkpoints before the first epoch,
        so that the state of a user's own function is not included."""
        callbacks: dict[str, Any] = {}
        for callback in self.callbacks:
            name = type(callback).__name__
            callbacks[name if name not in callbacks else f"{name} {len(callbacks)}"] = callback.identity()
        # batches of a loader are not drawn before they are needed
        validation = self.validation
        described = validation.arrays if isinstance(validation, Arrays) else type(validation).__name__
        return {
            **self.learner.identity(),
            "data": self.source.identity(),
            "validation": identity.describe(described),
            "callbacks": {name: options for name, options in callbacks.items() if options},
        }

    def described(self) -> dict[str, Any]:
        """What has to be the same in every process: all that the numbers depend on, and the weights where there are."""
        if self.world.alone:
            return {}
        weights = {**(self.model.params or {}), **(self.model.model.buffers or {})}
        return {
            **self.identity,
            "weights": identity.describe({n: self.model.xp.to_numpy(a) for n, a in weights.items()}),
        }

    def stop(self, reason: str) -> None:
        """End the run after this epoch."""
        self.stopped = reason

    def run(self) -> None:
        """All remaining epochs."""
        try:
            with self.interrupt.watched():
                self.world.check_equal(self.described())
                for callback in self.callbacks:
                    callback.begin(self)
                while self.epoch < self.epochs and not self.stopped:
                    self.run_epoch()
                for callback in self.callbacks:
                    callback.end(self)
        finally:
            for callback in self.callbacks:
                callback.close()

    def run_epoch(self) -> None:
        """The rest of the present epoch, and validation after it."""
        coming = self.batches()
        try:
            for item in self.learner.items(coming):
                self.add(item)
                coming.fetch()  # while the device is busy
                self.finish_step()
            self.learner.check()
            self.totals = self.world.total(self.totals)
            measures = self.learner.finish(self.totals)
            if self.validation is not None:
                given = self.validation
                found = given if isinstance(given, Arrays) else self.model.source(given)
                found.world = self.world
                measures |= {f"val_{name}": value for name, value in self.model.evaluate_source(found).items()}
            self.finish_epoch(measures)
        finally:
            self.totals = {}

    def batches(self) -> Prefetcher:
        """The remaining batches of the present epoch."""
        found = self.source.rest(self.epoch, self.batch) if self.batch else self.source.epoch(self.epoch)
        self._coming = Prefetcher(self.source, found, marked=any(c.recorded for c in self.callbacks))
        if self._mark is not None:
            self._coming.fetch_again(self._mark)
            self._mark = None
        return self._coming

    def add(self, item: Any) -> None:
        """Learn from a batch, and add its measures to the epoch's."""
        part = getattr(item, "part", None)
        with parts.within(part):
            measures = self.learner.learn(item)
        if self.world.counts(part):
            self.totals = add(self.totals, measures)

    def finish_step(self) -> None:
        """After a step; KeyboardInterrupt if the user has interrupted the run."""
        self.batch += 1
        if self.batch % CHECK_EVERY == 0:
            self.learner.check()
        for callback in self.callbacks:
            callback.batch(self)
        if self.learner.pausable and (self.world.alone or self.batch % CHECK_EVERY == 0):
            self.check_interrupt()

    def finish_epoch(self, measures: dict[str, float]) -> None:
        """After an epoch."""
        self.epoch, self.batch, self._coming, self.measures = self.epoch + 1, 0, None, measures
        self.history.append(measures)
        for callback in self.callbacks:
            callback.epoch(self)
        self.check_interrupt()

    def check_interrupt(self) -> None:
        """KeyboardInterrupt if the user has interrupted the run."""
        if self.world.agree(self.interrupt.wanted):
            for callback in self.callbacks:
                callback.interrupted(self)
            raise KeyboardInterrupt

    def resume(self, path: Path, changed: Iterable[str] = ()) -> None:
        """Resume from a checkpoint, except for what is named in `changed`; CheckpointError if it is of another run."""
        state = checkpoint.read(path)
        try:
            with checkpoint.expected(path):
                self.load(state, changed)
        except CheckpointError as error:
            raise CheckpointError(f"{path} does not fit: {error}") from error
        self.resumed = path

    def exported(self) -> dict[str, Any]:
        """All that the rest of the run depends on."""
        with self.model.xp.scope():
            totals = snapshot.exported(self.model.xp, self.world.total(self.totals) if self.batch else {})
        return {
            "kind": "training",
            "identity": self.identity,
            "learner": self.learner.exported(),
            "totals": totals,
            "source": self.source.state(),
            "random": generators.state(getattr(self.source, "generator", None)),
            "ahead": None if self._coming is None else self._coming.mark,
            "callbacks": [{"kind": type(c).__name__, **c.state()} for c in self.callbacks if c.recorded],
            "history": dict(self.history),
            "position": {name: getattr(self, name) for name in ("before", "epoch", "batch", "stopped")},
        }

    def load(self, saved: dict[str, Any], changed: Iterable[str] = ()) -> None:
        """Load what `exported` returned; CheckpointError if it is of another run except for what is in `changed`."""
        if saved.get("kind") != "training":
            raise CheckpointError(f"it holds {saved.get('kind')!r}: expected 'training'")
        if "data" not in saved["identity"]:
            raise CheckpointError(
                "it was written by an earlier neko, without what a run depends on: expected another folder; "
                "its weights can be had by neko.checkpoint.load_weights"
            )
        others = identity.compare(saved["identity"], self.identity, changed, this="this run")
        saved = self.adapted(saved, {path.partition(".")[0] for path in others}, new_data="data" in changed)
        # Of the callbacks only those with a memory must be there again.
        recorded = [callback for callback in self.callbacks if callback.recorded and callback.state()]
        memories = [entry for entry in saved["callbacks"] if len(entry) > 1]
        kinds = [type(callback).__name__ for callback in recorded]
        if [entry["kind"] for entry in memories] != kinds:
            raise CheckpointError(f"its callbacks are {memories!r}: this run has {kinds!r}")
        position = saved["position"]
        for name in ("before", "epoch", "batch"):
            snapshot.count(name, position[name])
        if not isinstance(position["stopped"], str | None):
            raise CheckpointError(f"stopped={position['stopped']!r}: expected a reason")
        if position["before"] != self.before:
            raise CheckpointError(
                f"it was written by a call after {position['before']!r} epochs: this trainer has had {self.before!r}"
            )
        if position["epoch"] > self.epochs:
            raise CheckpointError(f"it is {position['epoch']!r} epochs old: this call asks for {self.epochs!r}")
        self.source.restore(saved["source"])
        self.learner.load(saved["learner"], self.source.first())
        xp = self.model.xp
        with xp.scope():
            # Those of process 0 stand for all until the end of the epoch.
            totals = saved["totals"] if self.world.rank == 0 else {}
            self.totals = {name: tuple(xp.asarray(a) for a in pair) for name, pair in totals.items()}
        for callback, entry in zip(recorded, memories, strict=True):
            callback.restore(entry)
        self.history.replace(saved["history"])
        self.epoch, self.batch, self.stopped = position["epoch"], position["batch"], position["stopped"]
        generators.restore(saved["random"], getattr(self.source, "generator", None))
        self._mark = saved["ahead"]

    def adapted(self, saved: dict[str, Any], others: set[str], *, new_data: bool) -> dict[str, Any]:
        """The saved state without what is invalid after the intended changes `others`."""
        if others and not self.learner.changeable:
            raise CheckpointError(
                f"changed={sorted(others)!r}: a chain has one density and one sampler; make a new sampler, whose "
                "`starts` may be the last draws"
            )
        learner, source, position = dict(saved["learner"]), dict(saved["source"]), dict(saved["position"])
        if "optimizer" in others:
            learner["update"] = None
        if others & {"stream", "model", "data"}:
            learner["carry"] = None
        if position["batch"] and "data" in others:
            raise CheckpointError("changed='data': the checkpoint was written within an epoch of its data")
        if new_data and not position["batch"]:
            source["seen"] = None
        if "callbacks" in others:
            position["stopped"] = None
        return {**saved, "learner": learner, "source": source, "position": position}
