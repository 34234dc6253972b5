"""Environments that give rewards: several of one kind side by side, NumPy only."""

from neko.environments.base import Environment, Turn
from neko.environments.delayed_cue import DelayedCue
from neko.environments.gym import Gymnasium
from neko.environments.shuffled import ShuffledRewards

__all__ = ["DelayedCue", "Environment", "Gymnasium", "ShuffledRewards", "Turn"]
