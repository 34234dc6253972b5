"""SnAp: the sparse n-step approximation of real-time recurrent learning."""

from __future__ import annotations

from neko.cells.jacobian import StepJacobian
from neko.models.layer import split
from neko.models.network import Params
from neko.rules.base import RULES
from neko.rules.online.three_factor import MODES, ThreeFactor


@RULES.register("snap", oracle="own neuron", modes=MODES)
class SnAp(ThreeFactor):
    r"""Sparse n-step approximation of RTRL, n = 1: the influence of a weight on its own neuron.

    .. math::
        M_t = mask ⊙ (J_t M_{t-1} + ∂h_t/∂W), \qquad \frac{dE}{dW} = \sum_t q_t M_t

    As `neko.rules.DRTRL`, with the connection of a neuron to itself through ``w_rec``, if the cell has autapses. The
    options are those of `neko.rules.ThreeFactor`.

    Notes
    -----
    **Locality.** A synapse uses the activity of its two neurons and one learning signal per neuron.

    **Cost.** O(n n_pre) time and O(n) memory per step and sequence for a whole sequence, computed backward; in a stream
    O(n n_pre) memory, independent of the number of steps.

    **Limits.** No credit passes to another neuron through time. In a stack, layers above pass credit within a step.

    References
    ----------
    Menick et al. (2021), "Practical real time recurrent learning with a sparse approximation", arXiv 2006.07232.
    """

    def paths(self, params: Params, index: int, step: StepJacobian) -> StepJacobian:
        cell = self.model.network.cells[index]
        if not cell.autapses or not cell.recurrent_currents:
            return step
        blocks = split(params[f"layers.{index}.w_rec"], len(cell.recurrent_currents))
        loops = [self.xp.sum(block * self.xp.eye(cell.units), axis=0) for block in blocks]
        rows = []
        for row, b in zip(step.state, step.current, strict=True):
            terms = [b[c] * loop for c, loop in zip(cell.recurrent_currents, loops, strict=True) if b[c] is not None]
            terms += [row[-1]] if row[-1] is not None else []
            rows.append((*row[:-1], sum(terms[1:], terms[0]) if terms else None))
        return StepJacobian(tuple(rows), step.current)
