"""e-prop: eligibility propagation."""

from __future__ import annotations

from typing import Any

from neko.arguments import check_choice, check_integer, is_real, plain
from neko.cells.base import Cell
from neko.models.network import Params
from neko.objective import Batch
from neko.rules import signals
from neko.rules.base import RULES
from neko.rules.forward import Recorded
from neko.rules.online.three_factor import ThreeFactor, readout_gradients
from neko.rules.signals import LearningSignal
from neko.typing import Array

MODES = ("symmetric", "random", "adaptive")


@RULES.register("eprop", oracle="cut autodiff", modes=MODES)
class Eprop(ThreeFactor):
    r"""e-prop with symmetric, random or adaptive feedback.

    Every weight *ij* has an eligibility trace that depends on its own two neurons only, and every neuron receives one
    learning signal from the readout error:

    .. math::
        ε_t = A_t ε_{t-1} + b_t ⊗ pre_t, \quad e_t = ε_t^z, \quad ē_t = κ ē_{t-1} + e_t, \quad
        \frac{dE}{dW} = \sum_t L_t ē_t, \quad L_t = B\, err_t

    A and b are the derivatives of the cell's step, found by automatic differentiation; credit through the
    recurrent weights and through the reset is cut. Symmetric feedback has ``B = W_out^T`` and equals automatic
    differentiation of the network with exactly these cuts. In a stack, random and adaptive feedback reach each layer by
    its own B from the readout error. Symmetric feedback reaches a lower layer by the instantaneous path of
    each step through the layers above, ``L^l_t = (L^{l+1}_t ∂z_t/∂I_t) W_in^T`` with ``L_t = c W_out^T err_t`` at the
    top; no credit passes through the past of the layers above, nor of the readout.

    A whole sequence is computed at once, by an element-wise backward scan and matrix products. In chunks (see
    `neko.LearningRule`) the gradient is the same: from the last chunk to the first, each is run a second time from a
    kept state of the network, with one of them in memory. A stream, an update after every chunk and `stepwise` run in
    the order of time instead, and carry ε and ē of every synapse, arrays (batch, n_pre, n).

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics. Its regularizer enters as ``c (f_av - f_0) Σ_t e_t / T``, local to each layer.
    mode : {'symmetric', 'random', 'adaptive'}
        The feedback B. Adaptive feedback gets the update of ``W_out^T`` (of a lower layer: the update
        that a readout at that layer would get).
    stepwise : bool
        Compute the traces forward, step by step, by the recursion above.
    feedback_decay : float
        Fraction λ by which ``W_out`` and B decay at each update in adaptive mode, so that they align: with SGD ``B -
        W_out^T`` shrinks as ``(1 - λ)^t``.
    feedback_seed : int
        Seed of the random feedback.

    Raises
    ------
    ValueError
        For an unknown mode, or for chunks with ``target='mean'``, whose error is not known before the last step.

    References
    ----------
    Bellec et al. (2020), doi:10.1038/s41467-020-17236-y, eqs. 1-5, 22-28.

    Examples
    --------
    >>> import numpy as np
    >>> import neko
    >>> model = neko.Evaluator(neko.ALIF(8, 2, "torch"), loss="categorical_crossentropy")
    >>> x, y = np.ones((3, 20, 4)), np.eye(2)[[0, 1, 1]]
    >>> sorted(neko.Eprop(model, mode="random").step(x, y))
    ['loss']
    """

    def __init__(
        self,
        model: Any,
        *,
        mode: str = "symmetric",
        stepwise: bool = False,
        feedback_decay: float = 0.0,
        feedback_seed: int = 0,
    ) -> None:
        check_choice("mode", mode, MODES)
        if not (is_real(feedback_decay) and 0.0 <= feedback_decay < 1.0) or (feedback_decay and mode != "adaptive"):
            raise ValueError(f"feedback_decay={feedback_decay!r}: expected 0 <= λ < 1, and mode='adaptive'")
        super().__init__(model, stepwise=stepwise)
        self.mode = mode
        self.feedback_decay = plain(feedback_decay)
        self.feedback_seed = check_integer("feedback_seed", feedback_seed, least=0)

    @property
    def name(self) -> str:
        return f"eprop:{self.mode}"

    def initial_feedback(self) -> Params:
        if self.mode == "symmetric":
            return {}
        return signals.random_feedback(self.xp, self.model, self.feedback_seed)

    def learnt_feedback(self) -> tuple[str, ...]:
        return signals.feedback_names(self.model) if self.mode == "adaptive" else ()

    def decay(self) -> dict[str, float]:
        if not self.feedback_decay:
            return {}
        readouts = (f"{direction.prefix}readout.w_out" for direction in self.model.model.directions)
        return dict.fromkeys((*readouts, *self.learnt_feedback()), self.feedback_decay)

    def cut(self, cell: Cell) -> Cell:
        return cell.without_reset()

    def kappas(self) -> list[float]:
        kappa, layers = self.model.network.readout.kappa, len(self.model.network.cells)
        return [0.0] * (layers - 1) + [kappa] if self.mode == "symmetric" else [kappa] * layers

    def learning_signals(
        self, params: Params, feedback: Params, batch: Batch, recorded: Recorded
    ) -> list[LearningSignal]:
        given = (batch, recorded)
        if self.mode == "symmetric":
            return signals.symmetric(self.xp, self.model.network, self.model.objective, params, *given)
        return signals.broadcast(self.xp, self.model.network, self.model.objective, feedback, *given)

    def readout_gradients(self, recorded: Recorded, filtered: tuple[Array, ...] | None) -> Params:
        b_out, at_layers = readout_gradients(self.xp, self.model.network.readout, recorded, filtered)
        gradients = {"readout.w_out": at_layers[-1], "readout.b_out": b_out}
        if self.mode == "adaptive":
            gradients |= {f"feedback.{i}": self.xp.matrix_transpose(g) for i, g in enumerate(at_layers)}
        return gradients
