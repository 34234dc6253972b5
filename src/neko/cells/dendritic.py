"""Two-compartment neuron with an active apical dendrite."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, NamedTuple

from neko.backend.protocol import Backend
from neko.cells.base import CELLS
from neko.cells.constants import decay, finite, not_negative, per_neuron, positive, settle
from neko.cells.integrate_and_fire import IntegrateAndFire
from neko.typing import Array


class DendriticState(NamedTuple):
    """Apical potential `d`, somatic potential `v`, refractory counter `r` (or None), spike `z`."""

    d: Array
    v: Array
    r: Array | None
    z: Array


@CELLS.register("dendritic")
@dataclass(frozen=True, eq=False, repr=False)
class Dendritic(IntegrateAndFire):
    r"""Two-compartment neurons: input drives the soma, recurrence the apical dendrite.

    .. math::
        d_t = α_d d_{t-1} + I^{apical}_t, \qquad
        v_t = α v_{t-1} + c I^{basal}_t + g\, σ(s (d_t - θ)) - v_{th} z_{t-1}

    The sigmoid is the plateau potential of the dendrite. All options of `neko.cells.IntegrateAndFire` hold for the
    soma. Without recurrence the dendrite has no input, and its plateau is that of ``d = 0``.

    Parameters
    ----------
    tau_d : float or sequence (n,)
        Time constant of the dendrite in ms.
    coupling : float or sequence (n,)
        g, what a full plateau adds to the soma per step (in units of `v`).
    slope, threshold : float or sequence (n,)
        s and θ of the plateau.

    References
    ----------
    A reduced form of Naud & Sprekeler (2018), doi:10.1073/pnas.1720995115, eqs. 1-2.
    """

    State: ClassVar[Any] = DendriticState
    input_currents: ClassVar[tuple[int, ...]] = (0,)
    n_currents: ClassVar[int] = 2

    _: KW_ONLY
    tau_d: Any = 30.0
    coupling: Any = 0.2
    slope: Any = 2.0
    threshold: Any = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        settle(self, self.units, positive, "tau_d", "slope")
        settle(self, self.units, finite, "threshold")
        settle(self, self.units, not_negative, "coupling")

    @property
    def recurrent_currents(self) -> tuple[int, ...]:  # type: ignore[override]
        """The dendrite's; none for a feed-forward layer."""
        return (1,) if self.recurrent else ()

    @property
    def response_decay(self) -> None:
        """None: the effect of the apical current does not decay as that of the basal one."""
        return None

    def dynamics(self, xp: Backend, state: DendriticState, basal: Array, apical: Array) -> DendriticState:
        d = decay(xp, self.dt, self.tau_d) * state.d + apical
        plateau = xp.sigmoid(per_neuron(xp, self.slope) * (d - per_neuron(xp, self.threshold)))
        v = self.membrane(xp, state, basal) + per_neuron(xp, self.coupling) * plateau
        return DendriticState(d, v, *self.fire(xp, state.r, v))
