"""Warnings for layers of spiking neurons that are silent, or fire implausibly fast."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from neko.errors import ActivityWarning
from neko.metrics import LAYER_RATE
from neko.training.callbacks.base import Callback
from neko.training.loop import Loop

SATURATED = 0.8
"""Fraction of the highest possible rate above which a layer counts as saturated."""
HIGHEST = 450.0
"""Mean rate of a layer in Hz that no cortical neuron exceeds: the maximum of the fastest, fast-spiking interneurons, is
215 to 450 Hz (Wang et al. 2016, doi:10.3389/fncel.2016.00239)."""


class Activity(Callback):
    """Warns after an epoch in which a layer was silent, saturated, or faster than any cortical neuron."""

    order = -1
    recorded = False
    everywhere = False

    def epoch(self, loop: Loop) -> None:
        warn(loop.model.model.cells, loop.totals)


def warn(cells: tuple[Any, ...], measures: dict[str, Any]) -> None:
    """Warn of layers that were silent, saturated, or faster than any cortical neuron, by the summed measures."""
    for i, cell in enumerate(cells):
        total, weight = measures.get(f"{LAYER_RATE}{i}", (None, None))
        if total is None:
            continue
        rate = float(total) / float(weight)
        # A refractory neuron spikes at most once in `refractory_steps`.
        highest = float(np.mean(1.0 / np.asarray(getattr(cell, "refractory_steps", 1))))
        hertz = 1000.0 * rate / cell.dt
        name = f"layer {i} ({type(cell).__name__}, {cell.units} neurons)"
        if rate == 0.0:
            message = (
                "was silent for an epoch: no spike in a frame that counts, so nothing is learnt; scale the inputs up, "
                "lower the threshold (v_th) or add a FiringRate regularizer"
            )
        elif rate > SATURATED * highest:
            message = (
                f"was saturated for an epoch: {rate:.2f} spikes a step; scale the inputs or weights down, raise the "
                "threshold (v_th) or add a FiringRate regularizer"
            )
        elif hertz > HIGHEST:
            message = (
                f"fired at {hertz:.0f} Hz on average for an epoch, with steps of {cell.dt:g} ms; no cortical neuron "
                f"fires above {HIGHEST:.0f} Hz: lower the rate with Evaluator(…, regularizer=FiringRate(20.0)), or set "
                "dt where a step is longer"
            )
        else:
            continue
        warnings.warn(f"{name} {message}", ActivityWarning, stacklevel=7)  # the call of Trainer.train
