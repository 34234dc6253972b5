"""Synaptic operations of a forward pass, by the definition of NeuroBench."""

from __future__ import annotations

from typing import Any, NamedTuple

from neko.backend.protocol import Backend
from neko.models.directions import Direction
from neko.models.layer import recurrent_weights
from neko.models.network import Network, Params, layer_params
from neko.typing import Array


class Operations(NamedTuple):
    """Sums over all valid frames of a batch, scalars.

    ``acs`` are accumulations, of what is sent by units whose values are all -1, 0 or 1; ``macs`` multiplications with
    accumulation, of all others; both count a synapse only where a value other than zero meets a weight other than zero.
    ``dense`` counts every synapse at every step. Biases are no synapses. ``sequences`` is the number of examples.
    """

    acs: Array
    macs: Array
    dense: Array
    sequences: Array


def count(
    xp: Backend,
    network: Network,
    directions: tuple[Direction, ...],
    params: Params,
    x: Array,
    valid: Array,
    closing: Array,
    rates: tuple[Array | None, ...],
) -> Operations:
    """The operations for inputs `x` (time, batch, n_in) at the frames of `valid` (time, batch); `rates` are the spikes
    per frame of every neuron of a layer (n,), None for a layer that does not spike."""
    frames = xp.sum(valid)
    found = {"acs": 0.0 * frames, "macs": 0.0 * frames, "dense": 0.0 * frames}

    def add(w: Array, synapses: Array, active: Array, spikes: Any) -> None:
        """Weights (n_in, n), which of them are synapses, how often a unit is not zero, and whether all are spikes."""
        met = xp.sum(active * xp.sum(nonzero(xp, w) * synapses, axis=1))
        found["acs"] = found["acs"] + met * spikes
        found["macs"] = found["macs"] + met * (1.0 - spikes)
        found["dense"] = found["dense"] + frames * xp.sum(xp.zeros_like(w) + synapses)

    inputs = xp.sum(nonzero(xp, x) * xp.expand_dims(valid, axis=-1), axis=(0, 1))
    whole = xp.abs(x) * (xp.abs(x) - 1.0) * xp.expand_dims(valid, axis=-1)
    binary = 1.0 - xp.astype(xp.any(whole != 0.0), xp.dtype)
    for number, direction in enumerate(directions):
        own, active, spikes = direction.own(params), inputs, binary
        for i, cell in enumerate(network.cells):
            weights = layer_params(own, i)
            add(weights["w_in"], 1.0, active, spikes)
            rate = rates[number * len(network.cells) + i]
            active = xp.zeros((cell.units,)) + frames if rate is None else rate * frames
            spikes = 1.0 if cell.spiking else 0.0
            if cell.recurrent_currents:
                add(weights["w_rec"], recurrent_weights(xp, cell, xp.ones_like(weights["w_rec"])), active, spikes)
        add(own["readout.w_out"], 1.0, active, spikes)
    return Operations(**found, sequences=xp.sum(closing))


def nonzero(xp: Backend, a: Array) -> Array:
    """1 where an array is not 0."""
    return xp.astype(a != 0.0, xp.dtype)
