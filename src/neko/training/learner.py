"""What a trainer trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

from neko.data.intake import Examples
from neko.data.sources import Source
from neko.evaluator import Evaluator
from neko.identity import representation

Measures = dict[str, Any]
"""(total, weight) on the device by name, to be summed over steps."""


class Learner(ABC):
    """What a trainer trains, step by step.

    Attributes
    ----------
    model : Evaluator
        Model, loss and metrics.
    pausable : bool
        Whether `exported` is whole after every step; if not, it is between epochs.
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
        """Whether batches are chunks of a stream, which must come in their order."""
        return False

    def attach(self, source: Source) -> None:  # noqa: B027
        """A call to train begins, with the batches of this source; most learners take whatever batches come."""

    def portions(self, batches: Iterable[Examples]) -> Iterable[Any]:
        """What `learn` takes one after the other in an epoch; the batches, unless a learner says otherwise.

        After a `load` within an epoch, `batches` are those that were left.
        """
        return batches

    @abstractmethod
    def learn(self, portion: Any) -> Measures:
        """One step. Nothing is copied from the device to the host."""

    def check(self) -> None:  # noqa: B027
        """NonFiniteError if a step since the last check found numbers that are not finite."""

    def finish(self, totals: Measures) -> dict[str, float]:
        """What the history keeps of an epoch, from its summed measures."""
        return self.model.finalise(totals)

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """What a checkpoint must agree with to be this learner's: every option, by value (see `neko.identity`)."""

    @abstractmethod
    def exported(self) -> dict[str, Any]:
        """All that learning depends on, as dicts, lists, numbers and NumPy arrays."""

    @abstractmethod
    def load(self, saved: dict[str, Any], batches: Iterable[Examples]) -> None:
        """Go on from what `exported` gave; `batches` are those of the first epoch.

        Raises
        ------
        CheckpointError
            If a part is missing or has another shape.
        """
