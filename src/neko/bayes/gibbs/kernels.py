"""The kernels of block updates: moves of some parameters at a density that is known up to a constant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from neko.arguments import as_list, check_integer, check_number
from neko.backend.protocol import Backend
from neko.bayes.priors import Normal, Prior
from neko.samplers import discontinuous_hmc, hmc, langevin, pcn, proposals, random_walk
from neko.samplers.mass import Mass
from neko.samplers.proposals import Position, Target
from neko.typing import Array


class Setting(NamedTuple):
    """What a kernel may know of its block: the priors of its parameters, the temperature, and the mass from the
    features of the network, None where there is none."""

    priors: dict[str, Prior]
    temperature: float
    mass: Mass | None = None

    @property
    def scales(self) -> dict[str, Any]:
        """Standard deviation of each prior at this temperature."""
        return {name: prior.scale * self.temperature**0.5 for name, prior in self.priors.items()}  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Kernel:
    """A move that leaves the density of a block, given all other parameters, as it is.

    Attributes
    ----------
    gradient : bool
        Whether it needs the gradient.
    independent : bool
        Whether a proposal depends on nothing but the position of what it moves, so that proposals for all neurons can
        be made at once; it then has `propose`.
    step_size : float or None
        At the start of the warm-up, which adapts it to `target_acceptance`; None where nothing is adapted.
    """

    gradient: ClassVar[bool] = False
    independent: ClassVar[bool] = False
    target_acceptance: ClassVar[float] = 0.8
    step_size: float | None = None

    def __post_init__(self) -> None:
        if self.step_size is not None:
            object.__setattr__(self, "step_size", float(check_number("step_size", self.step_size, positive=True)))

    def check(self, priors: dict[str, Prior]) -> None:
        """ValueError for priors for which the kernel is not defined."""

    def step(
        self, xp: Backend, key: Array, position: Position, target: Target, step_size: Any, setting: Setting
    ) -> tuple[Position, Array]:
        """The position after a move, and the probability of its acceptance."""
        raise NotImplementedError

    def propose(
        self, xp: Backend, key: Array, position: Position, step_size: Any, setting: Setting, units: int | None = None
    ) -> Position:
        """A proposal, with `units` one for each neuron, whose weights are a column of every block of `units` columns;
        the density's ratio decides, that of the likelihood alone where `keeps_prior`."""
        raise NotImplementedError

    keeps_prior: ClassVar[bool] = False
    """Whether the proposal leaves the prior as it is."""


@dataclass(frozen=True)
class PCN(Kernel):
    """Preconditioned Crank–Nicolson, see `neko.samplers.pcn`, each time with one of several widths β drawn at random:
    a wide one forgets, a narrow one is accepted. The prior must be a `Normal`.

    Parameters
    ----------
    widths : sequence of float
        β, each in (0, 1].
    """

    independent: ClassVar[bool] = True
    keeps_prior: ClassVar[bool] = True
    step_size: float | None = field(default=None, init=False, repr=False)
    widths: Sequence[float] = (1.0, 0.5, 0.2, 0.1)

    def __post_init__(self) -> None:
        super().__post_init__()
        widths = tuple(float(w) for w in as_list("widths", self.widths, "[1.0, 0.2]"))
        if not widths or not all(0.0 < w <= 1.0 for w in widths):
            raise ValueError(f"widths={self.widths!r}: expected numbers above 0 and up to 1")
        object.__setattr__(self, "widths", widths)

    def check(self, priors: dict[str, Prior]) -> None:
        other = [name for name, prior in priors.items() if not isinstance(prior, Normal)]
        if other:
            raise ValueError(f"pCN keeps a Normal prior, and {other[0]!r} has {priors[other[0]]!r}: use RandomWalk")

    def step(
        self, xp: Backend, key: Array, position: Position, target: Target, step_size: Any, setting: Setting
    ) -> tuple[Position, Array]:
        chosen, key = xp.unstack(xp.random.split(key))
        width = self.width(xp, chosen, ())
        state = pcn.init(xp, position, target)
        state, info = pcn.step(xp, key, state, target, width, scale=setting.scales)
        return state.position, info.acceptance_probability

    def propose(
        self, xp: Backend, key: Array, position: Position, step_size: Any, setting: Setting, units: int | None = None
    ) -> Position:
        chosen, key = xp.unstack(xp.random.split(key))
        width = self.width(xp, chosen, () if units is None else (units,))
        noise = proposals.normals(xp, key, position)
        moved = {}
        for name, w in position.items():
            beta = width if units is None else xp.tile(width, (w.shape[-1] // units,))
            moved[name] = xp.sqrt(1.0 - beta**2) * w + beta * setting.scales[name] * noise[name]
        return moved

    def width(self, xp: Backend, key: Array, shape: tuple[int, ...]) -> Array:
        """Widths drawn from the mixture."""
        place = xp.floor(xp.random.uniform(key, shape) * float(len(self.widths)))
        found = xp.zeros(shape)
        for number, width in enumerate(self.widths):
            found = xp.where(place == float(number), xp.full(shape, width), found)
        return found


@dataclass(frozen=True)
class RandomWalk(Kernel):
    """Random-walk Metropolis, see `neko.samplers.random_walk`: for any prior."""

    independent: ClassVar[bool] = True
    target_acceptance: ClassVar[float] = 0.3
    step_size: float | None = 0.1

    def step(
        self, xp: Backend, key: Array, position: Position, target: Target, step_size: Any, setting: Setting
    ) -> tuple[Position, Array]:
        state = random_walk.init(xp, position, target)
        state, info = random_walk.step(xp, key, state, target, step_size, scale=setting.scales)
        return state.position, info.acceptance_probability

    def propose(
        self, xp: Backend, key: Array, position: Position, step_size: Any, setting: Setting, units: int | None = None
    ) -> Position:
        return random_walk.propose(xp, key, position, step_size, scale=setting.scales)


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
    curvature: float = 0.1

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
