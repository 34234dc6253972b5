"""SLTT: spatial learning through time."""

from __future__ import annotations

from neko.cells.jacobian import StepJacobian
from neko.models.network import Params
from neko.rules.base import RULES
from neko.rules.online.three_factor import MODES, ThreeFactor


@RULES.register("sltt", oracle="present step", modes=MODES)
class SLTT(ThreeFactor):
    r"""Spatial learning through time: the derivative of the present step alone.

    .. math::
        \frac{dE}{dW} = \sum_t (L_t \, ∂z_t/∂I_t) ⊗ pre_t, \qquad L_t = c\, B\, err_t

    No credit passes through time, neither through the states of the neurons nor through the readout's filter, so that
    there is no trace at all; also called immediate derivatives. The options are those of `neko.rules.ThreeFactor`.

    Notes
    -----
    **Locality.** A synapse uses the present activity of its two neurons and one learning signal per neuron.

    **Cost.** O(n n_pre) time and O(n) memory per step and sequence, in a stream too.

    **Limits.** No credit for anything before the present step.

    References
    ----------
    Meng et al. (2023), "Towards memory- and time-efficient backpropagation for training spiking neural networks",
    arXiv 2302.14311; as immediate derivatives arXiv 2603.28750.
    """

    filtered = False

    def paths(self, params: Params, index: int, step: StepJacobian) -> StepJacobian:
        return StepJacobian(tuple((None,) * len(row) for row in step.state), step.current)
