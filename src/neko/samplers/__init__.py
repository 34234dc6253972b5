"""Samplers: draws from a density that is known up to a constant.

Each is a module with a state, an info, `init` and `step`, pure functions with stateless random keys.
"""

from neko.samplers import adaptation, hmc, langevin, sgld
from neko.samplers.prior import Laplace, Normal, Prior

__all__ = ["Laplace", "Normal", "Prior", "adaptation", "hmc", "langevin", "sgld"]
