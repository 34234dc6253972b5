"""Stochastic gradient Hamiltonian Monte Carlo as a learning rule."""

from __future__ import annotations

from typing import Any

from neko.arguments import check_number
from neko.bayes.inference import METHODS
from neko.bayes.mini_batch import MiniBatch
from neko.evaluator import Evaluator
from neko.samplers import sghmc


@METHODS.register("sghmc")
class SGHMC(MiniBatch):
    r"""Draw a network's weights by Langevin steps with momentum from mini-batches, without an accept test.

    .. math::
        r' = (1 - α)\, r + \sqrt{ε}\, \hat g(θ) + \sqrt{2α}\, ξ, \qquad θ' = θ + \sqrt{ε}\, r'

    with the gradient ĝ of the log posterior estimated from a mini-batch, see `MiniBatch` and `neko.samplers.sghmc`. The
    momentum carries a chain over many steps in one direction, where SGLD walks at random.

    Parameters
    ----------
    model : Evaluator
        Model and loss.
    step_size : float
        ε, comparable with that of SGLD, which is α = 1.
    friction : float
        α, above 0 and up to 1: the part of the momentum that is lost in a step.
    **options
        See `Sampling`: ``drift``, ``chains``, ``warmup``, …

    References
    ----------
    Chen, Fox & Guestrin (2014), arXiv 1402.4102.
    """

    sampler = sghmc

    def __init__(self, model: Evaluator, *, step_size: float = 1e-6, friction: float = 0.1, **options: Any) -> None:
        super().__init__(model, step_size=step_size, **options)
        self.friction = check_friction(friction)

    def settings(self) -> dict[str, Any]:
        return {"friction": self.friction}


def check_friction(friction: Any) -> float:
    """The part of the momentum that is lost in a step; ValueError unless it is above 0 and at most 1."""
    found = float(check_number("friction", friction, positive=True))
    if found > 1.0:
        raise ValueError(f"friction={friction!r}: expected a number above 0 and at most 1")
    return found
