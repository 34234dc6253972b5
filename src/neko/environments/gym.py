"""Environments of Gymnasium."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from neko.arguments import check_integer
from neko.environments.base import Environment, Turn


class Gymnasium(Environment):
    """Environments of Gymnasium with a discrete choice of actions.

    Every episode is reset with a seed of its own, made of `seed`, the environment and the number of the episode. An
    environment that depends on nothing but that seed and its actions is so restored exactly, by its actions since the
    last reset.

    Parameters
    ----------
    name : str or callable
        A name such as ``'CartPole-v1'``, or a function that returns a new environment.
    size : int
        Number of environments.
    scale : sequence of float, optional
        Numbers by which the features of an observation are divided, 1 if not given.
    seed : int
        Seed of all episodes.

    Raises
    ------
    ImportError
        If Gymnasium is not installed.
    ValueError
        For other actions than ``Discrete(n)``, which count from 0, or observations that are not one vector.

    Examples
    --------
    >>> from neko.environments import Gymnasium
    >>> poles = Gymnasium("CartPole-v1", 4)
    >>> poles.start().shape, poles.actions
    ((4, 4), 2)
    """

    def __init__(
        self,
        name: str | Callable[[], Any],
        size: int = 1,
        *,
        scale: Sequence[float] | None = None,
        seed: int = 0,
    ) -> None:
        self.name = name
        self.size = check_integer("size", size)
        self.seed = check_integer("seed", seed, least=0)
        self.games = [made(name) for _ in range(self.size)]
        observed, acted = self.games[0].observation_space, self.games[0].action_space
        if type(acted).__name__ != "Discrete" or acted.start != 0:
            raise ValueError(f"{name!r} has actions {acted!r}: expected Discrete(n)")
        if type(observed).__name__ != "Box" or len(observed.shape) != 1:
            raise ValueError(f"{name!r} has observations {observed!r}: expected Box, a vector of numbers")
        self.features, self.actions = int(observed.shape[0]), int(acted.n)
        self.scale = np.ones(self.features) if scale is None else np.array(scale, np.float64)
        if self.scale.shape != (self.features,) or not (np.isfinite(self.scale).all() and (self.scale > 0.0).all()):
            raise ValueError(f"scale={scale!r}: expected {self.features} numbers above 0")
        self.episodes = [0] * self.size
        self.acted: list[list[int]] = [[] for _ in range(self.size)]
        self.over = np.zeros(self.size, dtype=bool)

    def start(self) -> np.ndarray:
        self.episodes = [0] * self.size
        return np.stack([self.reset(i) for i in range(self.size)])

    def reset(self, i: int) -> np.ndarray:
        """The first observation of the present episode of environment i."""
        self.acted[i], self.over[i] = [], False
        words = np.random.SeedSequence((self.seed, i, self.episodes[i])).generate_state(1)
        return self.seen(self.games[i].reset(seed=int(words[0] >> 1))[0])

    def seen(self, observation: Any) -> np.ndarray:
        return np.asarray(observation, np.float64) / self.scale

    def step(self, actions: np.ndarray) -> Turn:
        return Turn(*map(np.array, zip(*map(self.step_one, range(self.size), actions.tolist()), strict=True)))

    def step_one(self, i: int, action: int) -> tuple[np.ndarray, float, bool, bool]:
        """The step of environment i."""
        if self.over[i]:
            self.episodes[i] += 1
            return self.reset(i), 0.0, False, False
        observation, reward, terminated, truncated, _ = self.games[i].step(action)
        self.acted[i].append(action)
        self.over[i] = terminated or truncated
        return self.seen(observation), float(reward), bool(terminated), bool(truncated and not terminated)

    def exported(self) -> dict[str, Any]:
        return {"episodes": list(self.episodes), "actions": [np.array(acted, np.int64) for acted in self.acted]}

    def load(self, saved: dict[str, Any]) -> None:
        self.episodes = list(saved["episodes"])
        for i, actions in enumerate(saved["actions"]):
            self.reset(i)
            for action in actions.tolist():
                self.step_one(i, action)


def made(name: str | Callable[[], Any]) -> Any:
    """A new environment."""
    if callable(name):
        return name()
    try:
        import gymnasium
    except ImportError as error:
        raise ImportError("environments of Gymnasium need it: pip install 'neko-learning[rl]'") from error
    return gymnasium.make(name)
