"""Random-walk Metropolis as a learning rule."""

from __future__ import annotations

from typing import Any

from neko.bayes.inference import METHODS
from neko.bayes.stepped import Stepped
from neko.evaluator import Evaluator
from neko.models.network import Params
from neko.samplers import proposals, random_walk
from neko.typing import Array


@METHODS.register("random_walk")
class RandomWalk(Stepped):
    r"""Draw a network's weights from their posterior by random-walk Metropolis, the control for better proposals.

    .. math::
        θ' = θ + ε s ξ, \quad ξ \sim N(0, 1), \qquad α = \min(1, π(θ') / π(θ))

    A proposal needs no gradient, so that a transition is one forward pass over the full data, whatever the drift. See
    `neko.samplers.random_walk`.

    Parameters
    ----------
    model : Evaluator
        Model and loss.
    step_size : float
        ε at the start of the warm-up.
    target_acceptance : float
        The acceptance to which the warm-up adapts ε; 0.234 is the optimum in high dimension (Roberts, Gelman & Gilks
        1997).
    scale : dict of str to float or array, optional
        s by parameter, one number or one for each entry, above 0; 1 where it is not given.
    **options
        See `Sampling`: ``chains``, ``warmup``, … A ``drift`` has no effect.

    References
    ----------
    Metropolis et al. (1953), doi:10.1063/1.1699114.
    """

    sampler = random_walk

    def __init__(
        self,
        model: Evaluator,
        *,
        step_size: float = 1e-2,
        target_acceptance: float = 0.234,
        scale: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(model, step_size=step_size, target_acceptance=target_acceptance, **options)
        self.scale = proposals.check_scales("scale", scale)

    def settings(self) -> dict[str, Any]:
        return {"scale": self.scale}

    def logdensity_and_drift(self, position: Params, feedback: Params, buffers: Any, data: Any) -> tuple[Array, Params]:
        """log π from a forward pass, and no drift."""
        return self.target.value(position, self.loglikelihood(position, buffers, data)), position
