"""What an update is, and how a name or object becomes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from neko.typing import Array

DEFAULT_RATE = 1e-3


class Update(Protocol):
    """Turns gradients into new parameters; parameters are a flat dict of arrays."""

    def init(self, params: dict[str, Array]) -> Any:
        """State before the first update."""

    def step(
        self, params: dict[str, Array], gradients: dict[str, Array], state: Any, rate: Array
    ) -> tuple[dict[str, Array], Any]:
        """New parameters and state; a pure function that backends may compile."""


@dataclass(frozen=True)
class Scheduled:
    """An update with its learning rate: a number, or a schedule ``step -> rate`` evaluated before each step."""

    update: Update
    learning_rate: float | Callable[[int], float]

    def rate(self, step: int) -> float:
        """Learning rate of the update number `step`, from 0."""
        value = self.learning_rate(step) if callable(self.learning_rate) else self.learning_rate
        return float(value)

    def init(self, params: dict[str, Array]) -> Any:
        """State before the first update."""
        return self.update.init(params)

    def step(self, params: Any, gradients: Any, state: Any, rate: Array) -> Any:
        """New parameters and state."""
        return self.update.step(params, gradients, state, rate)


def resolve(xp: Any, optimizer: Any, learning_rate: Any) -> Scheduled:
    """An update from a name, an optimizer of the framework, or an update.

    Parameters
    ----------
    optimizer : str or object
        'naive', a name of the framework's optimizers ('sgd', 'momentum', 'adam', 'adamw', 'rmsprop', 'adagrad'),
        an object with ``init`` and ``step``, or the framework's own (see the backend's ``optimizer``).
    learning_rate : float, callable or None
        For a name; None is 1e-3. An object brings its own.

    Raises
    ------
    ValueError
        For an unknown name, or a rate given to an object that has its own.
    """
    from neko.updates.naive import Naive

    if isinstance(optimizer, str) and optimizer != "naive":
        return Scheduled(xp.optimizer(optimizer), check_rate(learning_rate))
    if learning_rate is not None:
        raise ValueError(f"learning_rate={learning_rate!r}: {optimizer!r} takes none; an object brings its own rate")
    if optimizer == "naive":
        return Scheduled(Naive(), 1.0)
    own = hasattr(optimizer, "init") and hasattr(optimizer, "step")
    return Scheduled(optimizer if own else xp.optimizer(optimizer), DEFAULT_RATE)


def check_rate(learning_rate: Any) -> float | Callable[[int], float]:
    """The rate with its default; ValueError for a number that is not above 0."""
    if learning_rate is None:
        return DEFAULT_RATE
    if not callable(learning_rate) and not float(learning_rate) > 0.0:
        raise ValueError(f"learning_rate={learning_rate!r}: expected a number above 0 or a schedule step -> rate")
    rate: float | Callable[[int], float] = learning_rate
    return rate
