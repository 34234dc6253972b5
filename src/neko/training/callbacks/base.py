"""The interface of callbacks."""

from __future__ import annotations

from typing import Any, ClassVar

from neko.training.loop import Loop


class Callback:
    """Functions called during a training run; a subclass defines those that it needs.

    Attributes
    ----------
    order : int
        Callbacks of a higher order are called after the others.
    recorded : bool
        Whether a checkpoint holds the callback's state; a resumed run must then have the same callback.
    everywhere : bool
        Whether every process of a distributed run calls it, as is right for what decides or computes together; what
        writes files or shows something is called in process 0 only.
    """

    order: ClassVar[int] = 0
    recorded: ClassVar[bool] = True
    everywhere: ClassVar[bool] = True

    def begin(self, loop: Loop) -> None:
        """Before the first epoch."""

    def batch(self, loop: Loop) -> None:
        """After every step; a checkpoint can be written here if ``loop.learner.pausable``."""

    def epoch(self, loop: Loop) -> None:
        """After every epoch; its measures are the last of ``loop.history``."""

    def interrupted(self, loop: Loop) -> None:
        """When the user interrupted the run."""

    def end(self, loop: Loop) -> None:
        """After the last epoch."""

    def close(self) -> None:
        """When the run is over, also after an error."""

    def identity(self) -> dict[str, Any]:
        """Options on which the numbers of a run depend, by value; empty by default."""
        return {}

    def state(self) -> dict[str, Any]:
        """The callback's state, for a checkpoint."""
        return {}

    def restore(self, saved: dict[str, Any]) -> None:
        """Load what `state` returned."""
