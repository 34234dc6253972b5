"""Experiments: the figures and tables of the paper, made again by ``neko reproduce NAME``.

Each file but those of the base is one experiment, which its class docstring describes.
"""

from neko.experiments.base import EXPERIMENTS, Experiment, Trial
from neko.experiments.reproduction import Reproduction
from neko.experiments.results import Column, Interval, Results, Table

__all__ = ["EXPERIMENTS", "Column", "Experiment", "Interval", "Reproduction", "Results", "Table", "Trial"]
