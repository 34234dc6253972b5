"""Hamiltonian Monte Carlo as a learning rule."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from neko.arguments import check_choice, check_integer
from neko.bayes.inference import METHODS
from neko.bayes.stepped import Stepped
from neko.evaluator import Evaluator
from neko.samplers import dual_averaging, hmc, moments, proposals
from neko.samplers.mass import Dense, Diagonal, Mass, flat, unflat
from neko.samplers.windows import windows

LEARNT = ("diagonal", "dense")


class Tuning(NamedTuple):
    """The adaptation of the step size, the mass now, the positions for the next one, and the transitions so far."""

    step: dual_averaging.State
    mass: Mass
    positions: moments.Moments | None
    transitions: int


class Settled(NamedTuple):
    """Step size and mass of a transition."""

    step_size: Any
    mass: Mass


@METHODS.register("hmc")
class HMC(Stepped):
    """Draw a network's weights from their posterior by Hamiltonian Monte Carlo.

    Each transition draws a momentum, makes `leapfrog_steps` leapfrog steps with the drift rule's gradient as the force,
    and accepts by the exact change of energy. With a force that depends on the position only, the leapfrog is
    reversible and preserves volume, so that any gradient rule may be the force. See `neko.samplers.hmc`.

    In the warm-up the step size of every chain is adapted by dual averaging, and its mass is learnt from its own
    positions in windows of growing length (`neko.samplers.windows`): the inverse of their variances or covariance,
    shrunk a little towards the identity. Afterwards both are fixed.

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
    mass : {'diagonal', 'dense'}, dict of str to float or array, or None
        'diagonal' learns a mass for each weight, 'dense' one matrix over all d weights, which needs memory for d²
        numbers and a warm-up of several times d transitions to be better than the diagonal. A dict is a diagonal mass
        by parameter, one number or one for each entry, above 0, and 1 where it is not given; None is 1. The mass of a
        warm-up below 50 transitions stays 1.
    **options
        See `Sampling`: ``drift``, ``chains``, ``warmup``, …

    References
    ----------
    Duane et al. (1987), doi:10.1016/0370-2693(87)91197-X; Neal (2011), arXiv 1206.1901; Hoffman & Gelman (2014), "The
    No-U-Turn sampler"; Stan Reference Manual, "HMC algorithm parameters".
    """

    sampler = hmc

    def __init__(
        self,
        model: Evaluator,
        *,
        step_size: float = 1e-2,
        leapfrog_steps: int = 10,
        target_acceptance: float = 0.8,
        mass: str | dict[str, Any] | None = "diagonal",
        **options: Any,
    ) -> None:
        super().__init__(model, step_size=step_size, target_acceptance=target_acceptance, **options)
        self.leapfrog_steps = check_integer("leapfrog_steps", leapfrog_steps)
        if isinstance(mass, str):
            check_choice("mass", mass, LEARNT)
        self.mass = mass if isinstance(mass, str) else proposals.check_scales("mass", mass)

    def settings(self) -> dict[str, Any]:
        return {"steps": self.leapfrog_steps, "mass": self.mass}

    def applied(self, step_size: Settled) -> tuple[Any, dict[str, Any]]:
        return step_size.step_size, {"steps": self.leapfrog_steps, "mass": step_size.mass}

    def step_sizes(self) -> list[float]:
        return [self.settled(chain.tuning).step_size for chain in self.chains]

    def tuning(self) -> Tuning:
        step, xp, params = dual_averaging.init(self.step_size), self.xp, self.model.params
        if self.mass is None or isinstance(self.mass, dict):
            return Tuning(step, Diagonal(proposals.scales(xp, params, self.mass)), None, 0)
        return Tuning(step, self.learnt(None), self.none(), 0)

    def settled(self, tuning: Tuning) -> Settled:
        size = dual_averaging.current if self.warming else dual_averaging.final
        return Settled(size(tuning.step), tuning.mass)

    def tuned(self, tuning: Tuning, state: Any, info: Any) -> Tuning:
        step = dual_averaging.update(tuning.step, float(info.acceptance_probability), self.target_acceptance)
        now, mass, positions = tuning.transitions, tuning.mass, tuning.positions
        inside = [end for begin, end in windows(self.warmup) if begin <= now < end]
        if positions is not None and inside:
            positions = moments.update(positions, self.xp.to_numpy(flat(self.xp, state.position))[:, 0])
            if now + 1 == inside[0]:
                mass, positions = self.learnt(moments.regularised(positions)), self.none()
                step = dual_averaging.init(dual_averaging.final(step))
        return Tuning(step, mass, positions, now + 1)

    def none(self) -> moments.Moments:
        """No positions yet."""
        size = sum(int(np.prod(w.shape)) for w in self.model.params.values())
        return moments.init(size, dense=self.mass == "dense")

    def learnt(self, covariance: np.ndarray | None) -> Mass:
        """The inverse of variances or a covariance matrix as a mass, 1 for None."""
        xp, params = self.xp, self.model.params
        size = len(self.none().mean)
        if self.mass == "dense":
            inverse = np.eye(size) if covariance is None else np.linalg.inv(covariance)
            return Dense(xp.asarray(np.linalg.cholesky(inverse)))
        values = np.ones(size) if covariance is None else 1.0 / covariance
        return Diagonal(unflat(xp, xp.asarray(values[:, None]), params))
