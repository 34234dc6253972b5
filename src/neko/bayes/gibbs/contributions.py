"""The contributions of a layer's neurons to the outputs, which add up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from neko.backend.protocol import Backend
from neko.evaluator import Evaluator
from neko.models.layer import layer_of, scanned
from neko.models.network import Params
from neko.models.readout import leaky_filter
from neko.objective import Batch
from neko.typing import Array


def refused(model: Evaluator, batches: list[Batch]) -> str | None:
    """Why the outputs of a model are no sum over the neurons of its last layer; None where they are."""
    if not model.model.cells:
        return "it is a module of its own, whose structure is not known"
    if model.model.bidirectional:
        return "its outputs are those of two directions of time"
    if model.model.cells[-1].recurrent_currents:
        return "the neurons of its last layer are recurrently connected"
    if model.network.converters is not None:
        return "converters round the sums over its neurons"
    if any(batch.pooling is None for batch in batches):
        return "its loss is evaluated at every step"
    if model.objective.target == "every" and any(batch.valid.shape[0] > 1 for batch in batches):
        return "its loss is evaluated at every step; with target='last' or 'mean' it is that of one output a sequence"
    return None


class Contributions:
    r"""The outputs of a network as a sum over the neurons of its last layer, for a whole data set.

    .. math::
        y = \sum_j w_j ⊗ s_j + b, \qquad s_j = \sum_t a_t\, c \sum_{u \le t} κ^{t-u} z_{j,u}

    with the emissions z_j of neuron j, the filter of the readout and the weights a_t of the steps in the pooled output
    of a sequence-level target. Without recurrent connections s_j depends on the input weights of neuron j only.

    Outputs have the examples last, where sums over them are fast; features keep the order of the layer, since turning
    round an array of this size costs more than all products of a sweep.

    Parameters
    ----------
    model : Evaluator
        A model and an objective for which `refused` has no reason.
    """

    def __init__(self, model: Evaluator) -> None:
        self.model = model
        self.xp: Backend = model.xp
        self.layer = f"layers.{len(model.model.cells) - 1}."

    def features(self, params: Params, data: Any) -> Array:
        """s (examples, neurons) of stacked batches, and of the odd one after them, as in `FullData.stacked`."""
        return self.gathered(lambda arrays: self.features_of(params, arrays), data)

    def features_of(self, params: Params, arrays: Any) -> Array:
        """s (examples, neurons) of a batch (x, y, mask)."""
        batch, network = self.model.batch(*arrays), self.model.network
        xp, readout = self.xp.forward_only(), network.readout
        start = network.initial_state(xp, batch.valid.shape[1])
        # of a single step, a plain one is faster than generated kernels, whose arrays it would have to fill
        _, emissions = network.emit(xp, params, batch.x, start, scanned if batch.valid.shape[0] == 1 else layer_of)
        drive = readout.scaled(emissions[-1])
        _, filtered = leaky_filter(xp, readout.kappa, drive, xp.zeros_like(drive[0]))
        return self.model.objective.pooled(xp, filtered, batch)

    def targets(self, data: Any) -> Array:
        """The targets of all examples, (examples, …)."""
        return self.gathered(lambda arrays: self.model.batch(*arrays).target[0], data)

    def gathered(self, of: Callable[[Any], Array], data: Any) -> Array:
        """What `of` returns for each batch, joined along its examples."""
        xp, (stacked, odd) = self.xp, data
        _, found = xp.scan(lambda carry, arrays: (carry, of(arrays)), (), stacked)
        parts = [*xp.unstack(found), *([] if odd is None else [of(odd)])]
        return parts[0] if len(parts) == 1 else xp.concat(parts, axis=0)

    def outputs(self, params: Params, features: Array) -> Array:
        """y (outputs, examples)."""
        return self.xp.matrix_transpose(features @ params["readout.w_out"] + params["readout.b_out"])

    def loglikelihood(self, outputs: Array, targets: Array) -> Array:
        """log L of all examples, a scalar."""
        xp = self.xp
        return -xp.sum(self.model.objective.loss(xp, xp.matrix_transpose(outputs), targets))
