"""The Manhattan rule: a step of one size by the sign of the gradient, or a pulse through a device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, NamedTuple

from neko.arguments import check_integer, check_number
from neko.backend.protocol import Backend
from neko.backend.update import Update
from neko.devices import Storage, Stored
from neko.typing import Array
from neko.updates.analog.base import Analog, check_optimizer
from neko.updates.registry import UPDATES

DEFAULT_DELTA = 1e-3


@UPDATES.register("manhattan")
@dataclass(frozen=True)
class Manhattan(Analog):
    r"""Every weight moves by one step against the sign of its gradient.

    .. math::
        w ← w - δ\, \mathrm{sign}(g), \qquad \mathrm{sign}(g) = 0 \text{ for } |g| ≤ dead\_zone

    A zero gradient changes no weight. With a device the step is a pulse to the pair of conductances that stores the
    weight, and the device determines its size.

    Parameters
    ----------
    delta : float or callable, optional
        δ, a number or a schedule ``step -> δ``; default 1e-3. Not with a device, which has its own step.
    dead_zone : float
        Gradients up to this size change no weight.
    accumulate : int
        Number of updates over which gradients are summed before a step by the sign of the sum.
    device, w_max, digital, seconds, seed
        As for `Analog`.
    digital_optimizer, digital_rate : str, float or callable
        Optimizer of digital parameters, and its learning rate.

    Raises
    ------
    ValueError
        For a delta with a device, w_max without one, a negative dead zone, or accumulate below 1.

    References
    ----------
    Zhao et al. (2021), section 3.3; Zamanidoost et al. (2015), doi:10.1109/SIPS.2015.7345007.

    Examples
    --------
    >>> import neko
    >>> from neko.devices import SoftBounds
    >>> model = neko.Evaluator(neko.LIF(8, 2, "torch"), loss="categorical_crossentropy")
    >>> rule = neko.Eprop(model, optimizer=Manhattan(device=SoftBounds(dg_min_std=0.3)))
    """

    _: KW_ONLY
    delta: float | Callable[[int], float] | None = None
    dead_zone: float = 0.0
    accumulate: int = 1
    digital_optimizer: str = "adam"
    digital_rate: float | Callable[[int], float] = 1e-3

    follows = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.device is not None and self.delta is not None:
            raise ValueError(f"delta={self.delta!r}: with a device the step is the device's, dg_min")
        if self.delta is not None and not callable(self.delta):
            object.__setattr__(self, "delta", check_number("delta", self.delta))
        check_optimizer(self.digital_optimizer)
        object.__setattr__(self, "dead_zone", check_number("dead_zone", self.dead_zone))
        object.__setattr__(self, "accumulate", check_integer("accumulate", self.accumulate))

    @property
    def learning_rate(self) -> float | Callable[[int], float]:
        """δ; with a device, the rate of digital parameters."""
        if self.device is not None:
            return self.digital_rate
        return DEFAULT_DELTA if self.delta is None else self.delta

    @property
    def optimizer(self) -> str:
        return self.digital_optimizer

    def bind(self, xp: Backend) -> Update:
        return SignDescent(self, xp) if self.device is None else super().bind(xp)

    def memory(self, xp: Backend, key: Array | None, w: Array, stored: Stored | None) -> Any:
        """The sum of the gradients that wait, and their number."""
        return (xp.zeros_like(w), xp.zeros(())) if self.accumulate > 1 else ()

    def change(
        self, xp: Backend, key: Array, storage: Storage, stored: Stored, own: Any, wanted: Array
    ) -> tuple[Stored, Any]:
        return storage.pulse(xp, key, stored, self.sign(xp, wanted)), own

    def moved(self, xp: Backend, key: Array, stored: Stored, own: Any, w: Array, wanted: Array) -> tuple[Stored, Any]:
        due, own = self.due(xp, own, wanted)
        return super().moved(xp, key, stored, (), w, due)[0], own

    def sign(self, xp: Backend, g: Array) -> Array:
        """-1, 0 or 1; 0 in the dead zone."""
        if not self.dead_zone:
            return xp.sign(g)
        return xp.where(xp.abs(g) > self.dead_zone, xp.sign(g), xp.zeros_like(g))

    def due(self, xp: Backend, own: Any, wanted: Array) -> tuple[Array, Any]:
        """What counts now, zeros while gradients are summed, and the memory."""
        if not own:
            return wanted, own
        gathered, count = own[0] + wanted, own[1] + 1.0
        now = xp.astype(count >= self.accumulate, xp.dtype)
        return now * gathered, ((1.0 - now) * gathered, (1.0 - now) * count)


class State(NamedTuple):
    """The gradients that wait, and their number, by parameter."""

    own: dict[str, Any]


@dataclass(frozen=True, eq=False)
class SignDescent(Update):
    """`Manhattan` without devices; see `neko.updates.Update`."""

    rule: Manhattan
    xp: Backend

    def init(self, params: dict[str, Array]) -> State:
        """No accumulated gradients."""
        return State({name: self.rule.memory(self.xp, None, w, None) for name, w in params.items()})

    def step(
        self, params: dict[str, Array], gradients: dict[str, Array], state: State, rate: Array
    ) -> tuple[dict[str, Array], State]:
        """Weights after a step of one size."""
        found = {name: self.rule.due(self.xp, state.own[name], -gradients[name]) for name in params}
        moved = {name: w + rate * self.rule.sign(self.xp, found[name][0]) for name, w in params.items()}
        return moved, State({name: own for name, (_, own) in found.items()})
