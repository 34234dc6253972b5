"""Kernels that follow the density: by its gradient, or by its change with each coordinate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from neko.arguments import check_integer, check_number
from neko.backend.protocol import Backend
from neko.bayes.gibbs.kernel import Kernel, Setting
from neko.samplers import discontinuous_hmc, hmc, langevin
from neko.samplers.proposals import Position, Target
from neko.typing import Array


@dataclass(frozen=True)
class MALA(Kernel):
    """Metropolis-adjusted Langevin steps with the drift rule's gradient, see `neko.samplers.langevin`."""

    gradient: ClassVar[bool] = True
    target_acceptance: ClassVar[float] = 0.574
    step_size: float | None = 1e-4

    def step(
        self, xp: Backend, key: Array, position: Position, target: Target, step_size: Any, setting: Setting
    ) -> tuple[Position, Array]:
        state, info = langevin.step(xp, key, langevin.init(xp, position, target), target, step_size)
        return state.position, info.acceptance_probability


@dataclass(frozen=True)
class HMC(Kernel):
    r"""Hamiltonian Monte Carlo, see `neko.samplers.hmc`.

    For the readout the mass is ``λ q S S^T / T`` plus the precision of the prior, with the features S of the network
    (see `Contributions`) and q about the second derivative of an example's loss: the curvature of the density. Each
    trajectory has a step between 0.8 and 1.2 times the step size, so that none returns to its start.

    Parameters
    ----------
    step_size : float
        Leapfrog step at the start of the warm-up, in units of the mass.
    steps : int
        Leapfrog steps.
    curvature : float
        q: about 0.1 for a cross-entropy of ten classes, 1 for 'half_squared_error'.
    """

    gradient: ClassVar[bool] = True
    target_acceptance: ClassVar[float] = 0.651
    step_size: float | None = 0.3
    steps: int = 8
    curvature: float = 0.1  # type: ignore[misc]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("steps", self.steps)
        check_number("curvature", self.curvature, positive=True)

    def step(
        self, xp: Backend, key: Array, position: Position, target: Target, step_size: Any, setting: Setting
    ) -> tuple[Position, Array]:
        stretch, key = xp.unstack(xp.random.split(key))
        step_size = step_size * (0.8 + 0.4 * xp.random.uniform(stretch, ()))
        state = hmc.init(xp, position, target)
        state, info = hmc.step(xp, key, state, target, step_size, steps=self.steps, mass=setting.mass)
        return state.position, info.acceptance_probability


@dataclass(frozen=True)
class DiscontinuousHMC(Kernel):
    """Discontinuous Hamiltonian Monte Carlo, see `neko.samplers.discontinuous_hmc`: one density a weight and step."""

    step_size: float | None = 0.05
    steps: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("steps", self.steps)

    def step(
        self, xp: Backend, key: Array, position: Position, target: Target, step_size: Any, setting: Setting
    ) -> tuple[Position, Array]:
        state = discontinuous_hmc.init(xp, position, target)
        mass = {name: 1.0 / scale for name, scale in setting.scales.items()}
        state, info = discontinuous_hmc.step(xp, key, state, target, step_size, steps=self.steps, mass=mass)
        return state.position, info.acceptance_probability
