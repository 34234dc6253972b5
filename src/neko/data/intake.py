"""How a batch comes to a model: received in any container, checked, and converted for the rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from neko import containers, tree
from neko.data import checks, frames
from neko.metrics import Metric
from neko.models.base import Trainable
from neko.objective import Objective
from neko.typing import Array


@dataclass(frozen=True, eq=False)
class Intake:
    """What data must be for a built model, its objective and its metrics."""

    model: Trainable
    objective: Objective
    metrics: tuple[Metric, ...]

    def receive(self, x: Any, y: Any, mask: Any) -> tuple[Any, Any, Any]:
        """What a person gives for a batch, as arrays of the backend or of NumPy, unchecked."""
        native = self.model.native
        return self.model.receive(x), native("y", y), None if mask is None else native("mask", mask)

    def check(self, x: Any, y: Any, mask: Any, *, pieces: bool = False) -> bool:
        """Whether the targets have a time axis; ValueError or TypeError for received data that do not fit the built
        model, are not finite, or have targets that the loss does not take. What a mask hides is not looked at."""
        shape = self.model.shape(x)
        size = containers.count("x", x)
        timed = self.check_target((size,) if shape is None else shape, tuple(np.shape(y)))
        self.check_mask(mask, shape, pieces)
        valid = mask if timed else None
        for a in tree.leaves(x):
            checks.finite("x", a)
        checks.finite("y", y, valid)
        loss = self.objective.loss
        if loss.sparse:
            checks.classes(y, self.model.outputs, valid)
            return timed
        if loss.distribution:
            checks.distribution(y, valid, loss.name)
        elif loss.link != "identity":
            checks.within(y, valid, loss.name, 1.0 if loss.link == "sigmoid" else np.inf)
        for metric in self.metrics:
            if metric.needs_classes(loss.link) and not loss.distribution:
                checks.one_of(y, valid, metric.name)
        return timed

    def convert(self, x: Any, y: Any, mask: Any) -> tuple[Any, Array, Array | None]:
        """Received data as the rules take them: arrays of the backend, targets set to zero where they are masked."""
        xp, loss = self.model.xp, self.objective.loss
        timed = not self.objective.is_held(y)
        if loss.sparse and "int" not in str(y.dtype):
            y = np.nan_to_num(containers.as_numpy("y", y)).astype(np.int32)
        with xp.scope():
            y = xp.asarray(y, dtype=None if loss.sparse else xp.dtype)
            x, mask = self.tensors(x, mask)
            return x, y if mask is None or not timed else frames.hidden(xp, y, mask), mask

    def tensors(self, x: Any, mask: Any) -> tuple[Any, Array | None]:
        """Inputs and mask as arrays of the backend."""
        xp = self.model.xp
        return self.model.as_input(x), None if mask is None else xp.asarray(mask, dtype=xp.dtype)

    def check_mask(self, mask: Any, shape: tuple[int, int] | None, pieces: bool) -> None:
        """ValueError for a mask that does not fit outputs (batch, time), or has other entries than 0 and 1."""
        if mask is None:
            return
        if shape is None or tuple(np.shape(mask)) != shape:
            expected = "none, since the outputs have no time axis" if shape is None else f"(batch, time) = {shape!r}"
            raise ValueError(f"mask has shape {tuple(np.shape(mask))!r}: expected {expected}")
        checks.mask(mask, pieces=pieces)

    def check_target(self, shape: tuple[int, ...], y: tuple[int, ...]) -> bool:
        """Whether a target of shape `y` has a time axis, for outputs (batch, time) or (batch,); ValueError if it does
        not fit."""
        loss = self.objective.loss
        outputs = () if loss.sparse else (self.model.outputs,)
        held, timed = (shape[0], *outputs), (*shape, *outputs)
        if y not in (held, timed):
            numbers = loss.distribution and y == shape[: len(y)]
            hint = " (sparse_categorical_crossentropy takes class numbers)" if numbers else ""
            choice = "" if held == timed else f" or, for a target at every step, {timed!r}"
            raise ValueError(f"y has shape {y!r}: expected {held!r}{choice}{hint}")
        return len(shape) > 1 and y == timed

    def inputs(self, x: Any, mask: Any) -> tuple[Any, Any]:
        """Inputs and mask for a prediction, received and checked."""
        x = self.model.receive(x)
        mask = None if mask is None else self.model.native("mask", mask)
        self.check_mask(mask, self.model.shape(x), pieces=False)
        for a in tree.leaves(x):
            checks.finite("x", a)
        return x, mask
