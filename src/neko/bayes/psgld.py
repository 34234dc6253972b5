"""Preconditioned stochastic gradient Langevin dynamics as a learning rule."""

from __future__ import annotations

from typing import Any

from neko.arguments import check_number, is_real
from neko.bayes.inference import METHODS
from neko.bayes.mini_batch import MiniBatch
from neko.evaluator import Evaluator
from neko.samplers import psgld


@METHODS.register("psgld")
class PSGLD(MiniBatch):
    r"""Draw a network's weights by Langevin steps from mini-batches with RMSprop's preconditioner.

    .. math::
        V' = λ V + (1 - λ)\, \hat g(θ)^2, \qquad G = \frac{1}{δ + \sqrt{V'}}, \qquad
        θ' = θ + ε\, G\, \hat g(θ) + \sqrt{2 ε G}\, ξ

    with the gradient ĝ of the log posterior estimated from a mini-batch, see `MiniBatch` and `neko.samplers.psgld`.
    There is no accept test, and the paper's term Γ is left out, as in its experiments: the draws are biased even for
    small ε, the less the nearer λ is to 1.

    Parameters
    ----------
    model : Evaluator
        Model and loss.
    step_size : float
        ε. An entry with a gradient of constant size moves by ε in a step, besides the noise, as in RMSprop.
    decay : float
        λ, from 0 to below 1.
    damping : float
        δ, above 0, in the units of the gradient of the log posterior.
    **options
        See `Sampling`: ``drift``, ``chains``, ``warmup``, …

    References
    ----------
    Li, Chen, Carlson & Carin (2016), arXiv 1512.07666.
    """

    sampler = psgld

    def __init__(
        self, model: Evaluator, *, step_size: float = 1e-3, decay: float = 0.99, damping: float = 1e-5, **options: Any
    ) -> None:
        super().__init__(model, step_size=step_size, **options)
        if not (is_real(decay) and 0.0 <= decay < 1.0):
            raise ValueError(f"decay={decay!r}: expected a number from 0 to below 1")
        self.decay = float(decay)
        self.damping = float(check_number("damping", damping, positive=True))

    def settings(self) -> dict[str, Any]:
        return {"decay": self.decay, "damping": self.damping}
