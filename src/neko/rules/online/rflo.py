"""RFLO: random feedback local online learning."""

from __future__ import annotations

from typing import Any

from neko.cells.base import Cell
from neko.cells.jacobian import StepJacobian
from neko.models.network import Params
from neko.rules.base import RULES
from neko.rules.online.three_factor import ThreeFactor

MODES = ("random", "symmetric", "adaptive")


@RULES.register("rflo", oracle="leak only", modes=MODES)
class RFLO(ThreeFactor):
    r"""Random feedback local online learning: traces that decay with the neuron's leak, and random feedback.

    .. math::
        ε_t = (1-α)\, ε_{t-1} + b_t ⊗ pre_t, \qquad \frac{dE}{dW} = \sum_t L_t ē_t, \quad L_t = B\, err_t

    In place of the rate network's ``1 - α``, each state variable keeps its own decay ∂h_t[i]/∂h_{t-1}[i] as the cell's
    step has it; what one variable does to another by the next step (a spike to the adaptation, the reset) is left out.
    The emission is a function of the others within the step. The options are those of `neko.rules.ThreeFactor`, with
    random feedback by default.

    Notes
    -----
    **Locality.** A synapse uses the activity of its two neurons and one learning signal per neuron.

    **Cost.** O(n n_pre) time and O(n) memory per step and sequence for a whole sequence, computed backward; in a stream
    O(n n_pre) memory, independent of the number of steps.

    **Limits.** No credit passes from neuron to neuron through time. For units without a leak (`neko.cells.RNN`) the
    trace is the derivative of the present step. In a gated unit the decay is that of the open gate.

    References
    ----------
    Murray (2019), doi:10.7554/eLife.43299, eqs. 3-6.
    """

    def __init__(self, model: Any, *, mode: str = "random", **options: Any) -> None:
        super().__init__(model, mode=mode, **options)

    def cut(self, cell: Cell) -> Cell:
        return cell.without_reset()

    def paths(self, params: Params, index: int, step: StepJacobian) -> StepJacobian:
        return own_decay(step)


def own_decay(step: StepJacobian) -> StepJacobian:
    """The decay of each state variable by itself, and the emission as a function of all."""
    last = len(step.state) - 1
    rows = [tuple(a if j == i else None for j, a in enumerate(row)) for i, row in enumerate(step.state[:-1])]
    return StepJacobian((*rows, step.state[last]), step.current)
