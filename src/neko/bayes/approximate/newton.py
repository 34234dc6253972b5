"""The update of means and Hessians of improved variational online Newton."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from neko.backend.update import Update
from neko.bayes.approximate.distributed import MEAN
from neko.models.network import Params
from neko.typing import Array

HESSIAN = ".hessian"


class State(NamedTuple):
    """The mean gradient g by weight, and the number of updates."""

    gradient: Params
    steps: Array


@dataclass(frozen=True)
class VariationalNewton(Update):
    r"""The update of `neko.IVON`, whose gradients are those of means, and :math:`\hat h` of Hessians.

    ``xp`` is a backend and ``decays`` has δ by the name of the weight.
    """

    xp: Any
    beta1: float
    beta2: float
    clip_radius: float | None = None
    decays: dict[str, float] = field(default_factory=dict)

    def init(self, params: Params) -> State:
        return State({name: self.xp.zeros_like(params[name + MEAN]) for name in self.decays}, self.xp.zeros(()))

    def step(self, params: Params, gradients: Params, state: State, rate: Array) -> tuple[Params, State]:
        xp, changed, averages, steps = self.xp, dict(params), {}, state.steps + 1.0
        bias = 1.0 - self.beta1**steps
        for name, delta in self.decays.items():
            mean, h = params[name + MEAN], params[name + HESSIAN]
            averages[name] = self.beta1 * state.gradient[name] + (1.0 - self.beta1) * gradients[name + MEAN]
            away = (1.0 - self.beta2) * (gradients[name + HESSIAN] - h)
            h = h + away + 0.5 * xp.square(away) / (h + delta)
            change = (averages[name] / bias + delta * mean) / (h + delta)
            if self.clip_radius is not None:
                change = xp.clip(change, -self.clip_radius, self.clip_radius)
            changed[name + MEAN], changed[name + HESSIAN] = mean - rate * change, h
        return changed, State(averages, steps)
