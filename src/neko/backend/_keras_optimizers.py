"""Optimizers of Keras, on the framework that Keras runs on."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras

from neko import identity
from neko.backend.update import Update


class Rate:
    """The learning rate of the step being taken; keras calls it, so its dtype stays (its own variable is float32)."""

    def __init__(self) -> None:
        self.value: Any = 1e-3

    def __call__(self) -> Any:
        return self.value

    def get_config(self) -> dict[str, Any]:
        """Empty: the rate changes at each step."""
        return {}


class KerasUpdate(Update):
    """A keras optimizer as a pure update.

    On JAX its stateless form is used. On the others its variables are scratch memory: a step writes parameters and
    state into them, applies the optimizer, and reads them back, so they keep nothing from step to step. They belong to
    one set of parameters: one update per model. `make` returns the optimizer; if `injected`, it has an argument
    ``learning_rate``, and the rate of each step replaces the optimizer's own.
    """

    def __init__(self, make: Callable[..., Any], injected: bool) -> None:
        self.make = make
        self.rate = Rate() if injected else None
        self.optimizer = make() if self.rate is None else make(learning_rate=self.rate)
        self.scratch: list[Any] = []
        self.start: list[Any] = []

    def __reduce__(self) -> Any:
        # Keras copies its optimizers by their configuration, which cannot hold a `Rate`.
        return KerasUpdate, (self.make, self.rate is not None)

    def identity(self) -> dict[str, Any]:
        """The optimizer by its configuration, without the scratch variables."""
        return {"optimizer": identity.describe(self.optimizer), "named": self.rate is not None}

    def prepare(self, params: dict[str, Any]) -> None:
        """Create the variables for such parameters, if there are none."""
        if not self.scratch:
            self.scratch = [
                keras.Variable(params[name], name=name.replace(".", "_").replace("/", "_")) for name in sorted(params)
            ]
            self.optimizer.build(self.scratch)
            self.start = read(self.optimizer.variables)

    def init(self, params: dict[str, Any]) -> list[Any]:
        """Values of the optimizer's variables before the first step."""
        self.prepare(params)
        return self.start

    def step(self, params: dict[str, Any], gradients: dict[str, Any], state: list[Any], rate: Any) -> Any:
        """One step of the optimizer."""
        self.prepare(params)
        names = sorted(params)
        before, slopes = [params[name] for name in names], [gradients[name] for name in names]
        if self.rate is not None:
            self.rate.value = rate
        if keras.backend.backend() == "jax":
            after, state = self.optimizer.stateless_apply(state, slopes, before)
            return dict(zip(names, after, strict=True)), state
        write(self.scratch, before)
        write(self.optimizer.variables, state)
        self.optimizer.apply(slopes)
        return dict(zip(names, read(self.scratch), strict=True)), read(self.optimizer.variables)


def read(variables: list[Any]) -> list[Any]:
    """Copies of the variables' values."""
    return [keras.ops.stop_gradient(keras.ops.copy(v.value)) for v in variables]


def write(variables: list[Any], values: list[Any]) -> None:
    """Assign a value to each variable."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def is_one(spec: Any) -> bool:
    """Whether it is an optimizer of Keras."""
    return isinstance(spec, keras.optimizers.Optimizer)


def resolve(backend: str, spec: Any) -> KerasUpdate:
    """The update of a ``keras.optimizers.Optimizer``, of which a copy by configuration is used.

    Raises
    ------
    ValueError
        Where Keras runs on another framework than the model, or an option would be lost: a scale of the loss, weights
        that are left out of the decay.
    """
    runs_on(backend)
    if isinstance(spec, keras.optimizers.LossScaleOptimizer):
        raise ValueError(f"optimizer={spec!r} expects scaled gradients, and no loss is scaled here: give the one in it")
    if getattr(spec, "_exclude_from_weight_decay", None) or getattr(spec, "_exclude_from_weight_decay_pattern", None):
        raise ValueError(f"optimizer={spec!r} leaves weights out of its decay, which cannot be kept: give one without")
    return KerasUpdate(functools.partial(type(spec).from_config, spec.get_config()), False)


def runs_on(backend: str) -> None:
    """ValueError where Keras runs on another framework."""
    if keras.backend.backend() != backend:
        raise ValueError(
            f"keras runs on {keras.backend.backend()!r}: its optimizers on the {backend} backend need "
            f"KERAS_BACKEND={backend}, set before keras is imported"
        )
