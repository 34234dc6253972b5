"""Optimizers of TensorFlow: keras.optimizers."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

NAMED = {
    "sgd": keras.optimizers.SGD,
    "momentum": functools.partial(keras.optimizers.SGD, momentum=0.9),
    "adam": functools.partial(keras.optimizers.Adam, epsilon=1e-8),
    "adamw": functools.partial(keras.optimizers.AdamW, weight_decay=1e-2, epsilon=1e-8),
    "rmsprop": functools.partial(keras.optimizers.RMSprop, rho=0.99, epsilon=1e-8),
    "adagrad": functools.partial(keras.optimizers.Adagrad, initial_accumulator_value=0.1, epsilon=1e-7),
}


@dataclass(frozen=True, eq=False)
class KerasUpdate:
    """A keras optimizer as an update, by its stateless form; `injected`: the rate of each step replaces its own."""

    optimizer: Any
    injected: bool

    def init(self, params: Any) -> Any:
        """Values of the optimizer's variables."""
        names = sorted(params)
        self.optimizer.build([keras.Variable(params[name], name=name.replace(".", "_")) for name in names])
        return [tf.identity(v.value) for v in self.optimizer.variables]

    def step(self, params: Any, gradients: Any, state: Any, rate: Any) -> Any:
        """One step of the optimizer."""
        names = sorted(params)
        if self.injected:
            position = next(i for i, v in enumerate(self.optimizer.variables) if v.name == "learning_rate")
            state = [rate if i == position else value for i, value in enumerate(state)]
        new, state = self.optimizer.stateless_apply(
            state, [gradients[name] for name in names], [params[name] for name in names]
        )
        return dict(zip(names, new, strict=True)), list(state)


def resolve(xp: Any, spec: Any) -> KerasUpdate:
    """An update from a name or a ``keras.optimizers.Optimizer`` (copied from its configuration)."""
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"keras runs on {keras.backend.backend()!r}: the tensorflow backend's optimizers need "
            "KERAS_BACKEND=tensorflow, set before keras is imported"
        )
    if isinstance(spec, str):
        if spec not in NAMED:
            raise ValueError(f"optimizer={spec!r}: expected one of {sorted([*NAMED, 'naive'])} or a keras optimizer")
        return KerasUpdate(NAMED[spec](learning_rate=1e-3), True)
    if not isinstance(spec, keras.optimizers.Optimizer):
        raise TypeError(f"optimizer={spec!r}: expected a name or a keras optimizer, e.g. keras.optimizers.Adam(1e-3)")
    return KerasUpdate(type(spec).from_config(spec.get_config()), False)
