"""Online learning by BrainTrace: the same ALIF network, written as a module of BrainState.

``EProp`` keeps an eligibility trace for every weight and example and filters it by κ, before the surrogate derivative
and not after it. ``pp_prop`` keeps traces for every neuron, an approximation of its own.
"""

from __future__ import annotations

from typing import Any

import brainstate
import braintools
import braintrace
import jax
import jax.numpy as jnp

from benchmarks import steps_jax
from benchmarks.shapes import ALPHA, BETA, GAMMA, KAPPA, LEARNING_RATE, RHO, Steps

OPTIONS = {"EProp": {"kappa_filter_decay": KAPPA}, "pp_prop": {"decay_or_rank": ALPHA}}


class Network(brainstate.nn.Module):
    """One time step: inputs (batch, n_in) to outputs, which the readout filters."""

    def __init__(self, shape: tuple[int, ...], v_th: float) -> None:
        super().__init__()
        batch, _, n_in, n, outputs = shape
        self.sizes, self.v_th = (batch, n, outputs), v_th
        w = steps_jax.arrays(shape)
        stacked = jnp.concatenate([w["w_in"], w["w_rec"]])
        mask = jnp.concatenate([jnp.ones((n_in, n)), 1.0 - jnp.eye(n)])
        self.drive = braintrace.nn.Linear(n_in + n, n, w_init=stacked, b_init=None, w_mask=mask)
        self.last = braintrace.nn.Linear(n, outputs, w_init=w["w_out"], b_init=w["b_out"])
        self.spike = braintools.surrogate.ReluGrad(alpha=GAMMA)

    def init_state(self, batch_size: int | None = None, **_: Any) -> None:
        batch, n, outputs = self.sizes
        self.v, self.a = (brainstate.HiddenState(jnp.zeros((batch, n))) for _ in range(2))
        self.f = brainstate.HiddenState(jnp.zeros((batch, outputs)))

    def reset_state(self, batch_size: int | None = None, **_: Any) -> None:
        for state in (self.v, self.a, self.f):
            state.value = jnp.zeros_like(state.value)

    def fire(self) -> Any:
        return self.spike(self.v.value / self.v_th - BETA * self.a.value - 1.0)

    def update(self, x: Any) -> Any:
        z = self.fire()
        self.v.value = ALPHA * self.v.value + self.drive(jnp.concatenate([x, z], -1)) - self.v_th * z
        self.a.value = RHO * self.a.value + z
        self.f.value = KAPPA * self.f.value + self.last(self.fire())
        return self.f.value


def training(shape: tuple[int, ...], v_th: float, algorithm: str) -> Steps:
    """Forward, loss, online gradients added over the steps, Adam: one compiled program."""
    batch = shape[0]
    x, y = steps_jax.inputs(shape)
    network = Network(shape, v_th)
    learner = braintrace.compile(network, getattr(braintrace, algorithm), x[0], batch_size=batch, **OPTIONS[algorithm])
    optimizer = braintools.optim.Adam(LEARNING_RATE)
    optimizer.register_trainable_weights(learner.param_states)

    def cross_entropy(x: Any) -> Any:
        return -jnp.mean(jnp.sum(y * jax.nn.log_softmax(learner(x)), -1))

    @brainstate.transform.jit
    def update(x: Any) -> Any:
        brainstate.nn.reset_all_states(network, batch_size=batch)
        learner.reset_state(batch)
        gradients, loss = learner.etrace_grad(x, step_fn=cross_entropy, loss_output="scalar", return_value=True)
        optimizer.update(gradients)
        return loss

    @brainstate.transform.jit
    def spikes(x: Any) -> Any:
        brainstate.nn.reset_all_states(network, batch_size=batch)

        def advance(x: Any) -> Any:
            network(x)
            return network.fire().mean()

        return brainstate.transform.for_loop(advance, x).mean()

    return Steps(lambda: float(update(x)), lambda: float(spikes(x)))
