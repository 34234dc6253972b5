"""Stochastic gradient Langevin dynamics as a learning rule."""

from __future__ import annotations

from typing import Any

from neko.bayes.inference import METHODS
from neko.bayes.mini_batch import MiniBatch
from neko.evaluator import Evaluator
from neko.samplers import sgld


@METHODS.register("sgld")
class SGLD(MiniBatch):
    r"""Draw a network's weights by Langevin steps from mini-batches, without an accept test.

    .. math::
        θ' = θ + ε\, \hat g(θ) + \sqrt{2ε}\, ξ

    with the gradient ĝ of the log posterior estimated from a mini-batch, see `MiniBatch` and `neko.samplers.sgld`.

    Parameters
    ----------
    model : Evaluator
        Model and loss.
    step_size : float
        ε.
    **options
        See `Sampling`: ``drift``, ``chains``, ``warmup``, …

    References
    ----------
    Welling & Teh (2011), ICML.
    """

    sampler = sgld

    def __init__(self, model: Evaluator, *, step_size: float = 1e-6, **options: Any) -> None:
        super().__init__(model, step_size=step_size, **options)
