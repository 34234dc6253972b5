"""Sweeps: the runs of many settings and seeds, each in a folder of its own, side by side on all cores or a cluster."""

from neko.sweeps.plan import Plan, plan_of, read_plan
from neko.sweeps.posterior import posterior
from neko.sweeps.sweep import Sweep
from neko.sweeps.table import Results, Setting, Spread

__all__ = ["Plan", "Results", "Setting", "Spread", "Sweep", "plan_of", "posterior", "read_plan"]
