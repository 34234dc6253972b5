"""What the feedback family shares: backpropagation in which credit passes back through other weights."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import numpy as np

from neko.arguments import check_integer
from neko.models.asymmetric import Asymmetric
from neko.models.base import Pass
from neko.models.network import Params
from neko.objective import Batch
from neko.rules.base import Gradient
from neko.rules.exact.bptt import BPTT
from neko.typing import Array


class BackwardWeights(BPTT):
    """BPTT whose credit passes back through matrices B of the rule in place of the weights W.

    Every B has the shape of its W: ``δ_pre = δ_post B^T`` where backpropagation has ``δ_post W^T``. The forward pass,
    the gradient of each weight from the credit of its own output, surrogates, truncation, streams, masks and penalties
    are those of BPTT. In a network of cells W are the recurrent weights, the input weights of all layers but the first,
    and the output weights; in a module of your own the weights of its dense and convolutional layers, while all that is
    between them (activations, normalisation, pooling) is differentiated as it is. A frozen layer passes credit as it
    is, too, as does a Keras layer that reads the kernel of another one; other uses of a weight than products, and
    checkpoints, are refused on PyTorch.

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics.
    truncation : int, optional
        As in `neko.rules.BPTT`.

    Raises
    ------
    TypeError
        For a module with other matrices that credit passes through, such as those of recurrent and attention layers.
    """

    def __init__(self, model: Any, *, truncation: int | None = None) -> None:
        super().__init__(model, truncation=truncation)
        self.model.model.asymmetric()

    @abstractmethod
    def backward(self, params: Params, feedback: Params) -> Params:
        """B of every weight that has one, by the weight's name."""

    def forward(self, params: dict[str, Any], feedback: Params, x: Any, state: Any, valid: Array | None) -> Pass:
        found = self.backward(params, feedback)
        pairs = {name: Asymmetric(params[name], self.xp.stop_gradient(b)) for name, b in found.items()}
        return super().forward({**params, **pairs}, feedback, x, state, valid)

    def feedback_gradients(self, params: Params, feedback: Params, gradients: Params, batch: Batch) -> Params:
        """Gradients of the feedback weights that learn, from those of the parameters."""
        return {}

    def truncated(self, params: Params, feedback: Params, batch: Batch, carry: Any, length: int | None) -> Gradient:
        found = super().truncated(params, feedback, batch, carry, length)
        learnt = self.feedback_gradients(params, feedback, found.gradients, batch)
        return found._replace(gradients={**found.gradients, **learnt})


class RandomBackwardWeights(BackwardWeights):
    """Backward weights that begin as random matrices, with the variance 1 / fan-in of initial forward weights.

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics.
    truncation : int, optional
        As in `neko.rules.BPTT`.
    feedback_seed : int
        Seed of the random matrices, which are equal on every backend.
    """

    def __init__(self, model: Any, *, truncation: int | None = None, feedback_seed: int = 0) -> None:
        super().__init__(model, truncation=truncation)
        self.feedback_seed = check_integer("feedback_seed", feedback_seed, least=0)

    def initial_feedback(self) -> Params:
        params, rng = self.model.params, np.random.default_rng(self.feedback_seed)
        found = {}
        for name, axis in self.model.model.asymmetric().items():
            fan_in = math.prod(params[name].shape) // params[name].shape[axis]
            shape = self.feedback_shape(name, tuple(params[name].shape), fan_in)
            if shape is not None:
                found[named(name)] = self.xp.asarray(rng.standard_normal(shape) / math.sqrt(fan_in))
        return found

    def feedback_shape(self, name: str, shape: tuple[int, ...], fan_in: int) -> tuple[int, ...] | None:
        """The shape of the feedback weight of a weight of this shape; None where none is kept."""
        return shape

    def backward(self, params: Params, feedback: Params) -> Params:
        return {name: feedback[named(name)] for name in params if named(name) in feedback}


def named(weight: str) -> str:
    """The name of the feedback weight of a weight."""
    return f"feedback.{weight}"
