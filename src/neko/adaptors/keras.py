"""Any keras.Model of Keras 3, on TensorFlow, PyTorch or JAX."""

from __future__ import annotations

from typing import Any

import keras

from neko import backend as backends
from neko.adaptors.base import Adapted
from neko.typing import Array


class KerasModel(Adapted):
    """A `keras.Model` by `stateless_call`.

    Variables with ``trainable=False`` stay as they are, but for what the model itself changes in a training pass
    (moving averages, seed generators): these are its buffers.
    """

    def __init__(self, module: keras.Model, task_type: str | None) -> None:
        dtype = "float64" if module.variable_dtype == "float64" else "float32"
        super().__init__(module, backends.get(keras.backend.backend(), dtype=dtype), task_type)

    @staticmethod
    def takes(module: Any) -> bool:
        """Whether it is a `keras.Model`."""
        return isinstance(module, keras.Model)

    def build(self, example: Array) -> None:
        if not self.module.built:
            self.module(example)

    def read(self) -> tuple[dict[str, Array], dict[str, Array]]:
        return values(self.module.trainable_variables), values(self.module.non_trainable_variables)

    def write(self, params: dict[str, Array], buffers: dict[str, Array]) -> None:
        own = named(self.module.trainable_variables if params else self.module.non_trainable_variables)
        for name, value in {**params, **buffers}.items():
            own[name].assign(value)

    def apply(
        self, params: dict[str, Array], buffers: dict[str, Array], x: Array, training: bool
    ) -> tuple[Array, dict[str, Array]]:
        trainable = [params[name] for name in named(self.module.trainable_variables)]
        other = [buffers[name] for name in named(self.module.non_trainable_variables)]
        y, changed = self.module.stateless_call(trainable, other, x, training=training)
        return y, dict(zip(named(self.module.non_trainable_variables), changed, strict=True))


def values(variables: list[keras.Variable]) -> dict[str, Array]:
    """Copies of the variables' values."""
    return {name: keras.ops.stop_gradient(keras.ops.copy(v.value)) for name, v in named(variables).items()}


def named(variables: list[keras.Variable]) -> dict[str, keras.Variable]:
    """Variables by path; of equal paths the later ones get a number."""
    result: dict[str, keras.Variable] = {}
    for variable in variables:
        name, count = variable.path, 1
        while name in result:
            name, count = f"{variable.path}:{count}", count + 1
        result[name] = variable
    return result
