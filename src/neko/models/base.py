"""The interface of models that evaluators and rules use."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np

from neko import containers, identity, tree
from neko.arguments import check_choice
from neko.backend.generated import Offer
from neko.backend.protocol import Backend
from neko.models.directions import Direction
from neko.typing import Array

TASKS = ("classification", "regression")
"""Outputs of 'classification' are logits of classes."""


def check_task(task_type: Any) -> str | None:
    """The task, None where it is not given; ValueError for any other word."""
    if task_type is not None:
        check_choice("task_type", task_type, TASKS)
    return task_type


class Pass(NamedTuple):
    """The result of a forward pass.

    ``carry`` is the state, or the buffers, after it; ``outputs`` (time, batch, outputs); ``emissions`` (time, batch, n)
    of every layer of cells, none for a user's module; ``penalty`` the scalar that a user's model itself adds to the
    loss (regularizers, ``add_loss``), 0.0 where it adds none.
    """

    carry: Any
    outputs: Array
    emissions: tuple[Array, ...]
    penalty: Array | float


class Trainable(ABC):
    """A function from parameters and inputs to outputs over time.

    `neko.models.Model` is a network of cells; `neko.models.adapt` wraps a user's own module.

    Attributes
    ----------
    xp : Backend
        Where arrays live.
    persistent : bool
        Whether `forward` carries buffers that outlive a batch, as in a user's module, in place of the state of a
        network, which starts anew with each sequence.
    params : dict of Array
        The trainable parameters by name.
    buffers : dict of Array or None
        What a training pass changes beside the parameters (the running mean of a batch normalisation, the state of
        a random generator); None for a network of cells.
    cells : tuple of Cell
        The layers whose emissions `forward` returns; none for a user's module.
    dt : float
        Length of a time step in ms.
    task_type : str or None
        One of `TASKS`, or None where none was given.
    ending : str or None
        The last function of the model: 'softmax', 'log_softmax' or 'sigmoid'; None for a linear layer, or where it is
        not known. Known after `prepare`, like the following.
    bounded : bool
        Whether all outputs for the first inputs lay strictly between 0 and 1, as those of a sigmoid do.
    penalized : bool
        Whether forward passes add a `Pass.penalty`.
    directions : tuple of Direction
        The directions of time in which a network of cells reads a sequence; none for a user's module.
    """

    xp: Backend
    persistent: ClassVar[bool] = False
    params: dict[str, Array]
    buffers: dict[str, Array] | None
    cells: tuple[Any, ...]
    dt: float
    task_type: str | None
    ending: str | None = None
    bounded: bool = False
    penalized: bool = False
    directions: tuple[Direction, ...] = ()

    @abstractmethod
    def prepare(self, x: Any, *, batch_size: int | None = None) -> None:
        """Create the parameters for such inputs, if there are none; ValueError for inputs that do not fit.

        `batch_size` is the number of examples of a batch, where `x` is a whole data set.
        """

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Number of outputs at each step."""

    @abstractmethod
    def shape(self, x: Any) -> tuple[int, int] | None:
        """(batch, time) of the outputs for inputs `x`; None where the outputs have no time axis."""

    @abstractmethod
    def arrange(self, x: Array) -> Array:
        """Inputs in the form that `forward` expects, with time leading for a network of cells."""

    @abstractmethod
    def forward(self, xp: Backend, params: dict[str, Array], x: Array, carry: Any, *, training: bool) -> Pass:
        """The forward pass, a pure function; `carry` is the state or the buffers before, None for a network at rest."""

    def masked(
        self, xp: Backend, params: dict[str, Array], x: Array, carry: Any, *, training: bool, valid: Array | None
    ) -> Pass:
        """As `forward`, of sequences that end with the last frame at which `valid` (time, batch) is above 0; their end
        matters to a bidirectional network only."""
        return self.forward(xp, params, x, carry, training=training)

    def operations(
        self, xp: Backend, params: dict[str, Array], x: Array, valid: Array, closing: Array, rates: Any
    ) -> Any:
        """The synaptic operations of a forward pass, see `neko.models.operations.count`; ValueError for a model of
        which the synapses are not known."""
        raise ValueError(f"{self!r} has no synapses that are known: leave out the metrics of synaptic operations")

    def asymmetric(self) -> dict[str, int]:
        """The weights through which credit passes back to an earlier activity, each with the axis of its outputs.

        `forward` takes each of them also as a `neko.models.asymmetric.Asymmetric` pair. TypeError with the reason for a
        model that has other such weights, of which it does not know the products.
        """
        raise TypeError(f"{self!r} has no products of weights that are known: use BPTT")

    @property
    def bidirectional(self) -> bool:
        """Whether a sequence is also read from its end, so that no output is known before the last step."""
        return len(self.directions) > 1

    @property
    def kernels(self) -> tuple[Offer, ...]:
        """For every layer of cells, whether kernels are generated from its step, with and without its reset, or the
        reason why not; one that a comparison with live data found is known after the first batch."""
        found = []
        for cell in self.cells:
            state = cell.initial_state(self.xp, 1)
            offers = [self.xp.kernels(form, state) for form in (cell, cell.without_reset())]
            found.append(next((offer for offer in offers if not offer.generated), offers[0]))
        return tuple(found)

    @abstractmethod
    def clone(self) -> Any:
        """The same model with a copy of parameters and buffers."""

    def several(self, x: Any) -> bool:
        """Whether `x` is a tuple, list or dict of inputs in place of one array; a network of cells has one input."""
        return False

    def constrain(self, params: dict[str, Array]) -> dict[str, Array]:
        """Updated parameters as the model allows them (constraints of a user's model)."""
        return params

    def identity(self) -> dict[str, Any]:
        """All that outputs depend on beside the parameters, by value; it is stored with the weights."""
        state = ("xp", "params", "buffers", "seed")
        return identity.options_of(self, (name for name in vars(self) if name[0] != "_" and name not in state))

    def native(self, name: str, a: Any) -> Any:
        """An array of the model's backend as it is, any other as a NumPy array."""
        a = containers.as_array(name, a)
        return a if self.xp.owns(a) else containers.as_numpy(name, a)

    def receive(self, x: Any) -> Any:
        """Inputs in any container as an array or, for a model of several inputs, a tuple or dict of arrays."""
        x = containers.as_inputs("x", x, self.several(x))
        return tree.map(lambda a: self.native("x", a), x)

    def as_input(self, x: Any) -> Any:
        """Inputs as arrays of the backend, unchecked; integers stay integers for a user's module (an embedding)."""

        def convert(a: Any) -> Array:
            number = self.cells or "bool" in str(a.dtype)
            return self.xp.asarray(a, dtype=self.xp.dtype if number else None)

        return tree.map(convert, x)

    def inputs(self, x: Any) -> Array:
        """Inputs in any container, checked and converted to the backend; the parameters are created if there are none.
        ValueError or TypeError for inputs that do not fit, are not finite, or are not numbers."""
        x = self.receive(x)
        self.prepare(x)
        for a in tree.leaves(x):
            containers.check_finite("x", a)
        with self.xp.scope():
            return self.as_input(x)

    def alone(self, y: Array) -> Array:
        """Predictions without a loss: the outputs themselves or, for classification, probabilities."""
        if self.task_type != "classification" or self.ending in ("softmax", "sigmoid"):
            return y
        return self.xp.exp(self.xp.log_softmax(y))

    def predict(self, x: Any) -> np.ndarray:
        """Outputs for `x` (batch, …) as they are or, with ``task_type='classification'``, class probabilities.

        `Evaluator.predict` interprets outputs by its loss instead. The shape is (batch, time, outputs), or (batch,
        outputs) where the outputs have no time axis.
        """
        xp, x = self.xp, self.inputs(x)
        with xp.scope():
            y = self.forward(xp.forward_only(), self.params, self.arrange(x), self.buffers, training=False).outputs
            y = np.asarray(xp.to_numpy(self.alone(y)))
            return y[0] if self.shape(x) is None else y.swapaxes(0, 1)
