"""DECOLLE: deep continuous local learning."""

from __future__ import annotations

from typing import Any

from neko.cells.base import Cell
from neko.models.network import Params
from neko.objective import Batch
from neko.rules import signals
from neko.rules.base import RULES
from neko.rules.forward import Recorded
from neko.rules.online.three_factor import ThreeFactor
from neko.rules.signals import LearningSignal


@RULES.register("decolle", oracle="local loss")
class DECOLLE(ThreeFactor):
    r"""Deep continuous local learning: each layer has a loss of its own, by a fixed random readout.

    .. math::
        y^l_t = G^l z^l_t, \qquad \frac{dE^l}{dW} = \sum_t (G^{lT} err^l_t)\, e_t

    The loss of a layer is the model's, of the layer's own readout y without memory, against the same target. Traces are
    those of e-prop. The network's readout, by which it is evaluated, learns from its own error.

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics.
    stepwise : bool
        Compute the traces forward, step by step, with the same result.
    feedback_seed : int
        Seed of the readouts G.

    Notes
    -----
    **Locality.** A synapse uses the activity of its two neurons and one learning signal per neuron, which depends on
    its own layer only.

    **Cost.** O(n n_pre) time and O(n) memory per step and sequence for a whole sequence, computed backward; in a stream
    O(n n_pre) memory, independent of the number of steps.

    **Limits.** No credit passes between layers, nor from neuron to neuron through time. Hidden weights follow the
    losses of their layers, not the model's, so that samplers refuse it.

    References
    ----------
    Kaiser, Mostafa & Neftci (2020), doi:10.3389/fnins.2020.00424, eqs. 5-10.
    """

    has_objective = False
    filtered = False

    def __init__(self, model: Any, *, stepwise: bool = False, feedback_seed: int = 0) -> None:
        super().__init__(model, mode="random", stepwise=stepwise, feedback_seed=feedback_seed)

    @property
    def name(self) -> str:
        return "decolle"

    def cut(self, cell: Cell) -> Cell:
        return cell.without_reset()

    def learning_signals(
        self, params: Params, feedback: Params, batch: Batch, recorded: Recorded
    ) -> list[LearningSignal]:
        xp, objective, found = self.xp, self.model.objective, []
        for i, trace in enumerate(recorded.traces):
            readout = feedback[f"feedback.{i}"]
            _, error = objective.error(xp, trace.z @ xp.matrix_transpose(readout), batch)
            found.append(LearningSignal(None, error @ readout, *signals.rate_term(objective, batch), 0.0))
        return found
