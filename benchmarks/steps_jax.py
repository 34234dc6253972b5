"""The training step of a network in JAX: the same loss and optimizer for all that are written in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from benchmarks.shapes import LEARNING_RATE, Steps, data, weights


def inputs(shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Inputs (time, batch, n_in) and targets."""
    x, y = (jnp.asarray(a) for a in data(shape))
    return jnp.swapaxes(x, 0, 1), y


def arrays(shape: tuple[int, ...]) -> dict[str, Any]:
    """The initial weights."""
    return {name: jnp.asarray(w) for name, w in weights(shape).items()}


def training(forward: Callable[[Any, Any], tuple[Any, Any]], params: Any, shape: tuple[int, ...]) -> Steps:
    """Cross entropy at every step and Adam for a network ``(params, x) -> (logits, spikes)``, all with time leading:
    one compiled program."""
    x, y = inputs(shape)
    optimizer = optax.adam(LEARNING_RATE)

    def loss_of(p: Any, x: Any, y: Any) -> Any:
        return -jnp.mean(jnp.sum(y * jax.nn.log_softmax(forward(p, x)[0]), -1))

    @jax.jit
    def update(p: Any, state: Any, x: Any, y: Any) -> Any:
        loss, gradients = jax.value_and_grad(loss_of)(p, x, y)
        changes, state = optimizer.update(gradients, state)
        return optax.apply_updates(p, changes), state, loss

    held = [params, optimizer.init(params)]

    def step() -> float:
        held[0], held[1], loss = update(*held, x, y)
        return float(loss)

    return Steps(step, lambda: float(jax.jit(forward)(held[0], x)[1].mean()))
