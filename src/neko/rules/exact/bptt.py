"""Backpropagation through time."""

from __future__ import annotations

from typing import Any

from neko import losses, tree
from neko.arguments import check_integer
from neko.backend import recording
from neko.models.base import Pass
from neko.models.network import Params
from neko.objective import Batch, Forward, mean_rates, spike_counts
from neko.rules.base import RULES, Gradient, GradientRule
from neko.typing import Array


@RULES.register("bptt", oracle="autodiff")
class BPTT(GradientRule):
    r"""Reverse-mode automatic differentiation of the unrolled network, with surrogate derivatives.

    .. math::
        λ_t = J_{t+1}^T λ_{t+1} + q_t, \qquad \frac{dE}{dW} = \sum_t λ_t \frac{∂h_t}{∂W}

    J_t = ∂h_t/∂h_{t-1} includes all paths, and q_t is the derivative of the loss by the state of step t alone.

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics. For a user's module this is ordinary backpropagation.
    truncation : int, optional
        Number of steps after which credit is cut: states are carried on, gradients are not. By default the whole
        sequence is differentiated.

    Notes
    -----
    **Locality.** None: credit returns through all weights and states, after the last step.

    **Cost.** O(n n_pre) time and O(n) memory per step and sequence for a layer of n neurons with n_pre inputs and
    recurrent weights: all steps are kept.

    **Limits.** Not online: nothing is learnt before the end of a sequence. In a stream no credit passes between chunks,
    so that chunks are a further truncation.

    References
    ----------
    Werbos (1990), doi:10.1109/5.58337; with surrogates Neftci et al. (2019), doi:10.1109/MSP.2019.2931595.
    """

    local = False
    streams = True
    truncates = True

    def __init__(self, model: Any, *, truncation: int | None = None) -> None:
        self.truncation = None if truncation is None else check_integer("truncation", truncation)
        super().__init__(model)
        if truncation is not None and not self.model.model.cells:
            raise ValueError(f"truncation={truncation!r}: {self.model.model!r} has no steps to cut; leave it out")
        if truncation is not None:
            self.check_chunks()
        self._unrecorded: frozenset[str] = frozenset()

    def differentiate(self, params: Params, feedback: Params, batch: Batch, carry: Any) -> Gradient:
        return self.truncated(params, feedback, batch, carry, self.truncation)

    def in_chunks(self, params: Params, feedback: Params, batch: Batch, carry: Any, length: int) -> Gradient:
        self.check_chunks()
        return self.truncated(params, feedback, batch, carry, min(length, self.truncation or length))

    def initial_carry(self, size: int) -> Any:
        return self.model.network.initial_state(self.xp, size)

    def forward(self, params: dict[str, Any], feedback: Params, x: Any, state: Any, valid: Array | None) -> Pass:
        """The forward pass of a sequence, or of a piece of it within which credit is not cut."""
        return self.model.model.masked(self.xp, params, x, state, training=self.training, valid=valid)

    def truncated(self, params: Params, feedback: Params, batch: Batch, carry: Any, length: int | None) -> Gradient:
        """Loss and gradients with the credit cut every `length` steps."""
        xp, model, objective = self.xp, self.model.model, self.model.objective

        def loss(params: Params) -> tuple[Array, Any]:
            last, y, emissions, penalty = self.unroll(params, feedback, batch, carry, length)
            value = objective.value(xp, y, batch) + penalty
            counts = spike_counts(xp, model.cells, emissions, batch.valid)
            total = value + objective.penalty(xp, counts, batch.valid, model.dt)
            rates = mean_rates(xp, counts, batch.valid)
            return total, (Forward(value, objective.pooled(xp, y, batch), rates), last)

        # In a network of cells some weights rightly get no gradient (a recurrent one in a single step), and only a
        # user's own loss can cut the path.
        watched = not model.cells or objective.loss.name not in losses.LOSSES
        recorded = self.watch if watched else None
        (_, (forward, last)), gradients = xp.value_and_grad(loss, has_aux=True, recorded=recorded)(params)
        return Gradient(forward, gradients, last)

    def watch(self, found: dict[str, bool]) -> None:
        """Error for a loss without a gradient, warning for parameters of a user's module without one."""
        where = f"the loss {self.model.objective.loss.name!r} and {self.model.model!r}"
        recording.check_any(found, where)
        if not self.model.model.cells:
            self._unrecorded = recording.warn_of_single(found, where, self._unrecorded)

    def unroll(self, params: Params, feedback: Params, batch: Batch, state: Any, length: int | None) -> Pass:
        """The forward pass, with states detached every `length` steps."""
        xp, x = self.xp, batch.x
        if length is None:
            return self.forward(params, feedback, x, state, batch.valid)
        chunks = []
        for begin in range(0, x.shape[0], length):
            state = tree.map(xp.stop_gradient, state) if begin else state
            chunk = x[begin : begin + length]
            state, y, emissions, _ = self.forward(params, feedback, chunk, state, None)
            chunks.append((y, *emissions))
        y, *all_emissions = (xp.concat(list(arrays), axis=0) for arrays in zip(*chunks, strict=True))
        return Pass(state, y, tuple(all_emissions), 0.0)
