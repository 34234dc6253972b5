"""What the adaptors share: parameters that live in the user's object, and shapes found by running it once."""

from __future__ import annotations

import copy
from abc import abstractmethod
from typing import Any

import numpy as np

from neko import identity
from neko.arguments import check_choice
from neko.trainable import TASKS, Pass, Trainable
from neko.typing import Array


class Adapted(Trainable):
    """A user's module as a function of its parameters.

    Parameters are read from and written to the module, so that at any time it holds the trained weights. A clone
    shares the module's code and keeps parameters and buffers of its own.
    """

    cells = ()
    dt = 1.0

    def __init__(self, module: Any, xp: Any, task_type: str) -> None:
        check_choice("task_type", task_type, TASKS)
        self.module = module
        self.xp = xp
        self.task_type = task_type
        self._own: tuple[dict[str, Array], dict[str, Array]] | None = None
        self._shapes: dict[tuple[int, ...], tuple[int, ...]] = {}

    def __repr__(self) -> str:
        return f"<{type(self.module).__name__} on {self.xp.name}>"

    @abstractmethod
    def read(self) -> tuple[dict[str, Array], dict[str, Array]]:
        """Copies of the trainable parameters and of the buffers of the module."""

    @abstractmethod
    def write(self, params: dict[str, Array], buffers: dict[str, Array]) -> None:
        """Put parameters or buffers into the module."""

    @abstractmethod
    def apply(
        self, params: dict[str, Array], buffers: dict[str, Array], x: Array, training: bool
    ) -> tuple[Array, dict[str, Array]]:
        """The module's outputs with these parameters and buffers, and the buffers after; pure."""

    @property
    def params(self) -> dict[str, Array]:
        return (self._own or self.read())[0]

    @params.setter
    def params(self, params: dict[str, Array]) -> None:
        if self._own is None:
            self.write(params, {})
        else:
            self._own = (params, self._own[1])

    @property
    def buffers(self) -> dict[str, Array]:
        return (self._own or self.read())[1]

    @buffers.setter
    def buffers(self, buffers: dict[str, Array]) -> None:
        if self._own is None:
            self.write({}, buffers)
        else:
            self._own = (self._own[0], buffers)

    def prepare(self, x: Any) -> None:
        shape = tuple(np.shape(x))
        if not shape or 0 in shape:
            raise ValueError(f"x has shape {shape!r}: expected (batch, …), none of them 0")
        if shape[1:] in self._shapes:
            return
        with self.xp.scope():
            example = self.xp.asarray(x[:1])
            self.build(example)
            found = tuple(self.apply(*self.read(), example, False)[0].shape)
        if len(found) not in (2, 3):
            raise ValueError(
                f"{self!r} gives outputs of shape {found!r}: expected (batch, outputs) or (batch, time, outputs)"
            )
        self._shapes[shape[1:]] = found[1:]
        if not self.params:
            raise ValueError(f"{self!r} has no trainable parameter")

    def build(self, example: Array) -> None:
        """Let the module make its weights for inputs like `example`."""

    @property
    def outputs(self) -> int:
        return int(next(iter(self._shapes.values()))[-1])

    def shape(self, x: Any) -> tuple[int, int] | None:
        found = self._shapes[tuple(x.shape[1:])]
        return None if len(found) == 1 else (int(x.shape[0]), int(found[0]))

    def arrange(self, x: Array) -> Array:
        return x

    def forward(self, xp: Any, params: dict[str, Array], x: Array, carry: Any, *, training: bool) -> Pass:
        y, buffers = self.apply(params, carry, x, training)
        y = xp.expand_dims(y, axis=0) if len(y.shape) == 2 else xp.permute_dims(y, (1, 0, 2))
        return Pass(buffers, y, (), 0.0)

    def identity(self) -> dict[str, Any]:
        own = [name for name in vars(self) if not name.startswith("_") and name not in ("module", "xp")]
        return identity.options_of(self, own) | {"module": identity.describe_module(self.module)}

    def clone(self) -> Adapted:
        other = copy.copy(self)
        other._own = self._own or self.read()
        return other
