"""Inference of a network frame by frame."""

from __future__ import annotations

from typing import Any

import numpy as np

from neko.evaluator import Evaluator
from neko.models.base import Trainable
from neko.models.network import NetworkState
from neko.typing import Array


class Stepwise:
    """Inference step by step: each frame continues from the state after the last one.

    The outputs are those of ``model.predict`` at every step of the whole sequence: for an evaluator predictions by the
    loss, such as class probabilities under a cross-entropy. The model's weights are read at each call, so that it may
    be trained in between.

    Parameters
    ----------
    model : Model or Evaluator
        A network of cells.

    Attributes
    ----------
    state : NetworkState or None
        Of the layers (``state.layers[0].v``, ``.z``, … of shape (batch, n)) and of the readout, as arrays of the
        backend; None at rest.

    Raises
    ------
    TypeError
        For a user's module, whose state is not accessible, a bidirectional network, and an evaluator with an encoder.

    Examples
    --------
    >>> import neko, numpy as np
    >>> from neko.inference import Stepwise
    >>> model, x = neko.LIF(8, 2, "torch"), np.ones((1, 5, 3))
    >>> live, whole = Stepwise(model), model.predict(x)
    >>> bool(np.allclose([live.step(x[:, t]) for t in range(5)], whole.swapaxes(0, 1)))
    True
    """

    def __init__(self, model: Any) -> None:
        found = model.model if isinstance(model, Evaluator) else model
        if not isinstance(found, Trainable) or not found.cells:
            raise TypeError(f"model={model!r}: expected a network of cells, such as ALIF(128, 10, 'torch')")
        if found.bidirectional:
            raise TypeError(f"model={model!r} reads a sequence from its end too: expected a network of one direction")
        if isinstance(model, Evaluator) and model.encoder is not None:
            raise TypeError(f"model={model!r} encodes whole signals: expected one without an encoder, and spikes")
        self.model: Trainable = found
        self._evaluator = model if isinstance(model, Evaluator) else None
        self.state: NetworkState | None = None
        self._step = self.model.xp.jit(self._advance)

    def reset(self) -> None:
        """Reset the state to rest: the next frame begins a sequence."""
        self.state = None

    def step(self, x: Any) -> np.ndarray:
        """Outputs (batch, outputs) after one more frame `x` (batch, n_in), as those of `predict`.

        Raises
        ------
        ValueError
            For a frame of another shape than (batch, n_in), or of another batch than the frames before it.
        """
        model, xp = self.model, self.model.xp
        x = model.native("x", x)
        shape = tuple(np.shape(x))
        if len(shape) != 2:
            raise ValueError(f"x has shape {shape!r}: expected one frame, (batch, n_in)")
        if self.state is not None and self.state.readout.shape[0] != shape[0]:
            size = self.state.readout.shape[0]
            raise ValueError(f"x has {shape[0]} rows: expected {size}, as in the frames before, or reset() first")
        x = model.inputs(x[:, None])
        with xp.scope():
            y, self.state = self._step(model.params, model.arrange(x), self.state)
            return np.asarray(xp.to_numpy(y))

    def _advance(self, params: dict[str, Array], x: Array, state: NetworkState | None) -> tuple[Array, NetworkState]:
        xp = self.model.xp
        found = self.model.forward(xp.forward_only(), params, x, state, training=False)
        y = found.outputs[0]
        if self._evaluator is not None:
            return self._evaluator.objective.loss.prediction(xp, y), found.carry
        return self.model.alone(y), found.carry
