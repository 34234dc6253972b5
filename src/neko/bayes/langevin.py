"""The Metropolis-adjusted Langevin algorithm as a learning rule."""

from __future__ import annotations

from typing import Any

from neko.bayes.inference import METHODS
from neko.bayes.stepped import Stepped
from neko.evaluator import Evaluator
from neko.samplers import langevin, proposals


@METHODS.register("langevin")
class Langevin(Stepped):
    r"""Draw a network's weights from their posterior by MALA.

    .. math::
        θ' = θ + ε\, s^2 g(θ) + \sqrt{2ε}\, s\, ξ, \qquad
        α = \min\Big(1, \frac{π(θ')\, q(θ|θ')}{π(θ)\, q(θ'|θ)}\Big)

    The drift g is any gradient rule's; the accept test, with the correction for the proposal, uses the exact
    posterior of the full data, so that a wrong drift lowers the acceptance but causes no bias. See
    `neko.samplers.langevin`.

    Parameters
    ----------
    model : Evaluator
        Model and loss.
    step_size : float
        ε at the start of the warm-up.
    target_acceptance : float
        The acceptance to which the warm-up adapts ε; 0.574 is the optimum in high dimension (Roberts & Rosenthal 1998).
    scale : dict of str to float or array, optional
        s by parameter, one number or one for each entry, above 0; 1 where it is not given: a diagonal preconditioner.
    **options
        See `Sampling`: ``drift``, ``chains``, ``warmup``, …

    References
    ----------
    Roberts & Tweedie (1996), doi:10.2307/3318418; Zhao et al. (2021), section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> import neko
    >>> model = neko.Evaluator(neko.LIF(8, 2, "torch"), loss="categorical_crossentropy")
    >>> x, y = np.ones((3, 20, 4)), np.eye(2)[[0, 1, 1]]
    >>> rule = Langevin(model, drift=neko.Eprop, warmup=5, x_pred=x)
    >>> history = neko.Trainer(rule).train(x, y, epochs=9, progress=False)
    >>> rule.posterior.mean_prediction.shape
    (3, 2)
    """

    sampler = langevin

    def __init__(
        self,
        model: Evaluator,
        *,
        step_size: float = 1e-4,
        target_acceptance: float = 0.574,
        scale: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(model, step_size=step_size, target_acceptance=target_acceptance, **options)
        self.scale = proposals.check_scales("scale", scale)

    def settings(self) -> dict[str, Any]:
        return {"scale": self.scale}
