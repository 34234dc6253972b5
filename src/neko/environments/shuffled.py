"""A control: rewards that do not depend on the actions."""

from __future__ import annotations

from typing import Any

import numpy as np

from neko.arguments import check_integer
from neko.environments.base import Environment, Turn


class ShuffledRewards(Environment):
    """Another environment whose rewards are shuffled over its parallel copies at each step.

    The mean reward is the same as without, so that it still measures how well actions are chosen, but nothing can be
    learnt from it: a control that has to stay at chance.

    Parameters
    ----------
    environment : Environment
        Two copies or more, whose episodes end together.
    seed : int
        Seed of the permutations.
    """

    def __init__(self, environment: Environment, *, seed: int = 0) -> None:
        if environment.size < 2:
            raise ValueError(f"{environment!r} has size {environment.size!r}: expected two or more to shuffle")
        self.environment = environment
        self.seed = check_integer("seed", seed, least=0)
        self.size, self.features, self.actions = environment.size, environment.features, environment.actions
        self.steps = 0

    def start(self) -> np.ndarray:
        self.steps = 0
        return self.environment.start()

    def step(self, actions: np.ndarray) -> Turn:
        turn = self.environment.step(actions)
        order = np.random.default_rng((self.seed, self.steps)).permutation(self.size)
        self.steps += 1
        return turn._replace(reward=turn.reward[order])

    def exported(self) -> dict[str, Any]:
        return {"steps": self.steps, "environment": self.environment.exported()}

    def load(self, saved: dict[str, Any]) -> None:
        self.steps = saved["steps"]
        self.environment.load(saved["environment"])
