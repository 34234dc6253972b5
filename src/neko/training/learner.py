"""The interface of everything that a trainer trains."""

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
    """Learns step by step from batches; a `Trainer` trains it.

    Attributes
    ----------
    model : Evaluator
        Model, loss and metrics.
    pausable : bool
        Whether `exported` is complete after every step, and not only between epochs.
    changeable : bool
        Whether options of a run may be changed when it is resumed.
    """

    model: Evaluator
    pausable: ClassVar[bool] = False
    changeable: ClassVar[bool] = True

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join([repr(self.model), *representation.options(self)])})"

    @property
    def ordered(self) -> bool:
        """Whether batches are chunks of a stream, whose order matters."""
        return False

    def attach(self, source: Source) -> None:  # noqa: B027
        """Called when training begins, with the source of its batches."""

    def items(self, batches: Iterable[Examples]) -> Iterable[Any]:
        """The arguments for `learn` in an epoch: by default the batches, after a `load` the remaining ones."""
        return batches

    @abstractmethod
    def learn(self, item: Any) -> Measures:
        """One step. Nothing is copied from the device to the host."""

    def check(self) -> None:  # noqa: B027
        """NonFiniteError if a step since the last check found numbers that are not finite."""

    def finish(self, totals: Measures) -> dict[str, float]:
        """The measures of an epoch for the history, from their sums."""
        return self.model.finalise(totals)

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Every option, by value, with which a checkpoint must agree (see `neko.identity`)."""

    @abstractmethod
    def exported(self) -> dict[str, Any]:
        """All that learning depends on, as dicts, lists, numbers and NumPy arrays."""

    @abstractmethod
    def load(self, saved: dict[str, Any], batches: Iterable[Examples]) -> None:
        """Load what `exported` returned; `batches` are those of the first epoch. CheckpointError for an entry that is
        missing or has another shape."""
