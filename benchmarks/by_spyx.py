"""BPTT by Spyx: `RLIF`, its recurrent neuron, without adaptation; `LI` as readout.

Each layer runs over the whole sequence before the next, so that `Linear` is one matrix product a layer.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
import spyx.nn
from flax import nnx

from benchmarks.shapes import ALPHA, GAMMA, KAPPA, LEARNING_RATE, Steps, data, weights


class Network(nnx.Module):
    """Inputs (time, batch, n_in) to outputs and spikes."""

    def __init__(self, shape: tuple[int, ...], v_th: float) -> None:
        _, _, n_in, n, outputs = shape
        rngs, w = nnx.Rngs(0), weights(shape)
        triangle = spyx.axn.custom(lambda u: jnp.maximum(GAMMA - GAMMA * jnp.abs(u), 0.0))
        self.first = nnx.Linear(n_in, n, use_bias=False, rngs=rngs)
        self.layer = spyx.nn.RLIF((n,), beta=ALPHA, threshold=v_th, activation=triangle, rngs=rngs)
        self.last = nnx.Linear(n, outputs, rngs=rngs)
        self.readout = spyx.nn.LI((outputs,), beta=KAPPA, rngs=rngs)
        self.first.kernel[...], self.last.kernel[...] = jnp.asarray(w["w_in"]), jnp.asarray(w["w_out"])
        self.layer.recurrent_w[...] = jnp.asarray(w["w_rec"])

    def __call__(self, x: Any) -> tuple[Any, Any]:
        z, _ = spyx.nn.run(self.layer, self.first(x))
        return spyx.nn.run(self.readout, self.last(z))[0], z


def training(shape: tuple[int, ...], v_th: float) -> Steps:
    """Forward, loss, BPTT, Adam: one compiled program."""
    x, y = (jnp.asarray(a) for a in data(shape))
    x = jnp.swapaxes(x, 0, 1)
    graph, params = nnx.split(Network(shape, v_th))
    optimizer = optax.adam(LEARNING_RATE)

    def loss_of(p: Any, x: Any, y: Any) -> Any:
        return -jnp.mean(jnp.sum(y * jax.nn.log_softmax(nnx.merge(graph, p)(x)[0]), -1))

    @jax.jit
    def update(p: Any, state: Any, x: Any, y: Any) -> Any:
        loss, gradients = jax.value_and_grad(loss_of)(p, x, y)
        changes, state = optimizer.update(gradients, state)
        return optax.apply_updates(p, changes), state, loss

    held = [params, optimizer.init(params)]

    def step() -> float:
        held[0], held[1], loss = update(*held, x, y)
        return float(loss)

    return Steps(step, lambda: float(jax.jit(lambda p, x: nnx.merge(graph, p)(x)[1].mean())(held[0], x)))
