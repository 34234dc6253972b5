"""Hamiltonian Monte Carlo as a learning rule."""

from __future__ import annotations

from typing import Any

from neko.arguments import check_integer
from neko.bayes.inference import METHODS
from neko.bayes.stepped import Stepped
from neko.evaluator import Evaluator
from neko.samplers import hmc, proposals


@METHODS.register("hmc")
class HMC(Stepped):
    """Draw a network's weights from their posterior by Hamiltonian Monte Carlo.

    Each transition draws a momentum, makes `leapfrog_steps` leapfrog steps with the drift rule's gradient as the force,
    and accepts by the exact change of energy. With a force that depends on the position only, the leapfrog is
    reversible and preserves volume, so that any gradient rule may be the force. See `neko.samplers.hmc`.

    Parameters
    ----------
    model : Evaluator
        Model and loss.
    step_size : float
        Leapfrog step at the start of the warm-up.
    leapfrog_steps : int
        Steps in a trajectory; each costs a pass over the full data.
    target_acceptance : float
        The acceptance to which the warm-up adapts the step size; 0.651 is the optimum in high dimension (Beskos et al.
        2013), larger values are more robust.
    mass : dict of str to float or array, optional
        Diagonal mass by parameter, one number or one for each entry, above 0; 1 where it is not given.
    **options
        See `Sampling`: ``drift``, ``chains``, ``warmup``, …

    References
    ----------
    Duane et al. (1987), doi:10.1016/0370-2693(87)91197-X; Neal (2011), arXiv 1206.1901.
    """

    sampler = hmc

    def __init__(
        self,
        model: Evaluator,
        *,
        step_size: float = 1e-2,
        leapfrog_steps: int = 10,
        target_acceptance: float = 0.8,
        mass: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(model, step_size=step_size, target_acceptance=target_acceptance, **options)
        self.leapfrog_steps = check_integer("leapfrog_steps", leapfrog_steps)
        self.mass = proposals.check_scales("mass", mass)

    def settings(self) -> dict[str, Any]:
        return {"steps": self.leapfrog_steps, "mass": self.mass}
