"""Optimizers of TensorFlow: keras.optimizers."""

from __future__ import annotations

import functools
from typing import Any

import keras
import tensorflow as tf

from neko import identity


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


class Rate:
    """The learning rate of the step being taken; keras calls it, so its dtype stays (its own variable is float32)."""

    def __init__(self) -> None:
        self.value: Any = 1e-3

    def __call__(self) -> Any:
        return self.value

    def get_config(self) -> dict[str, Any]:
        """Nothing: it is another one at each step."""
        return {}


class KerasUpdate:
    """A keras optimizer as a pure update; `rate` is what a named one reads each step, else None.

    Keras on TensorFlow has no stateless form. Its variables are scratch here: a step writes parameters and state
    into them, applies the optimizer, and reads them back, so nothing is remembered from step to step. They belong
    to one set of parameters: one update per model.
    """

    def __init__(self, optimizer: Any, rate: Rate | None) -> None:
        self.optimizer = optimizer
        self.rate = rate
        self.scratch: list[Any] = []
        self.start: list[Any] = []

    def init(self, params: dict[str, Any]) -> list[Any]:
        """Values of the optimizer's variables before the first step."""
        if not self.scratch:
            self.scratch = [
                keras.Variable(params[name], name=name.replace(".", "_").replace("/", "_")) for name in sorted(params)
            ]
            self.optimizer.build(self.scratch)
            self.start = read(self.optimizer.variables)
        return self.start

    def identity(self) -> dict[str, Any]:
        """The optimizer by its configuration; the variables are scratch."""
        return {"optimizer": identity.describe(self.optimizer), "named": self.rate is not None}

    def step(self, params: dict[str, Any], gradients: dict[str, Any], state: list[Any], rate: Any) -> Any:
        """One step of the optimizer."""
        names = sorted(params)
        write(self.scratch, [params[name] for name in names])
        write(self.optimizer.variables, state)
        if self.rate is not None:
            self.rate.value = rate
        self.optimizer.apply([gradients[name] for name in names])
        return dict(zip(names, read(self.scratch), strict=True)), read(self.optimizer.variables)


def read(variables: list[Any]) -> list[Any]:
    """Copies of the variables' values."""
    return [tf.identity(v.value) for v in variables]


def write(variables: list[Any], values: list[Any]) -> None:
    """Assign a value to each variable."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def resolve(xp: Any, spec: Any) -> KerasUpdate:
    """An update from a name or a ``keras.optimizers.Optimizer``, of which a copy by configuration is used."""
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"keras runs on {keras.backend.backend()!r}: the tensorflow backend's optimizers need "
            "KERAS_BACKEND=tensorflow, set before keras is imported"
        )
    if isinstance(spec, str):
        if spec not in NAMED:
            raise ValueError(f"optimizer={spec!r}: expected one of {sorted([*NAMED, 'naive'])} or a keras optimizer")
        rate = Rate()
        return KerasUpdate(NAMED[spec](learning_rate=rate), rate)
    if not isinstance(spec, keras.optimizers.Optimizer):
        raise TypeError(f"optimizer={spec!r}: expected a name or a keras optimizer, e.g. keras.optimizers.Adam(1e-3)")
    return KerasUpdate(type(spec).from_config(spec.get_config()), None)
