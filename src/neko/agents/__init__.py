"""Agents: learners that act in an environment."""

from neko.agents.actor_critic import ActorCritic
from neko.rules.local.reward_eprop import RewardEprop

__all__ = ["ActorCritic", "RewardEprop"]
