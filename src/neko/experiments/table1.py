"""Table 1: codes of heartbeats."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import neko
from neko import datasets, encoders
from neko.datasets import Dataset
from neko.experiments.base import EXPERIMENTS, Experiment, Trial
from neko.experiments.beats import BASELINES, baseline, inputs
from neko.experiments.results import Column, Results, Table

NONE, RNN = "none", "none, RNN by BPTT"
CODES = {
    "temporal_contrast": "temporal_contrast(factor=0.0, split=True)",
    "step_forward": "step_forward(threshold=0.05, split=True)",
    "moving_window": "moving_window(threshold=0.05, window=5, split=True)",
}
"""The paper's codes, with options from a search on a fifth of the training beats."""
OTHERS = {
    "delta": "delta(threshold=0.02, split=True)",
    "gaussian": "gaussian(neurons=10)",
    "gaussian, latency": "gaussian(neurons=10, latency=True, window=4)",
    "place": "place(cells=10)",
    "poisson": "poisson(steps=8)",
    "rate": "rate(steps=8)",
    "latency": "latency(steps=8)",
    "latency, logarithmic": "latency(steps=8, scale='logarithmic')",
    "phase": "phase(steps=8)",
    "burst": "burst(steps=8, n_max=4, t_min=1, t_max=2)",
    "bsa": "bsa",
    "hough": "hough",
    "modified_hough": "modified_hough",
}
PAPER = {NONE: 0.813, "temporal_contrast": 0.763, "step_forward": 0.699, "moving_window": 0.685, RNN: 0.811}
SPLITS = {
    "balanced": {"split": "balanced"},
    "length hidden": {"split": "balanced", "hidden_length": True},
    "patients": {"split": "patients-balanced"},
}
"""Options of the data set of each column."""


@EXPERIMENTS.register("table1")
class Table1(Experiment):
    """What does a code of spikes cost in the classification of heartbeats?"""

    title = "Table 1: codes of heartbeats"
    packages = ("scipy", "scikit-learn")
