"""The interface of environments."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np

from neko import identity
from neko.identity import representation


class Turn(NamedTuple):
    """What the environments answer to an action, arrays over `size` environments.

    Attributes
    ----------
    observation : array (size, features)
        What is seen after the action; after the last one of an episode its last observation.
    reward : array (size,)
        Reward of the action.
    terminated : array of bool (size,)
        Whether the episode has ended in a state from which no reward follows.
    truncated : array of bool (size,)
        Whether the episode was cut off, as by a limit of time, so that rewards would have followed.
    """

    observation: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray

    @property
    def ended(self) -> np.ndarray:
        """Whether this is the last observation of an episode, (size,)."""
        return self.terminated | self.truncated


class Environment(ABC):
    """`size` independent environments of one kind, each with episodes of its own.

    After the last observation of an episode the next `step` of that environment ignores its action and returns the
    first observation of a new episode, with reward 0.

    Attributes
    ----------
    size : int
        Number of environments.
    features, actions : int
        Numbers in an observation, and actions to choose from, 0 … actions - 1.
    """

    size: int
    features: int
    actions: int

    def __repr__(self) -> str:
        told = [f"{self.size}", *representation.options(self)]
        return f"{type(self).__name__}({', '.join(told)})"

    def identity(self) -> dict[str, Any]:
        """The options of the constructor, by value."""
        return identity.options(self)

    @abstractmethod
    def start(self) -> np.ndarray:
        """Begin the first episode of every environment; their observations, (size, features)."""

    @abstractmethod
    def step(self, actions: np.ndarray) -> Turn:
        """The next observations, after an action (size,) of every environment."""

    @abstractmethod
    def exported(self) -> dict[str, Any]:
        """All that later steps depend on, as dicts, lists, numbers and NumPy arrays."""

    @abstractmethod
    def load(self, saved: dict[str, Any]) -> None:
        """Go on from where `exported` was called, in place of `start`."""
