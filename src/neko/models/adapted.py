"""What the adaptors share: parameters stored in the user's object, and output shapes found by a first forward pass."""

from __future__ import annotations

import contextlib
import copy
from abc import abstractmethod
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np

from neko import identity, tree
from neko.backend.protocol import Backend
from neko.models import outcome
from neko.models.base import Pass, Trainable, check_task
from neko.models.converters import Converters, check_converters
from neko.typing import Array

LOOK = 128
"""Number of examples in the first forward pass of a module where no batch size is known."""


class Applied(NamedTuple):
    """Raw outputs of a module, its buffers afterwards, and what it adds to the loss by itself."""

    outputs: Any
    buffers: dict[str, Array]
    penalty: Array | float


class Adapted(Trainable):
    """A user's module as a function of its parameters.

    Parameters are read from and written to the module, so that it holds the trained weights at any time. A clone has
    parameters and buffers of its own. Parameters in half precision are trained in single precision, and rounded when
    they are written to the module.
    """

    cells = ()
    dt = 1.0
    persistent = True

    def __init__(
        self, module: Any, xp: Backend, task_type: str | None, output: outcome.Selector, converters: Any
    ) -> None:
        outcome.check(output)
        check_converters(converters)
        self.module = module
        self.xp = xp
        self.task_type = check_task(task_type)
        self.output = output
        self.converters: Converters | None = converters
        self._own: tuple[dict[str, Array], dict[str, Array]] | None = None
        self._exact: dict[str, Array] = {}
        self._shapes: dict[Any, tuple[int, ...]] = {}

    def __repr__(self) -> str:
        return f"<{type(self.module).__name__} on {self.xp.name}>"

    @abstractmethod
    def variables(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The module's trainable parameters and its buffers themselves, by name."""

    @abstractmethod
    def copied(self, variable: Any) -> Array:
        """A copy of what a parameter or buffer holds, without history."""

    @abstractmethod
    def assign(self, variable: Any, value: Array) -> None:
        """Assign a value to a parameter or buffer of the module."""

    @abstractmethod
    def apply(self, params: dict[str, Array], buffers: dict[str, Array], x: Any, training: bool) -> Applied:
        """The module applied to `x` with these parameters and buffers; pure except for state kept elsewhere."""

    @abstractmethod
    def build(self, example: Any) -> None:
        """Let the module create its weights for such inputs, if it has none yet."""

    @abstractmethod
    def untouched(self) -> AbstractContextManager[None]:
        """A context at whose end all state of the module beside parameters and buffers is restored."""

    @abstractmethod
    def takes_several(self) -> bool:
        """Whether a list of arrays is a list of the module's inputs."""

    @abstractmethod
    def declared(self) -> str | None:
        """What the module ends in, as far as its layers show."""

    @property
    def names(self) -> list[str]:
        """The trainable parameters' names."""
        return list((self._own or self.variables())[0])

    def read(self) -> tuple[dict[str, Array], dict[str, Array]]:
        """Copies of the trainable parameters and of the buffers of the module."""
        params, buffers = self.variables()
        with self.xp.scope():
            taken = {name: self.exact(name, self.copied(p)) for name, p in params.items()}
            return taken, {name: self.copied(b) for name, b in buffers.items()}

    def exact(self, name: str, p: Array) -> Array:
        """A parameter in the backend's precision; in half precision its values before rounding, unless changed."""
        if "float16" not in str(p.dtype):
            return p
        before = self._exact.get(name)
        now = self.xp.astype(p, self.xp.dtype)
        return now if before is None else self.xp.where(self.xp.astype(before, p.dtype) == p, before, now)

    def write(self, params: dict[str, Array], buffers: dict[str, Array]) -> None:
        """Write parameters or buffers into the module."""
        own = {name: v for variables in self.variables() for name, v in variables.items()}
        unknown = sorted({*params, *buffers} - set(own))
        if unknown:
            expected = f"expected some of {sorted(own)!r}; frozen parameters must be unfrozen first"
            raise ValueError(f"{unknown!r} cannot be written into {self!r}: {expected}")
        with self.xp.scope():
            for name, value in {**params, **buffers}.items():
                self.assign(own[name], value)
                if name in params and "float16" in str(own[name].dtype):
                    self._exact[name] = value

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

    def several(self, x: Any) -> bool:
        if isinstance(x, dict | tuple):
            return True
        return isinstance(x, list) and bool(x) and all(hasattr(a, "shape") for a in x) and self.takes_several()

    def prepare(self, x: Any, *, batch_size: int | None = None) -> None:
        form = self.form(x)
        if form in self._shapes:
            return
        with self.xp.scope():
            example, applied = self.look(x, batch_size)
            y = outcome.select(self, applied.outputs)
            found, size = tuple(int(n) for n in y.shape), int(tree.leaves(example)[0].shape[0])
            if len(found) not in (2, 3) or found[0] != size:
                raise ValueError(
                    f"{self!r} gives outputs of shape {found!r} for {size} examples: expected (batch, outputs) or "
                    "(batch, time, outputs); where a module returns something else, choose or shape its outputs with "
                    "output=…"
                )
            if not self._shapes:
                self.ending, self.bounded = self.ends(example, y), outcome.bounded(self.xp.to_numpy(y))
                self.penalized = not isinstance(applied.penalty, float)
        if self.converters is not None:
            self.check_products()
        if not self.names:
            raise ValueError(f"{self!r} has no trainable parameter")
        self._shapes[form] = found[1:]

    def check_products(self) -> None:
        """TypeError for a module with other matrices than those that have converters."""
        try:
            self.asymmetric()
        except TypeError as error:
            raise TypeError(
                f"{self!r} multiplies by other weights than those of dense and convolutional layers: there are no "
                "converters for these"
            ) from error

    def ends(self, example: Any, y: Array) -> str | None:
        """What the module ends in, from its layers or from outputs `y`; ValueError where these are probabilities in
        evaluation mode only, since a loss would then be wrong in one of the two modes."""
        declared, seen = self.declared(), outcome.by_value(self.xp.to_numpy(y), "float16" in str(y.dtype))
        if declared is not None or seen is None:
            return declared
        with contextlib.suppress(Exception), self.untouched():
            y = outcome.select(self, self.apply(*self.read(), example, True).outputs)
        trained = outcome.by_value(self.xp.to_numpy(y), "float16" in str(y.dtype))
        if trained != seen:
            raise ValueError(
                f"{self!r} ends in {seen} in evaluation and not in training: expected the same in both, best the "
                "values before it"
            )
        return seen

    def form(self, x: Any) -> Any:
        """The names of the inputs and their shapes without the batch, on which the shape of outputs depends."""
        shapes = [tuple(np.shape(a)) for a in (tree.leaves(x) if self.several(x) else [x])]
        for shape in shapes:
            if not shape or 0 in shape:
                raise ValueError(f"x has shape {shape!r}: expected (batch, …), none of them 0")
        if len({shape[0] for shape in shapes}) > 1:
            raise ValueError(f"x has inputs of shapes {shapes!r}: expected as many examples in each")
        return tuple(sorted(x)) if isinstance(x, dict) else (), *(shape[1:] for shape in shapes)

    def look(self, x: Any, batch_size: int | None) -> tuple[Any, Applied]:
        """Examples and the module's result for them; its state is restored afterwards.

        They are as many as a batch will have, since a module may require one size; where the size is not known, `LOOK`
        examples, or all if the module fails with these.
        """
        several = self.several(x)
        arrays = tree.leaves(x) if several else [x]
        examples = len(arrays[0])
        failure: Exception | None = None
        for size in dict.fromkeys((min(examples, batch_size or LOOK), examples)):
            first = [self.xp.asarray(a[:size]) for a in arrays]
            example = tree.rebuild(x, iter(first)) if several else first[0]
            try:
                self.build(example)
                with self.untouched():
                    return example, self.apply(*self.read(), example, False)
            except Exception as error:
                failure = failure or error
        shapes = ", ".join(repr(tuple(np.shape(a))) for a in arrays)
        whole = any(self.xp.to_numpy(self.xp.asarray(a[:1])).dtype.kind in "iub" for a in arrays)
        hint = "; integers are passed on as they are, as for an embedding: give others as floats" if whole else ""
        raise ValueError(
            f"{self!r} did not take inputs of shape {shapes}: {type(failure).__name__}: {failure}{hint}"
        ) from failure

    @property
    def outputs(self) -> int:
        return int(next(iter(self._shapes.values()))[-1])

    def shape(self, x: Any) -> tuple[int, int] | None:
        found = self._shapes[self.form(x)]
        examples = tree.leaves(x)[0].shape[0] if self.several(x) else x.shape[0]
        return None if len(found) == 1 else (int(examples), int(found[0]))

    def arrange(self, x: Any) -> Any:
        return x

    def forward(self, xp: Backend, params: dict[str, Array], x: Any, carry: Any, *, training: bool) -> Pass:
        applied = self.apply(params, carry, x, training)
        y = outcome.select(self, applied.outputs)
        y = xp.expand_dims(y, axis=0) if len(y.shape) == 2 else xp.permute_dims(y, (1, 0, 2))
        # Losses are computed in the backend's precision, whatever the precision of the module.
        return Pass(applied.buffers, y if y.dtype == xp.dtype else xp.astype(y, xp.dtype), (), applied.penalty)

    def identity(self) -> dict[str, Any]:
        found = ("module", "xp", "ending", "bounded", "penalized", *([] if self.converters else ["converters"]))
        own = [name for name in vars(self) if name[0] != "_" and name not in found]
        return identity.options_of(self, own) | {"module": identity.describe_module(self.module)}

    def clone(self) -> Adapted:
        other = copy.copy(self)
        other._own = self._own or self.read()
        return other


def check_names(model: Trainable, known: Iterable[str]) -> None:
    """ValueError if parameters of a user's module were frozen or unfrozen since a rule or sampler started with the
    `known` ones, to which its optimizer state or chains belong."""
    if not isinstance(model, Adapted):
        return
    before, now = set(known), set(model.names)
    words = [
        f"{sorted(changed)!r} {'was' if len(changed) == 1 else 'were'} {what}"
        for what, changed in (("frozen", before - now), ("unfrozen", now - before))
        if changed
    ]
    if words:
        raise ValueError(
            f"{' and '.join(words)} in {model!r} since this rule began: make a new rule (and sampler) after freezing "
            "or unfreezing, whose optimizer knows these parameters"
        )
