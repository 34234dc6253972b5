"""A three-factor learning rule of one's own, for every neuron, backend and stack of layers.

neko train --rule examples/own_rule.py:MyRule
neko verify --rule examples/own_rule.py:MyRule
"""

import math

from neko import tree
from neko.rules import ThreeFactor


class MyRule(ThreeFactor):
    """e-prop with traces that fade, and with the signs of the readout's weights for feedback."""

    def __init__(self, model, *, tau_trace=50.0, stepwise=False):
        super().__init__(model, stepwise=stepwise)
        self.tau_trace = tau_trace  # an option kept under its own name is part of repr, checkpoints and --resume

    def cut(self, cell):
        # Given a neuron model; returned is the one whose step is differentiated, with the same values. Here no credit
        # passes through the reset.
        return cell.without_reset()

    def paths(self, params, index, step):
        # Given the local derivatives of a layer, of the neuron's step by automatic differentiation: A_t, state[i][j] =
        # ∂h_t[i]/∂h_{t-1}[j], and b_t, current[i][c] = ∂h_t[i]/∂I_t[c], arrays (time, batch, n), None where zero.
        # Returned are those that the eligibility traces follow, ε_t = A_t ε_{t-1} + b_t ⊗ pre_t.
        fade = math.exp(-self.model.model.dt / self.tau_trace)
        return step._replace(state=tree.map(lambda a: fade * a, step.state))

    def learning_signals(self, params, feedback, batch, recorded):
        # Given the forward pass: recorded.error is ∂loss/∂outputs, recorded.traces the activity of every layer.
        # Returned is one learning signal L_t (time, batch, n) per layer; the gradient is Σ_t L_t ε_t.
        w_out, b = params["readout.w_out"], self.xp.sign(params["readout.w_out"])
        b = b * self.xp.sqrt(self.xp.mean(self.xp.square(w_out)))
        return super().learning_signals({**params, "readout.w_out": b}, feedback, batch, recorded)
