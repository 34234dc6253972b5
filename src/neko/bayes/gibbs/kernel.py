"""The interface of the kernels of block updates: moves of some parameters at a density known up to a constant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from neko.arguments import check_number
from neko.backend.protocol import Backend
from neko.bayes.priors import Prior
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
    curvature : float or None
        About the second derivative of an example's loss by an output, from which the readout gets a mass; None of a
        kernel that takes no mass.
    step_size : float or None
        At the start of the warm-up, which adapts it to `target_acceptance`; None where nothing is adapted.
    """

    gradient: ClassVar[bool] = False
    independent: ClassVar[bool] = False
    curvature: ClassVar[float | None] = None
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
