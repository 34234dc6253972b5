"""What a training run tells those who listen."""

from __future__ import annotations

from typing import Any, ClassVar

from neko.training.loop import Loop


class Callback:
    """Listens to a training run; a subclass writes the methods that it needs.

    Attributes
    ----------
    order : int
        Callbacks of a higher order come after the others.
    recorded : bool
        Whether a checkpoint holds the callback's state, so that a run that goes on must have it too.
    """

    order: ClassVar[int] = 0
    recorded: ClassVar[bool] = True

    def begin(self, loop: Loop) -> None:
        """Before the first epoch."""

    def batch(self, loop: Loop) -> None:
        """After every step; a checkpoint can be written here if ``loop.learner.pausable``."""

    def epoch(self, loop: Loop) -> None:
        """After every epoch; its measures are the last of ``loop.history``."""

    def interrupted(self, loop: Loop) -> None:
        """When a person stopped the run."""

    def end(self, loop: Loop) -> None:
        """After the last epoch."""

    def close(self) -> None:
        """When the run is over, also after an error."""

    def identity(self) -> dict[str, Any]:
        """What a run's numbers depend on of it, by value; nothing by default."""
        return {}

    def state(self) -> dict[str, Any]:
        """What it remembers, for a checkpoint."""
        return {}

    def restore(self, saved: dict[str, Any]) -> None:
        """Take what `state` gave."""
