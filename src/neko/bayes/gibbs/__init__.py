"""Block updates: the kernels that a sweep over blocks of parameters applies, one block after the other."""

from neko.bayes.gibbs.blocks import Block
from neko.bayes.gibbs.guided import HMC, MALA, DiscontinuousHMC
from neko.bayes.gibbs.independent import PCN, RandomWalk

__all__ = ["HMC", "MALA", "PCN", "Block", "DiscontinuousHMC", "RandomWalk"]
