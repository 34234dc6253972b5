"""Analog updates on a backend."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from neko.backend.protocol import Backend
from neko.backend.update import Update, choose
from neko.devices import Storage, Stored
from neko.typing import Array
from neko.updates.analog import costs
from neko.updates.analog.base import Analog

HEADROOM = 2.0
"""Range of a weight's devices, in units of the largest initial weight of its tensor."""

Params = dict[str, Array]


class State(NamedTuple):
    """Devices by parameter, what is remembered of each, a random key, and the state of the optimizer or None."""

    stores: dict[str, Stored]
    own: dict[str, Any]
    key: Array
    inner: Any


@dataclass(frozen=True, eq=False)
class AnalogUpdate(Update):
    """An `Analog` on a backend, with the optimizer that wants changes; see `neko.updates.Update`."""

    rule: Analog
    xp: Backend
    inner: Update

    holds = True
    in_place = True

    def init(self, params: Params) -> State:
        """Devices programmed to the weights."""
        xp, rule, storage = self.xp, self.rule, self.rule.storage
        names = rule.in_devices(params)
        *keys, last = xp.unstack(xp.random.split(xp.random.key(rule.seed), len(names) + 1))
        stores: dict[str, Stored] = {}
        own = {}
        for name, key in zip(names, keys, strict=True):
            stores[name] = storage.program(xp, key, params[name], self.largest(params[name]))
            own[name] = rule.memory(xp, key, params[name], stores[name])
        followed = self.followed(params)
        return State(stores, own, last, self.inner.init(followed) if followed else None)

    def largest(self, w: Array) -> Array | float:
        """The largest weight that the devices of a tensor can store."""
        if self.rule.w_max is not None:
            return self.rule.w_max
        most = self.xp.max(self.xp.abs(w))
        return self.xp.where(most > 0.0, HEADROOM * most, self.xp.ones_like(most))

    def followed(self, params: Params) -> Params:
        """The parameters whose change the optimizer gives."""
        if self.rule.follows:
            return params
        return {name: params[name] for name in sorted(params.keys() - {*self.rule.in_devices(params)})}

    def step(self, params: Params, gradients: Params, state: State, rate: Array) -> tuple[Params, State]:
        """Weights after the pulses of an update, and the state."""
        xp, rule = self.xp, self.rule
        names = rule.in_devices(params)
        followed, inner = self.followed(params), state.inner
        wanted = {name: -gradients[name] for name in names}
        after = dict(params)
        if followed:
            target, inner = self.inner.step(followed, {name: gradients[name] for name in followed}, inner, rate)
            after |= target
            wanted |= {name: target[name] - params[name] for name in names if name in target}
        *keys, last = xp.unstack(xp.random.split(state.key, len(names) + 1))
        found = {
            name: rule.moved(xp, key, state.stores[name], state.own[name], params[name], wanted[name])
            for name, key in zip(names, keys, strict=True)
        }
        stores, own = ({name: parts[k] for name, parts in found.items()} for k in range(2))
        return after | weights(stores), State(stores, own, last, inner)

    def hold(self, params: Params, state: State) -> tuple[Params, State]:
        """The weights as stored in the devices after writing."""
        xp, storage = self.xp, self.rule.storage
        if all(xp.same(params[name], known.held) for name, known in state.stores.items()):
            return params, state
        stores = {name: storage.write(xp, known, params[name]) for name, known in state.stores.items()}
        return params | weights(stores), state._replace(stores=stores)

    def read(self, params: Params, state: State, number: Array) -> Params:
        """The weights as one read of the devices shows them, with noise of its own for each update."""
        xp, storage = self.xp, self.rule.storage
        if not storage.device.noisy:
            return params
        keys = xp.unstack(xp.random.split(xp.random.fold(state.key, number), len(state.stores)))
        seen = zip(keys, state.stores.items(), strict=True)
        return params | {name: storage.noisy(xp, key, stored) for key, (name, stored) in seen}

    def elapse(self, params: Params, state: State, seconds: float) -> tuple[Params, State]:
        """Weights and state after a time without updates."""
        xp, storage = self.xp, self.rule.storage
        if not storage.device.ages:
            return params, state
        stores = {name: storage.elapse(xp, stored, seconds) for name, stored in state.stores.items()}
        return params | weights(stores), state._replace(stores=stores)

    def kept(self, state: State) -> Any:
        return state._replace(inner=None), None if state.inner is None else self.inner.kept(state.inner)

    def chosen(self, xp: Any, good: Array, new: State, kept: Any) -> State:
        before, inner = kept
        found: State = choose(xp, good, new._replace(inner=None), before)
        return found._replace(inner=None if new.inner is None else self.inner.chosen(xp, good, new.inner, inner))

    def rewind(self, state: State, steps: int) -> None:
        if state.inner is not None:
            self.inner.rewind(state.inner, steps)

    def exported(self, xp: Any, state: State) -> Any:
        inner = None if state.inner is None else self.inner.exported(xp, state.inner)
        return {**super().exported(xp, state._replace(inner=None)), "inner": inner}

    def loaded(self, xp: Any, template: State, saved: Any) -> State:
        plain = {**saved, "inner": None} if isinstance(saved, dict) else saved
        found: State = super().loaded(xp, template._replace(inner=None), plain)
        if template.inner is None:
            return found
        return found._replace(inner=self.inner.loaded(xp, template.inner, saved["inner"]))

    def report(self, state: State) -> dict[str, float]:
        """What learning costs the chip: see `neko.updates.analog.costs`."""
        return costs.measured(self.xp, (found for _, found in self.arrays(state)))

    def conductances(self, state: State) -> dict[str, dict[str, Any]]:
        """Conductances of every parameter's devices as NumPy arrays, in siemens, by what figures call the devices."""
        return self.shown(state, "g")

    def pulses(self, state: State) -> dict[str, dict[str, Any]]:
        """The number of pulses that every parameter's devices have had, by what figures call the devices."""
        return self.shown(state, "pulses")

    def bounds(self, state: State) -> dict[str, dict[str, tuple[float, float]]]:
        """The smallest lower and the largest upper bound of every parameter's devices, in siemens."""
        lower, upper = self.shown(state, "lower"), self.shown(state, "upper")
        return {
            name: {label: (float(low.min()), float(upper[name][label].max())) for label, low in found.items()}
            for name, found in lower.items()
        }

    def shown(self, state: State, field: str) -> dict[str, dict[str, Any]]:
        """A field of every parameter's devices as NumPy arrays."""
        found = {}
        for name, (storage, stored) in self.arrays(state):
            pairs = zip(storage.labels, stored.devices, strict=True)
            found[name] = {label: self.xp.to_numpy(getattr(device, field)) for label, device in pairs}
        return found

    def arrays(self, state: State) -> Iterator[tuple[str, tuple[Storage, Stored]]]:
        """All devices by the name of their parameter, and what else they are for."""
        for name, stored in state.stores.items():
            for suffix, found in self.rule.arrays(stored, state.own[name]).items():
                yield f"{name}{suffix}", found


def weights(stores: dict[str, Stored]) -> Params:
    """Copies of the stored weights, since a caller may change them in place."""
    return {name: 1.0 * stored.held for name, stored in stores.items()}
