"""Optimizers of JAX: optax."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import jax
import optax

from neko.backend.update import Update

# Every number is given, and only the rate is an argument, so that the rate is all that is injected.
NAMED = {
    "sgd": lambda learning_rate: optax.sgd(learning_rate),
    "momentum": lambda learning_rate: optax.sgd(learning_rate, momentum=0.9),
    "nesterov": lambda learning_rate: optax.sgd(learning_rate, momentum=0.9, nesterov=True),
    "adam": lambda learning_rate: optax.adam(learning_rate, b1=0.9, b2=0.999, eps=1e-8),
    "adamw": lambda learning_rate: optax.adamw(learning_rate, b1=0.9, b2=0.999, eps=1e-8, weight_decay=1e-2),
    "adamax": lambda learning_rate: optax.adamax(learning_rate, b1=0.9, b2=0.999, eps=1e-8),
    "rmsprop": lambda learning_rate: optax.rmsprop(learning_rate, decay=0.99, eps=1e-8, eps_in_sqrt=False),
    "adagrad": lambda learning_rate: optax.adagrad(learning_rate, initial_accumulator_value=0.1, eps=0.0),
}


@dataclass(frozen=True, eq=False)
class OptaxUpdate(Update):
    """An optax transformation as an update; one made from a `name` uses the learning rate of each step."""

    transformation: Any
    name: str | None

    def __reduce__(self) -> Any:
        # Transformations of optax consist of local functions, which cannot be pickled; a name builds them again.
        return (OptaxUpdate, (self.transformation, None)) if self.name is None else (build_named, (self.name,))

    def init(self, params: dict[str, Any]) -> Any:
        """State of the transformation."""
        return self.transformation.init(params)

    def step(self, params: dict[str, Any], gradients: dict[str, Any], state: Any, rate: Any) -> Any:
        """``params + changes``."""
        if self.name is not None:
            state = state._replace(hyperparams={**state.hyperparams, "learning_rate": rate})
        changes, state = self.transformation.update(gradients, state, params)
        return optax.apply_updates(params, changes), state

    def chosen(self, xp: Any, good: Any, new: Any, kept: Any) -> Any:
        # With JAX's own tree functions: the state may hold classes that are registered with JAX only.
        return jax.tree.map(lambda a, b: xp.where(good, a, b), new, kept)


def build_named(name: str) -> OptaxUpdate:
    """The update of a name of `NAMED`."""
    return OptaxUpdate(optax.inject_hyperparams(NAMED[name])(learning_rate=1e-3), name)


def resolve(xp: Any, spec: Any) -> Any:
    """An update from a name, an ``optax.GradientTransformation``, or an optimizer of Keras where it runs on JAX."""
    if isinstance(spec, str):
        if spec not in NAMED:
            raise ValueError(f"optimizer={spec!r}: expected one of {sorted([*NAMED, 'naive'])} or an optax object")
        return build_named(spec)
    if "keras" in sys.modules:
        from neko.backend import _keras_optimizers

        if _keras_optimizers.is_one(spec):
            return _keras_optimizers.resolve("jax", spec)
    if not (hasattr(spec, "init") and hasattr(spec, "update")):
        raise TypeError(f"optimizer={spec!r}: expected a name or an optax.GradientTransformation, as optax.adam(1e-3)")
    return OptaxUpdate(spec, None)
