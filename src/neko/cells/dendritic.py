"""Two-compartment neuron with an active apical dendrite."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, NamedTuple

from neko.cells.base import check_finite, check_not_negative, check_positive, decay, per_neuron
from neko.cells.lif import LIF
from neko.typing import Array


class DendriticState(NamedTuple):
    """Apical potential `d`, somatic potential `v`, refractory counter `r` (or None), spike `z`."""

    d: Array
    v: Array
    r: Array | None
    z: Array


@dataclass(frozen=True, eq=False)
class Dendritic(LIF):
    r"""Two compartments: input reaches the soma, recurrence the apical dendrite.

    .. math::
        d_t = α_d d_{t-1} + I^{apical}_t, \qquad
        v_t = α v_{t-1} + c I^{basal}_t + g\, σ(s (d_t - θ)) - v_{th} z_{t-1}

    The sigmoid is the plateau potential of the dendrite. All options of `LIF` hold for the soma.

    Parameters
    ----------
    tau_d : float
        Time constant of the dendrite in ms.
    coupling : float
        g, what a full plateau adds to the soma per step (in units of `v`).
    slope, threshold : float
        s and θ of the plateau.

    References
    ----------
    A reduced form of Naud & Sprekeler (2018), doi:10.1073/pnas.1720995115, eqs. 1-2.
    """

    State: ClassVar[Any] = DendriticState
    input_currents: ClassVar[tuple[int, ...]] = (0,)
    recurrent_currents: ClassVar[tuple[int, ...]] = (1,)

    _: KW_ONLY
    tau_d: float = 30.0
    coupling: float = 0.2
    slope: float = 2.0
    threshold: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self.units, tau_d=self.tau_d)
        check_positive(None, slope=self.slope)
        check_finite(None, threshold=self.threshold)
        check_not_negative(None, coupling=self.coupling)

    def dynamics(self, xp: Any, state: DendriticState, basal: Array, apical: Array) -> DendriticState:  # type: ignore[override]
        v_th = per_neuron(xp, self.v_th)
        d = decay(xp, self.dt, self.tau_d) * state.d + apical
        plateau = xp.sigmoid(self.slope * (d - self.threshold))
        v = self.membrane(xp, state, basal, v_th) + self.coupling * plateau
        z = self.surrogate(xp, v * (1.0 / v_th) - 1.0)
        r, z = self.refractory(xp, state.r, z)
        return DendriticState(d, v, r, z)
