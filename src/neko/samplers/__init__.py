"""Samplers: draws from a density that is known up to a constant.

Each is a module with a state, an info, `init` and `step`, pure functions with stateless random keys.
"""

from neko.samplers import (
    adaptation,
    cyclical,
    discontinuous_hmc,
    dual_averaging,
    hmc,
    langevin,
    mass,
    moments,
    pcn,
    proposals,
    psgld,
    random_walk,
    sghmc,
    sgld,
    windows,
)

__all__ = [
    "adaptation",
    "cyclical",
    "discontinuous_hmc",
    "dual_averaging",
    "hmc",
    "langevin",
    "mass",
    "moments",
    "pcn",
    "proposals",
    "psgld",
    "random_walk",
    "sghmc",
    "sgld",
    "windows",
]
