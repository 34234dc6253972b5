"""BPTT of the ALIF network as one would write it by hand in TensorFlow.

One ``tf.while_loop`` with the readout inside: up to 1.4 times as fast as two ``tf.scan``, so the harder baseline.
"""

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
    batch, time, n_in, n, outputs = shape
    x, y = (tf.constant(a) for a in data(shape))
    p = {name: tf.Variable(w) for name, w in weights(shape).items()}
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(list(p.values()))
    mask = 1.0 - tf.eye(n)

    @tf.function
    def update(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            w_rec = p["w_rec"] * mask

            rows = tf.reshape(tf.transpose(x, (1, 0, 2)), (time * batch, n_in)) @ p["w_in"]
            currents = tf.TensorArray(tf.float32, time).unstack(tf.reshape(rows, (time, batch, n)))

            def advance(t: Any, v: Any, a: Any, z: Any, f: Any, filtered: Any) -> Any:
                v = ALPHA * v + currents.read(t) + z @ w_rec - V_TH * z
                a = RHO * a + z
                z = spike((v - BETA * a) / V_TH - 1.0)
                f = KAPPA * f + z @ p["w_out"]
                return t + 1, v, a, z, f, filtered.write(t, f)

            rest, f = tf.zeros((batch, n)), tf.zeros((batch, outputs))
            start = (0, rest, rest, rest, f, tf.TensorArray(tf.float32, time))
            found = tf.while_loop(lambda t, *_: t < time, advance, start, maximum_iterations=time)
            logits = found[-1].stack() + p["b_out"]
            loss = -tf.reduce_mean(tf.reduce_sum(y * tf.nn.log_softmax(logits), -1))
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
