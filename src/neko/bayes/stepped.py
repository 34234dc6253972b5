"""Samplers with an accept test that have one step size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from neko.arguments import check_number, is_real
from neko.bayes.chain import Chain
from neko.bayes.full_data import FullData
from neko.evaluator import Evaluator
from neko.identity.fingerprint import DataSet
from neko.models.network import Params
from neko.samplers import adaptation, proposals
from neko.typing import Array


class Stepped(FullData):
    """A sampler of `neko.samplers` over all weights. During warm-up the step size of every chain is adapted to the
    target acceptance; then it is fixed."""

    sampler: Any
    """Module of `neko.samplers` with a State, `init` and `step`."""

    def __init__(self, model: Evaluator, *, step_size: float, target_acceptance: float, **options: Any) -> None:
        super().__init__(model, **options)
        if not (is_real(target_acceptance) and 0.0 < target_acceptance < 1.0):
            raise ValueError(f"target_acceptance={target_acceptance!r}: expected a number between 0 and 1")
        self.target_acceptance = float(target_acceptance)
        self.step_size = float(check_number("step_size", step_size, positive=True))

    def settings(self) -> dict[str, Any]:
        """Further arguments of the sampler's step; dicts are by parameter."""
        return {}

    def applied(self, step_size: Any) -> tuple[Any, dict[str, Any]]:
        """The step size and further arguments of a step, from what `settled` gave."""
        return step_size, self.settings()

    def begin(self, arrays: list[Any], found: DataSet) -> None:
        for name, given in self.settings().items():
            if isinstance(given, Mapping):
                proposals.check_names(name, given, self.model.params)
        super().begin(arrays, found)

    def step_sizes(self) -> list[float]:
        return [self.settled(chain.tuning) for chain in self.chains]

    def tuning(self) -> Any:
        return adaptation.init(self.step_size)

    def settled(self, tuning: Any) -> Any:
        return adaptation.current(tuning) if self.warming else adaptation.final(tuning)

    def tuned(self, tuning: Any, state: Any, info: Any) -> Any:
        return adaptation.update(tuning, float(info.acceptance_probability), self.target_acceptance)

    def summary(self) -> dict[str, float]:
        return {**super().summary(), "step_size": float(np.mean(self.step_sizes()))}

    def blank(self, chain: Chain) -> Any:
        return self.sampler.init(self.xp, chain.position, lambda position: (self.xp.zeros(()), position))

    def initial_state(self, position: Params, *arguments: Any) -> Any:
        return self.sampler.init(self.xp, position, lambda p: self.logdensity_and_drift(p, *arguments))

    def transition(self, key: Array, state: Any, step_size: Any, *arguments: Any) -> Any:
        key, now = self.xp.unstack(self.xp.random.split(key))

        def target(position: Params) -> tuple[Array, Params]:
            return self.logdensity_and_drift(position, *arguments)

        size, settings = self.applied(step_size)
        return key, *self.sampler.step(self.xp, now, state, target, size, **settings)
