"""BPTT of the ALIF network as one would write it by hand in TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from benchmarks.shapes import ALPHA, BETA, GAMMA, KAPPA, RHO, V_TH, data, weights


@tf.custom_gradient
def spike(u: Any) -> Any:
    """Heaviside step with a triangular surrogate."""
    return tf.cast(u > 0.0, u.dtype), lambda g: g * tf.maximum(GAMMA - GAMMA * tf.abs(u), 0.0)


def training_step(shape: tuple[int, ...]) -> Callable[[], float]:
    """A function that does one step: forward, loss, BPTT, Adam."""
    x, y = (tf.constant(a) for a in data(shape))
    p = {name: tf.Variable(w) for name, w in weights(shape).items()}
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(list(p.values()))
    mask = 1.0 - tf.eye(shape[3])

    @tf.function
    def update(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            w_rec = p["w_rec"] * mask

            def advance(state: Any, current: Any) -> Any:
                v, a, z = state
                v = ALPHA * v + current + z @ w_rec - V_TH * z
                a = RHO * a + z
                return v, a, spike((v - BETA * a) / V_TH - 1.0)

            rest = tf.zeros((shape[0], shape[3]))
            spikes = tf.scan(advance, tf.transpose(x, (1, 0, 2)) @ p["w_in"], (rest, rest, rest))[2]
            drive = spikes @ p["w_out"]
            filtered = tf.scan(lambda f, d: KAPPA * f + d, drive, tf.zeros((shape[0], shape[4])))
            loss = -tf.reduce_mean(tf.reduce_sum(y * tf.nn.log_softmax(filtered + p["b_out"]), -1))
        optimizer.apply_gradients(zip(tape.gradient(loss, list(p.values())), p.values(), strict=True))
        return loss

    return lambda: float(update(x, y))


def products(shape: tuple[int, ...]) -> Callable[[], float]:
    """The matrix products of that step alone, forward and backward."""
    batch, time, _, n, _ = shape
    x = tf.transpose(tf.constant(data(shape)[0]), (1, 0, 2))
    p = {name: tf.constant(w) for name, w in weights(shape).items()}
    z = tf.random.uniform((time, batch, n))

    @tf.function
    def multiply(x: Any, z: Any) -> Any:
        y = z @ p["w_out"]
        return (
            x @ p["w_in"],
            tf.map_fn(lambda z_t: z_t @ p["w_rec"], z),
            y @ tf.transpose(p["w_out"]),
            tf.einsum("tbn,tbo->no", z, y),
            tf.map_fn(lambda z_t: tf.matmul(z_t, p["w_rec"], transpose_b=True), z),
            tf.einsum("tbn,tbm->nm", z, z),
            tf.einsum("tbi,tbn->in", x, z),
        )

    return lambda: float(multiply(x, z)[-1][0, 0])
