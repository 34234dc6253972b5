"""Kernels whose proposals need nothing but the position: those of all neurons can be made at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from neko.arguments import as_list
from neko.backend.protocol import Backend
from neko.bayes.gibbs.kernel import Kernel, Setting
from neko.bayes.priors import Normal, Prior
from neko.samplers import pcn, proposals, random_walk
from neko.samplers.proposals import Position, Target
from neko.typing import Array


@dataclass(frozen=True)
class PCN(Kernel):
    """Preconditioned Crank–Nicolson, see `neko.samplers.pcn`, each time with one of several widths β drawn at random:
    a wide one forgets, a narrow one is accepted. The prior must be a `Normal`.

    `widths` are β, each in (0, 1].
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
        state, info = pcn.step(xp, key, pcn.init(xp, position, target), target, width, scale=setting.scales)
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
        before = random_walk.init(xp, position, target)
        state, info = random_walk.step(xp, key, before, target, step_size, scale=setting.scales)
        return state.position, info.acceptance_probability

    def propose(
        self, xp: Backend, key: Array, position: Position, step_size: Any, setting: Setting, units: int | None = None
    ) -> Position:
        return random_walk.propose(xp, key, position, step_size, scale=setting.scales)
