"""BPTT of the ALIF network as one would write it by hand in JAX."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import steps_jax
from benchmarks.shapes import ALPHA, BETA, GAMMA, KAPPA, RHO, Steps


@jax.custom_jvp
def spike(u: Any) -> Any:
    """Heaviside step with a triangular surrogate."""
    return (u > 0).astype(u.dtype)


@spike.defjvp
def _spike_jvp(primals: Any, tangents: Any) -> Any:
    (u,), (du,) = primals, tangents
    return spike(u), jnp.maximum(GAMMA - GAMMA * jnp.abs(u), 0.0) * du


def training(shape: tuple[int, ...], v_th: float) -> Steps:
    """Forward, loss, BPTT, Adam."""
    mask = 1.0 - jnp.eye(shape[3])

    def forward(p: Any, x: Any) -> tuple[Any, Any]:
        w_rec = p["w_rec"] * mask

        def advance(state: Any, current: Any) -> Any:
            v, a, z = state
            v = ALPHA * v + current + z @ w_rec - v_th * z
            a = RHO * a + z
            z = spike(v / v_th - BETA * a - 1.0)
            return (v, a, z), z

        def integrate(f: Any, drive: Any) -> Any:
            f = KAPPA * f + drive
            return f, f

        rest = jnp.zeros((shape[0], shape[3]))
        _, spikes = jax.lax.scan(advance, (rest, rest, rest), x @ p["w_in"])
        _, filtered = jax.lax.scan(integrate, jnp.zeros((shape[0], shape[4])), spikes @ p["w_out"])
        return filtered + p["b_out"], spikes

    return steps_jax.training(forward, steps_jax.arrays(shape), shape)


def products(shape: tuple[int, ...], v_th: float, recurrent_backward: bool) -> Steps:
    """The matrix products of a step alone: of BPTT, or without those that carry errors back through `w_rec`."""
    batch, time, _, n, _ = shape
    (x, _), p = steps_jax.inputs(shape), steps_jax.arrays(shape)
    z = jnp.asarray(np.random.default_rng(2).uniform(size=(time, batch, n)), jnp.float32)

    @jax.jit
    def multiply(p: Any, x: Any, z: Any) -> Any:
        def forward(carry: Any, z_t: Any) -> Any:
            return carry, z_t @ p["w_rec"]

        def backward(carry: Any, z_t: Any) -> Any:
            return carry, z_t @ p["w_rec"].T

        y = z @ p["w_out"]
        return (
            x @ p["w_in"],
            jax.lax.scan(forward, 0.0, z)[1],
            y @ p["w_out"].T,
            jnp.einsum("tbn,tbo->no", z, y),
            jax.lax.scan(backward, 0.0, z)[1] if recurrent_backward else None,
            jnp.einsum("tbn,tbm->nm", z, z),
            jnp.einsum("tbi,tbn->in", x, z),
        )

    return Steps(lambda: float(multiply(p, x, z)[-1][0, 0].block_until_ready()))
