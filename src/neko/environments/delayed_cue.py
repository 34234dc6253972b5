"""A cue, a delay, and a go signal at which the cue is to be remembered."""

from __future__ import annotations

from typing import Any

import numpy as np

from neko.arguments import check_integer
from neko.environments.base import Environment, Turn


class DelayedCue(Environment):
    """A cue on the left or right, a delay, and a go signal, at which the side of the cue is the rewarded action.

    An observation has three features: left cue, right cue, go. The cue is 1 for `cue` steps, nothing is for `delay`
    steps, and go is 1 for one step, whose action ends the episode with reward 1 if it is the side of the cue (0 left,
    1 right), else -1. Earlier actions have no effect. Chance is a mean reward of 0.

    Parameters
    ----------
    size : int
        Number of environments.
    cue, delay : int
        Steps of the cue and of the delay.
    seed : int
        Seed of all episodes.

    Examples
    --------
    >>> import numpy as np
    >>> from neko.environments import DelayedCue
    >>> task = DelayedCue(1, cue=1, delay=1)
    >>> first = task.start()
    >>> side = int(first[0, 1])
    >>> turns = [task.step(np.array([side])) for _ in range(3)]
    >>> [float(turn.reward[0]) for turn in turns], turns[1].observation.tolist(), bool(turns[2].terminated[0])
    ([0.0, 0.0, 1.0], [[0.0, 0.0, 1.0]], True)
    """

    features = 3
    actions = 2

    def __init__(self, size: int = 1, *, cue: int = 3, delay: int = 10, seed: int = 0) -> None:
        self.size = check_integer("size", size)
        self.cue = check_integer("cue", cue)
        self.delay = check_integer("delay", delay, least=0)
        self.seed = check_integer("seed", seed, least=0)
        self.time = 0
        self.episode = 0

    @property
    def last(self) -> int:
        """The step of the go signal."""
        return self.cue + self.delay

    def sides(self) -> np.ndarray:
        """The side of the cue in the present episode of every environment."""
        return np.random.default_rng((self.seed, self.episode)).integers(2, size=self.size)

    def observation(self) -> np.ndarray:
        seen = np.zeros((self.size, self.features))
        if self.time < self.cue:
            seen[np.arange(self.size), self.sides()] = 1.0
        seen[:, 2] = self.time == self.last
        return seen

    def start(self) -> np.ndarray:
        self.time, self.episode = 0, 0
        return self.observation()

    def step(self, actions: np.ndarray) -> Turn:
        reward, over = np.zeros(self.size), np.zeros(self.size, dtype=bool)
        if self.time > self.last:  # the end was seen
            self.time, self.episode = 0, self.episode + 1
        else:
            self.time += 1
            if self.time > self.last:
                reward = np.where(actions == self.sides(), 1.0, -1.0)
                over = ~over
        return Turn(self.observation(), reward, over, np.zeros_like(over))

    def exported(self) -> dict[str, Any]:
        return {"time": self.time, "episode": self.episode}

    def load(self, saved: dict[str, Any]) -> None:
        self.time, self.episode = saved["time"], saved["episode"]
