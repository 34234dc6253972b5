"""The Manhattan rule: a step of one size by the sign of the gradient, or a pulse through a device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, NamedTuple

import numpy as np

from neko import tree
from neko.arguments import check_integer, check_number, is_real, plain
from neko.backend.protocol import Backend
from neko.backend.update import Update
from neko.devices import Device, DifferentialPair, PairState
from neko.typing import Array
from neko.updates.registry import UPDATES

DEFAULT_DELTA = 1e-3
HEADROOM = 2.0
"""Range of a weight's devices, in units of the largest initial weight of its tensor."""


class State(NamedTuple):
    """Pairs of devices by parameter (or None), a random key, accumulated gradients, and their number."""

    pairs: dict[str, PairState] | None
    key: Array
    gathered: dict[str, Array] | None
    count: Array


@UPDATES.register("manhattan")
@dataclass(frozen=True)
class Manhattan:
    r"""Every weight moves by one step against the sign of its gradient.

    .. math::
        w ← w - δ\, \mathrm{sign}(g), \qquad \mathrm{sign}(g) = 0 \text{ for } |g| ≤ dead\_zone

    A zero gradient changes no weight. With a device the step is a pulse to the pair of conductances that stores the
    weight, and the device determines its size.

    From the first forward pass on the weights are those stored in the devices, clipped to their range. Any other change
    of weights (a decay, a checkpoint, an assignment) is written exactly to the devices, within their bounds, before the
    next forward pass.

    Parameters
    ----------
    delta : float or callable, optional
        δ, a number or a schedule ``step -> δ``; default 1e-3. Not with a device, which has its own step.
    dead_zone : float
        Gradients up to this size change no weight.
    accumulate : int
        Number of updates over which gradients are summed before a step by the sign of the sum.
    device : Device, optional
        Stores the weights, two devices per weight.
    w_max : float, optional
        The largest weight that a pair can store; by default twice the largest initial weight of each tensor (1 for a
        tensor of zeros). Larger weights are clipped when the devices are programmed, to the bounds of each pair where
        the range has a spread.
    seed : int
        Seed of the device's spread and noise.

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
    device: Device | None = None
    w_max: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.device is not None and not isinstance(self.device, Device):
            raise TypeError(f"device={self.device!r}: expected a Device, for example SoftBounds()")
        if self.device is not None and self.delta is not None:
            raise ValueError(f"delta={self.delta!r}: with a device the step is the device's, dg_min")
        if self.w_max is not None and (self.device is None or not is_real(self.w_max) or self.w_max <= 0.0):
            raise ValueError(f"w_max={self.w_max!r}: expected a weight above 0, and a device that holds it")
        if self.delta is not None and not callable(self.delta):
            object.__setattr__(self, "delta", check_number("delta", self.delta))
        object.__setattr__(self, "w_max", plain(self.w_max))
        object.__setattr__(self, "dead_zone", check_number("dead_zone", self.dead_zone))
        object.__setattr__(self, "accumulate", check_integer("accumulate", self.accumulate))
        object.__setattr__(self, "seed", check_integer("seed", self.seed, least=0))

    @property
    def learning_rate(self) -> float | Callable[[int], float]:
        """δ; with a device it is not used."""
        return DEFAULT_DELTA if self.delta is None else self.delta

    def bind(self, xp: Backend) -> ManhattanUpdate:
        """The update on a backend."""
        return ManhattanUpdate(self, xp)


@dataclass(frozen=True, eq=False)
class ManhattanUpdate(Update):
    """`Manhattan` on a backend; see `neko.updates.Update`."""

    rule: Manhattan
    xp: Backend

    holds = True

    @property
    def pair(self) -> DifferentialPair | None:
        """The pair of devices that stores a weight."""
        return None if self.rule.device is None else DifferentialPair(self.rule.device)

    def init(self, params: dict[str, Array]) -> State:
        """Devices programmed to the weights, no accumulated gradients."""
        xp, pair = self.xp, self.pair
        key = xp.random.key(self.rule.seed)
        pairs = None
        if pair is not None:
            names = sorted(params)
            keys = xp.unstack(xp.random.split(key, len(names) + 1))
            key = keys[-1]
            pairs = {
                name: pair.program(xp, k, params[name], self.largest(params[name]))
                for name, k in zip(names, keys, strict=False)
            }
        gathered = tree.map(xp.zeros_like, params) if self.rule.accumulate > 1 else None
        return State(pairs, key, gathered, xp.zeros(()))

    def largest(self, w: Array) -> Array | float:
        """The largest weight that the devices of a tensor can store."""
        if self.rule.w_max is not None:
            return self.rule.w_max
        most = self.xp.max(self.xp.abs(w))
        return self.xp.where(most > 0.0, HEADROOM * most, self.xp.ones_like(most))

    def step(self, params: dict[str, Array], gradients: dict[str, Array], state: State, rate: Array) -> Any:
        """Weights after a step or a pulse, and the state."""
        xp, pair = self.xp, self.pair
        due, gathered, count = self.due(gradients, state)
        if pair is None or state.pairs is None:
            moved = {name: w - rate * sign(xp, self.rule, due[name]) for name, w in params.items()}
            return moved, State(None, state.key, gathered, count)
        names = sorted(params)
        keys = xp.unstack(xp.random.split(state.key, len(names) + 1))
        pairs = {
            name: xp.elementwise(pulsed, self.rule, key, state.pairs[name], params[name], due[name])
            for name, key in zip(names, keys, strict=False)
        }
        return weights(pairs), State(pairs, keys[-1], gathered, count)

    def hold(self, params: dict[str, Array], state: State) -> tuple[dict[str, Array], State]:
        """The weights as stored in the devices after writing; without a device, unchanged."""
        xp, pair = self.xp, self.pair
        if pair is None or state.pairs is None:
            return params, state
        if all(xp.same(params[name], known.held) for name, known in state.pairs.items()):
            return params, state
        pairs = {name: pair.write(xp, state.pairs[name], w) for name, w in params.items()}
        return weights(pairs), state._replace(pairs=pairs)

    def due(self, gradients: dict[str, Array], state: State) -> tuple[dict[str, Array], Any, Array]:
        """The gradients that count now, zeros while they are accumulated; what is accumulated, and of how many."""
        xp = self.xp
        if state.gathered is None:
            return gradients, None, state.count
        gathered = tree.map(lambda a, g: a + g, state.gathered, {name: gradients[name] for name in state.gathered})
        due = xp.astype(state.count + 1.0 >= self.rule.accumulate, xp.dtype)
        found = tree.map(lambda g: due * g, gathered)
        return found, tree.map(lambda g: (1.0 - due) * g, gathered), (1.0 - due) * (state.count + 1.0)

    def report(self, state: State) -> dict[str, float]:
        """For the history: the mean number of pulses per device, and the fraction of devices at a bound."""
        if state.pairs is None:
            return {}
        pulses, at_bounds = [], []
        for pair in state.pairs.values():
            for device in (pair.plus, pair.minus):
                g, lower, upper, count = (
                    self.xp.to_numpy(a).ravel() for a in (device.g, device.lower, device.upper, device.pulses)
                )
                pulses.append(count)
                at_bounds.append((g <= lower) | (g >= upper))
        return {
            "pulses": float(np.concatenate(pulses).mean()),
            "at_bounds": float(np.concatenate(at_bounds).mean()),
        }

    def conductances(self, state: State) -> dict[str, tuple[Any, Any]]:
        """g⁺ and g⁻ of every parameter as NumPy arrays, in siemens."""
        pairs = {} if state.pairs is None else state.pairs
        return {name: (self.xp.to_numpy(p.plus.g), self.xp.to_numpy(p.minus.g)) for name, p in pairs.items()}


def sign(xp: Backend, rule: Manhattan, g: Array) -> Array:
    """-1, 0 or 1; 0 in the dead zone."""
    if not rule.dead_zone:
        return xp.sign(g)
    return xp.where(xp.abs(g) > rule.dead_zone, xp.sign(g), xp.zeros_like(g))


def pulsed(xp: Backend, rule: Manhattan, key: Array, state: PairState, w: Array, g: Array) -> PairState:
    """A pair that stores the weights, after a pulse against the gradient."""
    pair = DifferentialPair(rule.device)  # type: ignore[arg-type]
    return pair.pulse(xp, key, pair.write(xp, state, w), -sign(xp, rule, g))


def weights(pairs: dict[str, PairState]) -> dict[str, Array]:
    """Copies of the stored weights, since a caller may change them in place."""
    return {name: 1.0 * pair.held for name, pair in pairs.items()}
