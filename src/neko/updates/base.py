"""Updates with a learning rate, from a name or an object; gradient clipping."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from neko.arguments import is_real
from neko.backend import OPTIMIZERS
from neko.backend.protocol import Backend
from neko.backend.update import Params, Update
from neko.typing import Array
from neko.updates.naive import Naive
from neko.updates.registry import UPDATES

DEFAULT_RATE = 1e-3


@runtime_checkable
class Unbound(Protocol):
    """An update without a backend, such as `Manhattan`; it has its own learning rate."""

    learning_rate: float | Callable[[int], float]

    def bind(self, xp: Backend) -> Update:
        """The update on a backend."""


@dataclass(frozen=True)
class Given(Update):
    """A user's own object with ``init`` and ``step`` that is not an `Update`."""

    own: Any

    def init(self, params: Params) -> Any:
        return self.own.init(params)

    def step(self, params: Params, gradients: Params, state: Any, rate: Array) -> tuple[Params, Any]:
        params, state = self.own.step(params, gradients, state, rate)
        return params, state


@dataclass(frozen=True)
class Scheduled:
    """An update with its learning rate: a number, or a schedule ``step -> rate`` evaluated before each step."""

    update: Update
    learning_rate: float | Callable[[int], float]

    def rate(self, step: int) -> float:
        """Learning rate of the update number `step`, from 0."""
        if not callable(self.learning_rate):
            return self.learning_rate
        given = self.learning_rate(step)
        try:
            rate = math.nan if isinstance(given, bool | str) else float(given)  # also of a framework's 0-d array
        except (TypeError, ValueError):
            rate = math.nan
        if not usable(rate):
            raise ValueError(
                f"learning_rate={self.learning_rate!r} gave {given!r} at step {step!r}: expected a finite number >= 0"
            )
        return rate


def resolve(xp: Backend, optimizer: Any, learning_rate: Any = None) -> Scheduled:
    r"""An update from a name, an optimizer of the framework, or an update.

    Parameters
    ----------
    optimizer : str or object
        One of

        - ``'naive'``: :math:`w - g`, no rate;
        - a name of the table, which is the framework's own optimizer with these numbers on every framework;
        - an `Update`, an object with its ``init`` and ``step``, or `Manhattan`;
        - the framework's own: what makes a torch optimizer, or an ``LRScheduler`` of one, from parameters
          (``functools.partial(torch.optim.SGD, lr=0.1)``), an ``optax.GradientTransformation``, or a
          ``keras.optimizers.Optimizer``.

        ============  =====================================================================
        name          step, with rate η and gradient g
        ============  =====================================================================
        ``sgd``       ``w -= η g``
        ``momentum``  ``v = 0.9 v + g;  w -= η v``
        ``nesterov``  ``v = 0.9 v + g;  w -= η (g + 0.9 v)``
        ``adam``      β = (0.9, 0.999), ε = 1e-8
        ``adamw``     as adam, and ``w -= η 0.01 w``
        ``adamax``    β = (0.9, 0.999), ε = 1e-8
        ``rmsprop``   ``s = 0.99 s + 0.01 g²;  w -= η g / (√s + 1e-8)``
        ``adagrad``   ``s = s + g²`` from 0.1;  ``w -= η g / √s``
        ============  =====================================================================
    learning_rate : float or callable, optional
        A number, or a schedule ``step -> rate`` counted from 0. The default is 1e-3. Neither 'naive' nor an
        optimizer of the framework accepts one: such an object has its own.

    Raises
    ------
    ValueError
        For an unknown name (the message lists the valid ones), a rate below 0, or a rate for an optimizer that has its
        own.
    TypeError
        For any other object.

    Notes
    -----
    Keras adds ε of adamax and rmsprop at another place, which matters only for gradients near ε, and rounds constants
    to float32. Its momentum stores ``η v``: under a schedule it differs from the other two.
    """
    if optimizer is None:
        raise ValueError("optimizer=None: expected a name such as 'adam', an optimizer of the framework or an update")
    if isinstance(optimizer, str):
        if optimizer in OPTIMIZERS:
            return Scheduled(xp.optimizer(optimizer), check_rate(learning_rate))
        found = UPDATES.get(optimizer)
        optimizer = found() if isinstance(found, type) else found
        if isinstance(optimizer, Naive) and learning_rate is not None:
            raise ValueError(f"learning_rate={learning_rate!r}: 'naive' has no rate")
    if isinstance(optimizer, Unbound) and not isinstance(optimizer, type):
        if learning_rate is not None:
            raise ValueError(f"learning_rate={learning_rate!r}: {optimizer!r} has its own")
        return Scheduled(optimizer.bind(xp), check_rate(optimizer.learning_rate))
    if hasattr(optimizer, "init") and hasattr(optimizer, "step"):
        if isinstance(optimizer, type):
            raise TypeError(f"optimizer={optimizer!r} is a class: pass an object, {optimizer.__name__}(…)")
        made = optimizer if isinstance(optimizer, Update) else Given(optimizer)
        return Scheduled(made, check_rate(learning_rate))
    if learning_rate is not None:
        raise ValueError(f"learning_rate={learning_rate!r}: {optimizer!r} has its own")
    return Scheduled(xp.optimizer(optimizer), DEFAULT_RATE)


def check_rate(learning_rate: Any) -> float | Callable[[int], float]:
    """The rate with its default; ValueError for a number that is not finite or below 0."""
    if learning_rate is None:
        return DEFAULT_RATE
    if isinstance(learning_rate, type):
        raise TypeError(f"learning_rate={learning_rate!r} is a class: pass an object, such as Cosine(0.1, 100)")
    if callable(learning_rate):
        rate: Callable[[int], float] = learning_rate
        return rate
    if not usable(learning_rate):
        raise ValueError(f"learning_rate={learning_rate!r}: expected a finite number >= 0 or a schedule step -> rate")
    return float(learning_rate)


def usable(rate: Any) -> bool:
    """Whether a value is a learning rate: a finite number of at least 0."""
    return is_real(rate) and rate >= 0.0


def check_clip_norm(clip_norm: Any) -> float | None:
    """The norm as a float; ValueError unless it is None or above 0."""
    if clip_norm is not None and not (is_real(clip_norm) and clip_norm > 0.0):
        raise ValueError(f"clip_norm={clip_norm!r}: expected a number above 0 or None")
    return None if clip_norm is None else float(clip_norm)


def clip_by_global_norm(xp: Backend, gradients: dict[str, Any], norm: float) -> dict[str, Any]:
    """``g · min(1, norm / ‖g‖₂)`` with the norm over all gradients together (Pascanu et al. 2013)."""
    squares = sum(xp.sum(xp.square(g)) for g in gradients.values())
    factor = norm / xp.maximum(xp.sqrt(squares), norm)
    return {name: g * factor for name, g in gradients.items()}
