"""BPTT of the ALIF network as one would write it by hand in TensorFlow.

One ``tf.while_loop`` with the readout inside: up to 1.4 times as fast as two ``tf.scan``, so the harder baseline.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from benchmarks.shapes import ALPHA, BETA, GAMMA, KAPPA, LEARNING_RATE, RHO, Steps, data, weights


@tf.custom_gradient
def spike(u: Any) -> Any:
    """Heaviside step with a triangular surrogate."""
    return tf.cast(u > 0.0, u.dtype), lambda g: g * tf.maximum(GAMMA - GAMMA * tf.abs(u), 0.0)


def training(shape: tuple[int, ...], v_th: float) -> Steps:
    """Forward, loss, BPTT, Adam."""
    batch, time, n_in, n, outputs = shape
    x, y = (tf.constant(a) for a in data(shape))
    p = {name: tf.Variable(w) for name, w in weights(shape).items()}
    optimizer = keras.optimizers.Adam(LEARNING_RATE)
    optimizer.build(list(p.values()))
    mask = 1.0 - tf.eye(n)

    def forward(x: Any) -> tuple[Any, Any]:
        w_rec = p["w_rec"] * mask
        rows = tf.reshape(tf.transpose(x, (1, 0, 2)), (time * batch, n_in)) @ p["w_in"]
        currents = tf.TensorArray(tf.float32, time).unstack(tf.reshape(rows, (time, batch, n)))

        def advance(t: Any, v: Any, a: Any, z: Any, total: Any, f: Any, filtered: Any) -> Any:
            v = ALPHA * v + currents.read(t) + z @ w_rec - v_th * z
            a = RHO * a + z
            z = spike(v / v_th - BETA * a - 1.0)
            f = KAPPA * f + z @ p["w_out"]
            return t + 1, v, a, z, total + tf.stop_gradient(tf.reduce_mean(z)), f, filtered.write(t, f)

        rest, f = tf.zeros((batch, n)), tf.zeros((batch, outputs))
        start = (0, rest, rest, rest, 0.0, f, tf.TensorArray(tf.float32, time))
        found = tf.while_loop(lambda t, *_: t < time, advance, start, maximum_iterations=time)
        return found[-1].stack() + p["b_out"], found[4] / time

    @tf.function
    def update(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            logits, _ = forward(x)
            loss = -tf.reduce_mean(tf.reduce_sum(y * tf.nn.log_softmax(logits), -1))
        optimizer.apply_gradients(zip(tape.gradient(loss, list(p.values())), p.values(), strict=True))
        return loss

    return Steps(lambda: float(update(x, y)), lambda: float(tf.function(forward)(x)[1]))


def products(shape: tuple[int, ...], v_th: float, recurrent_backward: bool) -> Steps:
    """The matrix products of a step alone: of BPTT, or without those that carry errors back through `w_rec`."""
    batch, time, _, n, _ = shape
    x = tf.transpose(tf.constant(data(shape)[0]), (1, 0, 2))
    p = {name: tf.constant(w) for name, w in weights(shape).items()}
    z = tf.random.uniform((time, batch, n))

    @tf.function
    def multiply(x: Any, z: Any) -> Any:
        y = z @ p["w_out"]
        carried = [tf.map_fn(lambda z_t: tf.matmul(z_t, p["w_rec"], transpose_b=True), z)] if recurrent_backward else []
        return (
            x @ p["w_in"],
            tf.map_fn(lambda z_t: z_t @ p["w_rec"], z),
            y @ tf.transpose(p["w_out"]),
            tf.einsum("tbn,tbo->no", z, y),
            *carried,
            tf.einsum("tbn,tbm->nm", z, z),
            tf.einsum("tbi,tbn->in", x, z),
        )

    return Steps(lambda: float(multiply(x, z)[-1][0, 0]))
