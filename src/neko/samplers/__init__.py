"""Samplers: draws from a density that is known up to a constant.

Each is a module with a state, an info, `init` and `step`, pure functions with stateless random keys.
"""

from neko.samplers import adaptation, hmc, langevin, mass, pcn, proposals, random_walk, sgld

__all__ = ["adaptation", "hmc", "langevin", "mass", "pcn", "proposals", "random_walk", "sgld"]
