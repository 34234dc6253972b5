"""Leaky integrate-and-fire neuron."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from neko.backend.protocol import Backend
from neko.cells.base import CELLS
from neko.cells.integrate_and_fire import IntegrateAndFire
from neko.typing import Array


class LIFState(NamedTuple):
    """Membrane potential `v`, steps left of the refractory period `r` (None without one), spike `z`."""

    v: Array
    r: Array | None
    z: Array


@CELLS.register("lif")
@dataclass(frozen=True, eq=False, repr=False)
class LIF(IntegrateAndFire):
    r"""Leaky integrate-and-fire neurons in discrete time.

    .. math::
        v_t = α v_{t-1} + c I_t - v_{th} z_{t-1}, \qquad z_t = 1[v_t > v_{th}]

    The options are those of `neko.cells.IntegrateAndFire`.

    References
    ----------
    Bellec et al. (2020), doi:10.1038/s41467-020-17236-y, eqs. 6-7.
    """

    State: ClassVar[Any] = LIFState

    def dynamics(self, xp: Backend, state: LIFState, current: Array) -> LIFState:
        v = self.membrane(xp, state, current)
        return LIFState(v, *self.fire(xp, state.r, v))
