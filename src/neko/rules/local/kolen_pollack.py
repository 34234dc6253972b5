"""Kolen–Pollack: backward weights that receive the updates of the forward weights."""

from __future__ import annotations

from typing import Any

from neko.arguments import is_real, plain
from neko.models.network import Params
from neko.objective import Batch
from neko.rules.backward import RandomBackwardWeights, named
from neko.rules.base import RULES


@RULES.register("kolen_pollack", oracle="equal updates")
class KolenPollack(RandomBackwardWeights):
    r"""Feedback alignment whose B gets the update of W, while both decay at one rate and so become equal.

    .. math::
        ΔB = ΔW, \qquad W ← (1 - λ) W, \quad B ← (1 - λ) B, \qquad
        \text{hence} \quad B_t - W_t = (1 - λ)^t (B_0 - W_0)

    for every update that treats equal gradients equally (all optimizers whose step does not depend on the weight).

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics; a network of cells, or a module of your own of dense and convolutional layers.
    truncation : int, optional
        Number of steps after which credit is cut, as in `neko.rules.BPTT`.
    feedback_seed : int
        Seed of the first B, whose entries are normal with variance 1 / fan-in.
    feedback_decay : float
        Fraction λ by which W and B decay at each update.

    Raises
    ------
    TypeError
        For a module with other matrices that credit passes through, such as those of recurrent and attention layers.
    ValueError
        For a decay outside of [0, 1).

    Notes
    -----
    **Locality.** ΔW of a synapse is the product of two signals that are present at both its ends, so that the
    reciprocal synapse of B can compute it by itself; no weight is transported. In time it is not local: δ runs backward
    through the whole sequence, as in BPTT.

    **Cost.** O(n^2) time and O(n) memory per step and sequence for a layer of n neurons, as BPTT, with one product more
    per matrix in the forward pass, and an update of twice the weights.

    **Limits.** The decay of W is a penalty on weights that the loss does not report. Where a model's own constraints
    change W alone, and under updates with noise of their own (pulses of a device), the gap does not follow the law.

    References
    ----------
    Kolen & Pollack (1994), doi:10.1109/ICNN.1994.374486; Akrout et al. (2019), arXiv 1904.05391.

    Examples
    --------
    >>> import numpy as np
    >>> import neko
    >>> model = neko.Evaluator(neko.LIF(8, 2, "torch"), loss="categorical_crossentropy")
    >>> x, y = np.ones((3, 20, 4)), np.eye(2)[[0, 1, 1]]
    >>> rule = neko.KolenPollack(model, optimizer="sgd", feedback_decay=0.01)
    >>> _ = rule.step(x, y)
    >>> sorted(rule.feedback)
    ['feedback.layers.0.w_rec', 'feedback.readout.w_out']
    """

    def __init__(
        self, model: Any, *, truncation: int | None = None, feedback_seed: int = 0, feedback_decay: float = 1e-3
    ) -> None:
        super().__init__(model, truncation=truncation, feedback_seed=feedback_seed)
        if not (is_real(feedback_decay) and 0.0 <= feedback_decay < 1.0):
            raise ValueError(f"feedback_decay={feedback_decay!r}: expected 0 <= λ < 1")
        self.feedback_decay = plain(feedback_decay)

    def learnt_feedback(self) -> tuple[str, ...]:
        return tuple(map(named, self.model.model.asymmetric()))

    def decay(self) -> dict[str, float]:
        return dict.fromkeys((*self.model.model.asymmetric(), *self.learnt_feedback()), self.feedback_decay)

    def feedback_gradients(self, params: Params, feedback: Params, gradients: Params, batch: Batch) -> Params:
        return {named(name): gradients[name] for name in self.model.model.asymmetric()}
