"""A model whose parameters are those of a distribution of its weights."""

from __future__ import annotations

from typing import Any

from neko.backend.protocol import Backend
from neko.models.base import Pass, Trainable
from neko.models.network import Params
from neko.typing import Array

MEAN = ".mean"
"""What the name of a mean ends in, after the name of the weight."""


class Distributed(Trainable):
    """A model whose parameters are those of a distribution of its weights; a forward pass is one with their means."""

    def __init__(self, model: Trainable, params: Params) -> None:
        self.inner = model
        self.params = params
        self.buffers = model.buffers
        self.xp, self.cells, self.dt, self.task_type = model.xp, model.cells, model.dt, model.task_type
        self.ending, self.bounded, self.directions = model.ending, model.bounded, model.directions

    @property
    def persistent(self) -> bool:  # type: ignore[override]
        return self.inner.persistent

    @property
    def outputs(self) -> int:
        return self.inner.outputs

    def prepare(self, x: Any, *, batch_size: int | None = None) -> None:
        self.inner.prepare(x, batch_size=batch_size)

    def shape(self, x: Any) -> tuple[int, int] | None:
        return self.inner.shape(x)

    def arrange(self, x: Array) -> Array:
        return self.inner.arrange(x)

    def forward(self, xp: Backend, params: Params, x: Array, carry: Any, *, training: bool) -> Pass:
        return self.inner.forward(xp, means(params), x, carry, training=training)

    def clone(self) -> Distributed:
        return Distributed(self.inner.clone(), dict(self.params))


def means(params: Params) -> Params:
    """The mean of every weight by its name."""
    return {name.removesuffix(MEAN): m for name, m in params.items() if name.endswith(MEAN)}
