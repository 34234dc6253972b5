"""Backpropagation through time."""

from __future__ import annotations

from typing import Any

from neko import tree
from neko.network import NetworkState, Params
from neko.objective import Batch, Forward, spike_rates
from neko.rules.base import Gradient, Rule
from neko.typing import Array


class BPTT(Rule):
    """Reverse-mode automatic differentiation of the unrolled network, with surrogate derivatives.

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics.
    truncation : int, optional
        Cut the credit every so many steps: states cross the border, gradients do not. By default
        the whole sequence is differentiated.
    **options
        See `Rule`. In a stream, no credit crosses the border between calls.

    References
    ----------
    Werbos (1990), doi:10.1109/5.58337; with surrogates Neftci et al. (2019), doi:10.1109/MSP.2019.2931595.
    """

    def __init__(self, model: Any, *, truncation: int | None = None, **options: Any) -> None:
        if truncation is not None and (not isinstance(truncation, int) or truncation < 1):
            raise ValueError(f"truncation={truncation!r}: expected a positive number of steps or None")
        super().__init__(model, **options)
        self.truncation = truncation

    def differentiate(self, params: Params, feedback: Params, batch: Batch, carry: Any) -> Gradient:
        xp, network, objective = self.xp, self.model.network, self.model.objective
        state = network.initial_state(xp, batch.x.shape[1]) if carry is None else carry

        def loss(params: Params) -> tuple[Array, Any]:
            last, y, emissions = self.unroll(params, batch.x, state)
            value = objective.value(xp, y, batch)
            rates = spike_rates(xp, network.cells, emissions, batch.valid)
            total = value + objective.penalty(xp, rates, network.readout.dt)
            return total, (Forward(value, objective.prediction(xp, y, batch), rates), last)

        (_, (forward, last)), gradients = xp.value_and_grad(loss, has_aux=True)(params)
        return Gradient(forward, gradients, last)

    def unroll(self, params: Params, x: Array, state: NetworkState) -> tuple[NetworkState, Array, Any]:
        """The forward pass, with states detached at the borders of the truncation."""
        xp, network = self.xp, self.model.network
        time = x.shape[0]
        length = time if self.truncation is None else self.truncation
        pieces = []
        for begin in range(0, time, length):
            state = detach(xp, state) if begin else state
            state, y, emissions = network.unroll(xp, params, x[begin : begin + length], state)
            pieces.append((y, *emissions))
        if len(pieces) == 1:
            return state, y, emissions
        y, *all_emissions = (xp.concat(list(parts), axis=0) for parts in zip(*pieces, strict=True))
        return state, y, tuple(all_emissions)


def detach(xp: Any, state: NetworkState) -> NetworkState:
    """The same state, without the history that led to it."""
    return tree.map(xp.stop_gradient, state)
