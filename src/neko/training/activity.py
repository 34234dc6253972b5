"""Whether a network is silent, saturated or collapsed, so that gradients say little of a rule."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from neko.backend.protocol import Backend
from neko.evaluator import Evaluator
from neko.models.network import Params
from neko.objective import Batch
from neko.rules.forward import DirectionPass
from neko.typing import Array

SILENT, SATURATED = 0.02, 0.4
"""Spikes per step and neuron below which a layer counts as silent, and above which it counts as saturated."""
COLLAPSED = 1e-3
"""Variation over the batch below which a layer, or the outputs, count as collapsed."""
OUTPUTS = "outputs"
FLAGS = ("silent", "saturated", "collapsed")


class Activity(NamedTuple):
    r"""The activity of a layer in one batch, or of the network's outputs.

    ``rate`` is the mean number of spikes per step and neuron over valid frames, None where nothing spikes;
    ``variation`` compares the emissions z of different inputs,

    .. math:: \sqrt{\sum_{t,b,j} (z_{tbj} - \bar z_{tj})^2 / \sum_{t,b,j} z_{tbj}^2},

    with the mean over the batch at the same step; None of a single sequence. A silent layer has a rate below `SILENT`,
    a saturated one above `SATURATED`; a collapsed one has a variation below `COLLAPSED`: it answers to all inputs of
    the batch alike.
    """

    layer: str
    rate: float | None
    variation: float | None
    silent: bool
    saturated: bool
    collapsed: bool

    @classmethod
    def of(cls, layer: str, spikes: float, frames: float, away: float, total: float) -> Activity:
        """From the sums of `sums`."""
        rate = None if math.isnan(spikes) else spikes / frames
        variation = None if math.isnan(away) else math.sqrt(max(away, 0.0) / total) if total > 0.0 else 0.0
        return cls(
            layer,
            rate,
            variation,
            rate is not None and rate < SILENT,
            rate is not None and rate > SATURATED,
            variation is not None and variation < COLLAPSED,
        )


def measure(
    model: Evaluator,
    params: Params,
    batch: Batch,
    carry: Any,
    outputs: Array,
    shared: dict[Any, Any],
) -> dict[str, tuple[Array, ...]]:
    """The sums of every layer and of the outputs, by name, for `Activity.of`.

    Emissions are those of a forward pass that rules have `shared`, if any (cuts change no value); else one is run.
    """
    xp, network, found = model.xp, model.model, {}
    recorded = {key[0]: own for key, own in shared.items() if isinstance(own, DirectionPass)}
    if len(recorded) == len(network.directions):
        layers = [(trace.z, recorded[d].valid) for d in network.directions for trace in recorded[d].traces]
    elif network.cells:
        forward = network.masked(xp.forward_only(), params, batch.x, carry, training=False, valid=batch.valid)
        layers = [(z, batch.valid) for z in forward.emissions]
    else:
        layers = []
    count = max(1, len(layers) // max(1, len(network.directions)))
    names = [f"{d.prefix}layers.{i}" for d in network.directions for i in range(count)]
    for name, (z, valid), cell in zip(names, layers, network.cells, strict=False):
        found[name] = sums(xp, z, valid, cell.spiking)
    if batch.pooling is not None:
        outputs, ones = xp.expand_dims(outputs, axis=0), xp.ones((1, int(outputs.shape[0])))
        return found | {OUTPUTS: sums(xp, outputs, ones, False)}
    return found | {OUTPUTS: sums(xp, outputs, batch.valid, False)}


def sums(xp: Backend, z: Array, valid: Array, spiking: bool) -> tuple[Array, ...]:
    """Of emissions (time, batch, n): spikes per neuron, NaN where nothing spikes, and valid frames; the sum of squares
    around the mean over the batch, NaN for a single sequence, and that of squares."""
    time, size, n = z.shape
    there = xp.maximum(xp.sum(valid, axis=1), xp.ones_like(valid[:, 0]))
    over_batch = xp.reshape(xp.reshape(valid, (time, 1, size)) @ z, (time, n))
    mean = over_batch / xp.reshape(there, (time, 1))
    if spiking:  # a spike is its own square, and sums of spikes are exact
        squares = xp.sum(over_batch)
        away = squares - xp.sum(over_batch * mean)
    else:
        weight = xp.expand_dims(valid, axis=-1)
        squares = xp.sum(weight * xp.square(z))
        away = xp.sum(weight * xp.square(z - xp.expand_dims(mean, axis=1)))
    unknown = xp.asarray(math.nan)
    return squares / n if spiking else unknown, xp.sum(valid), away if size > 1 else unknown, squares
