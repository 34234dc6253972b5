"""What a trainer tells those who listen."""

from __future__ import annotations

from typing import Any, ClassVar

from neko.training.loop import Loop


class Callback:
    """Listens to a trainer; a subclass writes the methods that it needs.

    Attributes
    ----------
    order : int
        Callbacks of a higher order come after the others.
    """

    order: ClassVar[int] = 0

    def begin(self, loop: Loop) -> None:
        """Before the first epoch."""

    def batch(self, loop: Loop) -> None:
        """After every batch, of learners that can pause there."""

    def epoch(self, loop: Loop) -> None:
        """After every epoch; its measures are the last of ``loop.history``."""

    def interrupted(self, loop: Loop) -> None:
        """When a person stopped the run."""

    def end(self, loop: Loop) -> None:
        """After the last epoch."""

    def identity(self) -> dict[str, Any]:
        """What a run's numbers depend on of it, by value; nothing by default."""
        return {}

    def state(self) -> dict[str, Any]:
        """What it remembers, for a checkpoint."""
        return {}

    def restore(self, saved: dict[str, Any]) -> None:
        """Take what `state` gave."""
