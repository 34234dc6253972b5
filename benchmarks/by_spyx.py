"""BPTT by Spyx: `RLIF`, its recurrent neuron, without adaptation; `LI` as readout.

Each layer runs over the whole sequence before the next, so that `Linear` is one matrix product a layer.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import spyx.nn
from flax import nnx

from benchmarks import steps_jax
from benchmarks.shapes import ALPHA, GAMMA, KAPPA, Steps


class Network(nnx.Module):
    """Inputs (time, batch, n_in) to outputs and spikes."""

    def __init__(self, shape: tuple[int, ...], v_th: float) -> None:
        _, _, n_in, n, outputs = shape
        rngs, w = nnx.Rngs(0), steps_jax.arrays(shape)
        triangle = spyx.axn.custom(lambda u: jnp.maximum(GAMMA - GAMMA * jnp.abs(u), 0.0))
        self.first = nnx.Linear(n_in, n, use_bias=False, rngs=rngs)
        self.layer = spyx.nn.RLIF((n,), beta=ALPHA, threshold=v_th, activation=triangle, rngs=rngs)
        self.last = nnx.Linear(n, outputs, rngs=rngs)
        self.readout = spyx.nn.LI((outputs,), beta=KAPPA, rngs=rngs)
        self.first.kernel[...], self.last.kernel[...] = w["w_in"], w["w_out"]
        self.layer.recurrent_w[...] = w["w_rec"]

    def __call__(self, x: Any) -> tuple[Any, Any]:
        z, _ = spyx.nn.run(self.layer, self.first(x))
        return spyx.nn.run(self.readout, self.last(z))[0], z


def training(shape: tuple[int, ...], v_th: float) -> Steps:
    """Forward, loss, BPTT, Adam."""
    graph, params = nnx.split(Network(shape, v_th))
    return steps_jax.training(lambda p, x: nnx.merge(graph, p)(x), params, shape)
