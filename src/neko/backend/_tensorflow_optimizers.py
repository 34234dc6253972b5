"""Optimizers of TensorFlow: keras.optimizers."""

from __future__ import annotations

import functools
from typing import Any

import keras
import tensorflow as tf

from neko.backend import _keras_optimizers


class PaperEpsilon:
    """Adam's ε beside the bias-corrected √v̂, as Kingma & Ba (2015, algorithm 1), torch and optax have it.

    Keras adds it to the uncorrected √v, which is 30 times as much in the first step: small gradients feel it.
    """

    iterations: Any
    beta_2: float

    @property
    def epsilon(self) -> Any:
        """``ε √(1 - β₂^t)``."""
        steps = tf.cast(self.iterations.value + 1, tf.float32)
        return self._epsilon * tf.sqrt(1.0 - self.beta_2**steps)

    @epsilon.setter
    def epsilon(self, value: float) -> None:
        self._epsilon = value

    def get_config(self) -> dict[str, Any]:
        """The configuration with the ε that was given."""
        return {**super().get_config(), "epsilon": self._epsilon}  # type: ignore[misc]


class Adam(PaperEpsilon, keras.optimizers.Adam):
    """`keras.optimizers.Adam` with the paper's ε."""


class AdamW(PaperEpsilon, keras.optimizers.AdamW):
    """`keras.optimizers.AdamW` with the paper's ε."""


NAMED = {
    "sgd": keras.optimizers.SGD,
    "momentum": functools.partial(keras.optimizers.SGD, momentum=0.9),
    "nesterov": functools.partial(keras.optimizers.SGD, momentum=0.9, nesterov=True),
    "adam": functools.partial(Adam, beta_1=0.9, beta_2=0.999, epsilon=1e-8),
    "adamw": functools.partial(AdamW, beta_1=0.9, beta_2=0.999, epsilon=1e-8, weight_decay=1e-2),
    "adamax": functools.partial(keras.optimizers.Adamax, beta_1=0.9, beta_2=0.999, epsilon=1e-8),
    # Keras adds epsilon under the root, the others beside it: sqrt(1e-16) = 1e-8.
    "rmsprop": functools.partial(keras.optimizers.RMSprop, rho=0.99, epsilon=1e-16),
    "adagrad": functools.partial(keras.optimizers.Adagrad, initial_accumulator_value=0.1, epsilon=0.0),
}


def resolve(xp: Any, spec: Any) -> _keras_optimizers.KerasUpdate:
    """An update from a name or a ``keras.optimizers.Optimizer``."""
    if isinstance(spec, str):
        _keras_optimizers.runs_on("tensorflow")
        if spec not in NAMED:
            raise ValueError(f"optimizer={spec!r}: expected one of {sorted([*NAMED, 'naive'])} or a keras optimizer")
        return _keras_optimizers.KerasUpdate(NAMED[spec], True)
    if not _keras_optimizers.is_one(spec):
        raise TypeError(f"optimizer={spec!r}: expected a name or a keras optimizer, e.g. keras.optimizers.Adam(1e-3)")
    return _keras_optimizers.resolve("tensorflow", spec)
