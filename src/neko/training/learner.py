"""What a trainer trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from neko.data.sources import Source
from neko.evaluator import Evaluator
from neko.identity import representation


class Learner(ABC):
    """What a trainer trains: something that learns from the batches of an epoch.

    Attributes
    ----------
    model : Evaluator
        Model, loss and metrics.
    pausable : bool
        Whether `state` is whole after every batch; if not, it is between epochs.
    changeable : bool
        Whether something of a run may be changed on purpose when it goes on.
    """

    model: Evaluator
    pausable: ClassVar[bool] = False
    changeable: ClassVar[bool] = True

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join([repr(self.model), *representation.options(self)])})"

    @property
    def ordered(self) -> bool:
        """Whether batches are pieces of a stream, which must come in their order."""
        return False

    @abstractmethod
    def epoch(self, batches: Iterable[tuple[Any, Any, Any]], done: Callable[[], None]) -> dict[str, float]:
        """Learn from every batch (x, y, mask) in turn, calling `done` after each; what the history keeps.

        After a `restore` within an epoch, `batches` are those that were left.
        """

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """What a checkpoint must agree with to be this learner's: every option, by value (see `neko.identity`)."""

    def attach(self, source: Source) -> None:  # noqa: B027
        """A call to train begins, with the batches of this source; most learners take whatever batches come."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """All that learning depends on, as dicts, lists, numbers and NumPy arrays."""

    @abstractmethod
    def restore(self, saved: dict[str, Any], batches: Iterable[tuple[Any, Any, Any]]) -> None:
        """Go on from what `state` gave; `batches` are those of the first epoch.

        Raises
        ------
        CheckpointError
            If a part is missing or has another shape.
        """
