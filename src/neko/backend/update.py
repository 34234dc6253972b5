"""The interface of updates: from gradients and parameters to new parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from neko.io import snapshot
from neko.typing import Array

Params = dict[str, Array]


class Update(ABC):
    """Turns gradients into new parameters, which are a flat dict of arrays.

    A subclass defines `init` and `step`. An update that stores the weights itself, as `neko.updates.Manhattan` does in
    devices, also sets `holds` and defines `hold`, and where it matters `read` and `elapse`.

    Attributes
    ----------
    holds : bool
        Whether the update stores the weights itself, so that weights set from outside pass through `hold`.
    in_place : bool
        Whether `step` changes its state in place; the subclass then defines `kept` and `chosen` too.
    """

    holds: ClassVar[bool] = False
    in_place: ClassVar[bool] = False

    @abstractmethod
    def init(self, params: Params) -> Any:
        """State before the first update."""

    @abstractmethod
    def step(self, params: Params, gradients: Params, state: Any, rate: Array) -> tuple[Params, Any]:
        """New parameters and state; pure unless `in_place`, since JAX and TensorFlow compile it."""

    def hold(self, params: Params, state: Any) -> tuple[Params, Any]:
        """The parameters as the update can store them, and its state; pure."""
        return params, state

    def read(self, params: Params, state: Any, number: Array) -> Params:
        """The parameters as the forward pass before update `number` reads them, where reads are noisy; pure."""
        return params

    def elapse(self, params: Params, state: Any, seconds: float) -> tuple[Params, Any]:
        """The parameters and the state after a time without updates, where what stores them changes; pure."""
        return params, state

    def kept(self, state: Any) -> Any:
        """What `chosen` needs of the state before a step."""
        return state

    def chosen(self, xp: Any, good: Array, new: Any, kept: Any) -> Any:
        """The new state where the step was good, else the one before it; `good` is a scalar on the device."""
        return choose(xp, good, new, kept)

    def rewind(self, state: Any, steps: int) -> None:  # noqa: B027
        """Undo what the last `steps`, none of which was good, have counted on the host."""

    def exported(self, xp: Any, state: Any) -> Any:
        """The state as a checkpoint holds it."""
        return snapshot.exported(xp, state)

    def loaded(self, xp: Any, template: Any, saved: Any) -> Any:
        """The state from a checkpoint; the template is what `init` gave."""
        return snapshot.loaded(xp, template, saved, "update")

    def report(self, state: Any) -> dict[str, float]:
        """Measures that the update adds to the history after an epoch, such as the number of pulses of a device."""
        return {}


def choose(xp: Any, good: Array, new: Any, old: Any) -> Any:
    """The arrays of the tree `new` if the scalar `good` is true, else those of `old`; zeros where `old` is None."""
    if new is None or new is old or (known := xp.known(good)):
        return new
    if known is False and old is not None:
        return old
    if isinstance(new, dict):
        return {key: choose(xp, good, a, None if old is None else old[key]) for key, a in new.items()}
    if isinstance(new, tuple | list):
        chosen = [choose(xp, good, a, b) for a, b in zip(new, old or [None] * len(new), strict=True)]
        return type(new)(*chosen) if hasattr(new, "_fields") else type(new)(chosen)
    return xp.where(good, new, xp.zeros_like(new) if old is None else old)
