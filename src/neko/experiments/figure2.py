"""Figure 2: phones of read speech, frame by frame."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure

import neko
from neko import datasets, plots, updates
from neko.callbacks import Callback
from neko.datasets import Dataset
from neko.experiments.base import EXPERIMENTS, Experiment, Trial
from neko.experiments.results import Column, Interval, Results, Table

RATE = 10.0
"""Firing rate in Hz to which spiking networks are regularised."""
READ = 8
"""Sentences of each speaker, in the order of the data."""
LENGTHS = (288, 384, 560)
"""Frames to which batches are padded where a framework compiles."""


@dataclass(frozen=True)
class Recipe:
    """How the networks of a row are made and trained."""

    cell: Any
    units: int
    rule: str
    options: dict[str, Any]
    rate: float
    epochs: int
    batch: int
    noise: float
    regularizer: neko.FiringRate | None = None
    of_rule: dict[str, Any] = field(default_factory=dict)

    def evaluator(self, outputs: int, backend: str, two: bool, seed: int) -> neko.Evaluator:
        """The network with its objective."""
        network = self.cell(self.units, outputs, backend, bidirectional=two, seed=seed, **self.options)
        metrics = ["accuracy"] if self.regularizer is None else ["accuracy", "firing_rate"]
        return neko.Evaluator(network, "sparse_categorical_crossentropy", metrics, regularizer=self.regularizer)
