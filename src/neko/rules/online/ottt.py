"""OTTT: online training through time."""

from __future__ import annotations

from typing import Any

from neko.cells.base import Cell
from neko.cells.jacobian import StepJacobian
from neko.models.network import Params
from neko.models.readout import leaky_filter
from neko.rules.base import RULES
from neko.rules.eligibility import LayerGradient
from neko.rules.jacobian import Jacobians
from neko.rules.online.three_factor import MODES, ThreeFactor
from neko.rules.signals import LearningSignal
from neko.typing import Array


@RULES.register("ottt", oracle="presynaptic trace", modes=MODES)
class OTTT(ThreeFactor):
    r"""Online training through time: a trace of each presynaptic neuron times the gradient of the present step.

    .. math::
        â_t = λ â_{t-1} + pre_t, \qquad \frac{dE}{dW} = \sum_t (L_t \, ∂z_t/∂I_t) ⊗ â_t, \quad L_t = c\, B\, err_t

    λ is the leak of the membrane (`Cell.response_decay`), and L_t the error of step t alone, without the readout's
    filter. It is exact for one feed-forward layer without reset whose readout has no memory. The options are those of
    `neko.rules.ThreeFactor`.

    Raises
    ------
    ValueError
        For a cell whose membrane has no single leak: one trace per presynaptic neuron then does not serve all neurons.
    TypeError
        For constants that learn, which have no presynaptic neuron.

    Notes
    -----
    **Locality.** A synapse uses a trace of its presynaptic neuron, the present activity of its postsynaptic one, and
    one learning signal per neuron.

    **Cost.** O(n n_pre) time and O(n + n_pre) memory per step and sequence, in a stream too.

    **Limits.** Defined for neurons with one leak. No credit through the reset, an adaptation, recurrent weights or the
    past of other layers.

    References
    ----------
    Xiao et al. (2022), "Online training through time for spiking neural networks", arXiv 2210.04195, eqs. 7-9.
    """

    filtered = False
    learns_constants = False

    def __init__(self, model: Any, **options: Any) -> None:
        super().__init__(model, **options)
        for cell in self.model.network.cells:
            if cell.response_decay is None:
                raise ValueError(
                    f"{cell!r} has no leak that is one number for all neurons and steps, on which the trace of a "
                    "presynaptic neuron depends: expected LIF or ALIF with one tau_m, RNN, or a `response_decay`"
                )

    def paths(self, params: Params, index: int, step: StepJacobian) -> StepJacobian:
        slope = step.current[-1][0]
        leak = self.model.network.cells[index].response_decay
        none = (None,) * (len(step.state) - 1)
        if not leak or slope is None:
            return StepJacobian(((None, *none),) * len(step.state), step.current)
        one = self.xp.ones_like(slope)
        inner = (((None, *none), (None,) * len(step.current[0])),) * (len(none) - 1)
        rows = (((leak * one, *none), (one,)), *inner, ((leak * slope, *none), (slope,)))
        state, current = zip(*rows, strict=True)
        return StepJacobian(state, current)

    def initial_traces(self, jacobians: Jacobians, pre: tuple[Array, ...], cell: Cell, kappa: float) -> Any:
        return tuple(self.xp.zeros_like(p[0]) for p in pre)

    def layer_gradient(
        self, index: int, jacobians: Jacobians, pre: tuple[Array, ...], signal: LearningSignal, before: Any, keep: bool
    ) -> LayerGradient:
        xp, cell = self.xp, self.model.network.cells[index]
        leak = cell.response_decay or 0.0
        weights, rates, later = [], [], []
        start = self.initial_traces(jacobians, pre, cell, 0.0) if before is None else before
        for p, slope, old in zip(pre, jacobians.slopes(), start, strict=True):
            last, trace = leaky_filter(xp, leak, p, old)
            weights.append(xp.outer_sum(trace, signal.signal * slope))
            if signal.valid is not None:
                valid = xp.expand_dims(signal.valid, axis=-1) * slope
                each = xp.permute_dims(trace, (1, 2, 0)) @ xp.permute_dims(valid, (1, 0, 2))
                rates.append(each if signal.per_sequence else xp.sum(each, axis=0))
            later.append(last)
        return LayerGradient(tuple(weights), tuple(rates), tuple(later))
