"""Block updates: the kernels that a sweep over blocks of parameters applies, one block after the other."""

from neko.bayes.gibbs.blocks import Block
from neko.bayes.gibbs.kernels import HMC, MALA, PCN, DiscontinuousHMC, RandomWalk

__all__ = ["HMC", "MALA", "PCN", "Block", "DiscontinuousHMC", "RandomWalk"]
