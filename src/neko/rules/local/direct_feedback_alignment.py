"""Direct feedback alignment: the output's error reaches every layer through a random matrix of its own."""

from __future__ import annotations

import functools
import math
import operator
from typing import Any

from neko import tree
from neko.backend.protocol import Backend
from neko.models.asymmetric import Asymmetric, with_credit
from neko.models.base import Pass
from neko.models.directions import Direction
from neko.models.network import Params
from neko.models.readout import leaky_filter
from neko.rules.backward import RandomBackwardWeights, named
from neko.rules.base import RULES
from neko.typing import Array


@RULES.register("direct_feedback_alignment", oracle="direct feedback")
class DirectFeedbackAlignment(RandomBackwardWeights):
    r"""Every layer receives the error of the outputs through its own fixed random matrix, and none from the next layer.

    .. math::
        δ_l = (e B_l^T) ⊙ f'_l, \qquad \frac{dE}{dW_l} = a_{l-1}^T δ_l

    where e is the error ∂E/∂y and B_l (n, outputs) belongs to the activity of layer l. In a network of cells the error
    passes the filter of the readout as in backpropagation, so that ``B = W_out`` gives the credit of the last layer
    exactly; the weights between layers and to the readout carry nothing back. Within a layer δ goes back through time
    by a random recurrent matrix, ``δ_{t-1} += δ_t B_{rec}^T``, as in `FeedbackAlignment`.

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics; a network of cells, or a module of your own of dense and convolutional layers.
    truncation : int, optional
        Number of steps after which credit is cut, as in `neko.rules.BPTT`.
    feedback_seed : int
        Seed of B, whose entries are normal with variance 1 / fan-in: 1 / n for B_l.

    Raises
    ------
    TypeError
        For a module with other matrices that credit passes through, such as those of recurrent and attention layers.
    ValueError
        For a module with a time axis of other length in an activity than in its outputs.

    Notes
    -----
    **Locality.** No weight is read backward, and no layer waits for the one above it: one broadcast of the error. In
    time it is not local: δ runs backward through each layer's own sequence.

    **Cost.** O(n^2) time and O(n) memory per step and sequence for a layer of n neurons, as BPTT; generated kernels are
    not used for layers with B.

    **Limits.** The source is on feed-forward networks; the recurrent path is ours. The activity that meets a
    convolution has a matrix from all its positions and channels, which is drawn from the seed and not kept among the
    feedback weights. Where a module of your own has a time axis that its outputs do not have, every step of an activity
    receives the same error; where both have one, they must agree. A frozen layer keeps its W.

    References
    ----------
    Nøkland (2016), arXiv 1609.01596.

    Examples
    --------
    >>> import numpy as np
    >>> import neko
    >>> from neko.cells import LIF
    >>> model = neko.Evaluator(neko.Model([LIF(8), LIF(5)], 2, "torch"), loss="categorical_crossentropy")
    >>> rule = neko.DirectFeedbackAlignment(model)
    >>> _ = rule.step(np.ones((3, 20, 4)), np.eye(2)[[0, 1, 1]])
    >>> rule.feedback["feedback.layers.1.w_in"].shape  # from the error to the layer below these weights
    torch.Size([8, 2])
    """

    def feedback_shape(self, name: str, shape: tuple[int, ...], fan_in: int) -> tuple[int, ...] | None:
        if within(name):
            return shape
        return (fan_in, self.model.outputs) if len(shape) == 2 else None

    def backward(self, params: Params, feedback: Params) -> Params:
        return {name: b for name, b in super().backward(params, feedback).items() if within(name)}

    def forward(self, params: dict[str, Any], feedback: Params, x: Any, state: Any, valid: Array | None) -> Pass:
        names = [name for name in self.model.model.asymmetric() if not within(name)]
        met: dict[str, list[Array]] = {name: [] for name in names}
        blocked = {name: Asymmetric(params[name], None, met[name].append) for name in names}
        passed = super().forward({**params, **blocked}, feedback, x, state, valid)
        y, inputs = passed.outputs, tree.leaves(x)
        drives = {
            name: [self.drive(feedback, i, name, a) for a in met[name] if not any(a is given for given in inputs)]
            for i, name in enumerate(names)
        }
        if self.model.model.cells:
            credits = [self.filtered(direction, drives, valid) for direction in self.model.model.directions]
        else:
            credits = [arranged(self.xp, drive, y) for found in drives.values() for drive in found]
        return passed._replace(outputs=functools.reduce(functools.partial(with_credit, self.xp), credits, y))

    def drive(self, feedback: Params, index: int, name: str, a: Array) -> Array:
        """The product of an activity with its matrix to the outputs; that of a convolution, whose size no weight tells,
        is drawn at each pass, always the same."""
        xp = self.xp
        a = a if a.dtype == xp.dtype else xp.astype(a, xp.dtype)
        if named(name) in feedback:
            return a @ feedback[named(name)]
        rows = xp.reshape(a, (a.shape[0], -1))
        key = xp.random.fold(xp.random.key(self.feedback_seed), index)
        return rows @ (xp.random.normal(key, (rows.shape[1], self.model.outputs)) / math.sqrt(rows.shape[1]))

    def filtered(self, direction: Direction, drives: dict[str, Any], valid: Array | None) -> Array:
        """The sum of all drives of the readout, filtered along a direction of the network."""
        xp, readout, turn = self.xp, self.model.network.readout, direction.turn(self.xp, valid)
        total = functools.reduce(operator.add, [drive for found in direction.own(drives).values() for drive in found])
        start = xp.zeros_like(total[0])
        return turn(leaky_filter(xp, readout.kappa, readout.scaled(total), start)[1])


def within(name: str) -> bool:
    """Whether a weight leads from a layer to itself."""
    return name.endswith(".w_rec")


def arranged(xp: Backend, drive: Array, y: Array) -> Array:
    """A drive (batch, outputs) or (batch, time, outputs) of a module's outputs `y`, whose time leads."""
    timed = xp.expand_dims(drive, axis=0) if len(drive.shape) == 2 else xp.permute_dims(drive, (1, 0, 2))
    if y.shape[0] == 1:
        timed = xp.sum(timed, axis=0, keepdims=True)
    if timed.shape != y.shape:
        raise ValueError(f"an activity with {timed.shape[0]} steps, and {y.shape[0]} of the outputs: expected as many")
    return timed
