"""A control: rewards that do not depend on the actions."""

from __future__ import annotations

from typing import Any

import numpy as np

from neko.arguments import check_integer
from neko.environments.base import Environment, Turn


class ShuffledRewards(Environment):
    """Another environment in which each of the parallel copies gets the reward of a different one, drawn at each step.

    The mean reward is the same as without, so that it still measures how well actions are chosen, but no reward depends
    on the action that it follows: a control that has to stay at chance.

    Parameters
    ----------
    environment : Environment
        Two copies or more, whose episodes end together.
    seed : int
        Seed of the draws.
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
        shift = np.random.default_rng((self.seed, self.steps)).integers(1, self.size)
        self.steps += 1
        return turn._replace(reward=np.roll(turn.reward, shift))

    def exported(self) -> dict[str, Any]:
        return {"steps": self.steps, "environment": self.environment.exported()}

    def load(self, saved: dict[str, Any]) -> None:
        self.steps = saved["steps"]
        self.environment.load(saved["environment"])
