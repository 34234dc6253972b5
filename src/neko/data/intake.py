"""From examples in any container to checked arrays of the model's backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from neko import containers, tree
from neko.backend.parts import Part
from neko.backend.protocol import Backend
from neko.data import checks
from neko.data.lengths import Lengths
from neko.metrics import Metric
from neko.models.base import Trainable
from neko.objective import Objective
from neko.typing import Array


class Examples(NamedTuple):
    """A batch of examples for learners.

    ``x``, ``y`` and ``mask`` are arrays of the model's backend with the batch axis first, targets set to zero where
    they are masked; ``given`` is the original mask of the whole batch, which the host can read without a copy from the
    device; ``part`` tells which examples of a batch these are that several processes divide, None for a whole batch.
    """

    x: Any
    y: Array
    mask: Array | None
    given: Any
    part: Part | None = None

    @property
    def size(self) -> int:
        """Number of examples."""
        return int(tree.leaves(self.x)[0].shape[0])

    def cut(self, steps: slice, sequence_level: bool) -> Examples:
        """Some steps of the batch; a sequence-level target is not cut."""
        y = self.y if sequence_level else self.y[:, steps]
        mask = None if self.mask is None else self.mask[:, steps]
        return self._replace(x=self.x[:, steps], y=y, mask=mask, given=None)

    def of(self, part: Part | None) -> Examples:
        """A part of the examples; all of them for None."""
        if part is None:
            return self
        x, y, mask = (None if a is None else tree.map(lambda a: a[part.rows], a) for a in (self.x, self.y, self.mask))
        return self._replace(x=x, y=y, mask=mask, part=part)

    def counts(self) -> np.ndarray:
        """The valid frames of the whole batch, (batch, time), on the host."""
        if self.given is None:
            size = self.size if self.part is None else self.part.total
            return np.ones((size, self.x.shape[1]), bool)
        return containers.as_numpy("mask", self.given) > 0.0


class EvaluatorLike(Protocol):
    """The part of an evaluator that an `Intake` uses."""

    model: Trainable
    metrics: tuple[Metric, ...]
    encoder: Any

    @property
    def objective(self) -> Objective:
        """What is minimised."""

    def prepare(self, x: Any, *, batch_size: int | None = None) -> None:
        """Create the parameters for such inputs as the model receives, if there are none."""


class Intake:
    """Checks and converts data for a model, its objective and its metrics.

    Attributes
    ----------
    timed : bool or None
        Whether the targets of the last check have a time axis; None before the first.
    """

    def __init__(self, evaluator: EvaluatorLike) -> None:
        self.evaluator = evaluator
        self.timed: bool | None = None

    def prepare(self, x: Any, y: Any, mask: Any = None, *, chunks: bool = False, checked: bool = False) -> Examples:
        """Coded examples in any container, checked (unless `checked` before) and converted; the model is built. With
        `chunks` a sequence may have no valid frame."""
        received = self.receive(x, y, mask)
        if not checked:
            self.evaluator.prepare(received[0])
            self.check(*received, chunks=chunks)
        return self.convert(*received)

    def coded(self, x: Any, y: Any, mask: Any) -> tuple[Any, Any, Any]:
        """Signals as the spikes of the evaluator's encoder; a mask, and targets at every step, are repeated for each of
        the time steps of a sample. Everything is unchanged without an encoder. ValueError for another shape of x."""
        if self.evaluator.encoder is None:
            return x, y, mask
        x = containers.as_numpy("x", containers.as_array("x", x))
        if x.ndim != 3:
            raise ValueError(f"x has shape {x.shape!r}: expected signals for the encoder, (batch, time, channels)")
        spikes = self.evaluator.encoder.encode(x)
        steps = spikes.shape[1] // x.shape[1]

        def held(name: str, a: Any) -> Any:
            return np.repeat(containers.as_numpy(name, containers.as_array(name, a)), steps, axis=1)

        if steps > 1 and y is not None and not self.evaluator.objective.is_sequence_level(np.asarray(y)):
            y = held("y", y)
        return spikes, y, held("mask", mask) if steps > 1 and mask is not None else mask

    def receive(self, x: Any, y: Any, mask: Any) -> tuple[Any, Any, Any]:
        """A batch in any container as arrays of the backend or of NumPy, unchecked."""
        model = self.evaluator.model
        return model.receive(x), model.native("y", y), None if mask is None else model.native("mask", mask)

    def check(self, x: Any, y: Any, mask: Any, *, chunks: bool = False) -> None:
        """ValueError or TypeError for received data that do not fit the built model or the loss, or are not finite.
        Masked targets are not checked."""
        model, loss = self.evaluator.model, self.evaluator.objective.loss
        shape = model.shape(x)
        size = containers.count("x", x)
        self.timed = self.check_target((size,) if shape is None else shape, tuple(np.shape(y)))
        self.check_mask(mask, shape, chunks)
        valid = mask if self.timed else None
        for a in tree.leaves(x):
            containers.check_finite("x", a)
        containers.check_finite("y", y, valid)
        if loss.sparse:
            checks.classes(y, model.outputs, valid)
            return
        if loss.distribution:
            checks.distribution(y, valid, loss.name)
        elif loss.link != "identity":
            checks.within(y, valid, loss.name, 1.0 if loss.link == "sigmoid" else np.inf)
        for metric in self.evaluator.metrics:
            if metric.needs_classes(loss.link) and not loss.distribution:
                checks.one_of(y, valid, metric.name)

    def convert(self, x: Any, y: Any, mask: Any) -> Examples:
        """Received data in the form that the rules expect."""
        xp, objective = self.evaluator.model.xp, self.evaluator.objective
        timed = not objective.is_sequence_level(y)
        if objective.loss.sparse and "int" not in str(y.dtype):
            y = np.nan_to_num(containers.as_numpy("y", y)).astype(np.int32)
        with xp.scope():
            y = xp.asarray(y, dtype=None if objective.loss.sparse else xp.dtype)
            x, valid = self.tensors(x, mask)
            return Examples(x, y if valid is None or not timed else hidden(xp, y, valid), valid, mask)

    def tensors(self, x: Any, mask: Any) -> tuple[Any, Array | None]:
        """Inputs and mask as arrays of the backend."""
        model = self.evaluator.model
        return model.as_input(x), None if mask is None else model.xp.asarray(mask, dtype=model.xp.dtype)

    def check_mask(self, mask: Any, shape: tuple[int, int] | None, chunks: bool) -> None:
        """ValueError for a mask that does not fit outputs (batch, time), or has other entries than 0 and 1."""
        if mask is None:
            return
        if shape is None or tuple(np.shape(mask)) != shape:
            expected = "none, since the outputs have no time axis" if shape is None else f"(batch, time) = {shape!r}"
            raise ValueError(f"mask has shape {tuple(np.shape(mask))!r}: expected {expected}")
        checks.mask(mask, chunks=chunks)

    def check_target(self, shape: tuple[int, ...], y: tuple[int, ...]) -> bool:
        """Whether a target of shape `y` has a time axis; ValueError unless it fits outputs (batch[, time])."""
        loss = self.evaluator.objective.loss
        outputs = () if loss.sparse else (self.evaluator.model.outputs,)
        sequence, timed = (shape[0], *outputs), (*shape, *outputs)
        if y not in (sequence, timed):
            numbers = loss.distribution and y == shape[: len(y)]
            hint = " (sparse_categorical_crossentropy takes class numbers)" if numbers else ""
            choice = "" if sequence == timed else f" or, for a target at every step, {timed!r}"
            raise ValueError(f"y has shape {y!r}: expected {sequence!r}{choice}{hint}")
        return len(shape) > 1 and y == timed

    def inputs(self, x: Any, mask: Any, batch_size: int) -> tuple[Any, Any]:
        """Inputs and mask for a prediction, coded, received and checked; the model is built."""
        model = self.evaluator.model
        x, _, mask = self.coded(x, None, mask)
        x, mask = model.receive(x), None if mask is None else model.native("mask", mask)
        self.evaluator.prepare(x, batch_size=batch_size)
        self.check_mask(mask, model.shape(x), chunks=False)
        for a in tree.leaves(x):
            containers.check_finite("x", a)
        return x, mask

    def lengths(self, steps: Sequence[int] | None = None) -> Lengths | None:
        """The lengths to which a loader's sequences are padded: `steps`, or powers of two where the framework compiles
        for every length; None without padding."""
        model = self.evaluator.model
        if steps is None and not (model.cells and model.xp.compiles):
            return None
        if not model.cells:
            raise ValueError(
                f"lengths={steps!r}: {model!r} would read the padding, which may change its outputs before it; "
                "expected a network of cells"
            )
        return Lengths(steps, sparse=self.evaluator.objective.loss.sparse)


def hidden(xp: Backend, a: Any, mask: Any) -> Any:
    """`a` (batch, time, …) with zeros at masked frames, in place of any value (a label of -100, a NaN)."""
    shape = (*mask.shape, *(1,) * (len(a.shape) - 2))
    return xp.where(xp.reshape(mask, shape) > 0.0, a, xp.zeros_like(a))
