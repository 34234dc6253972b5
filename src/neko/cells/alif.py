"""Leaky integrate-and-fire neuron with an adaptive threshold."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, NamedTuple

from neko.backend.protocol import Backend
from neko.cells.base import CELLS
from neko.cells.constants import decay, not_negative, per_neuron, positive, settle
from neko.cells.integrate_and_fire import IntegrateAndFire
from neko.typing import Array


class ALIFState(NamedTuple):
    """Membrane potential `v`, threshold adaptation `a`, refractory counter `r` (or None), spike `z`."""

    v: Array
    a: Array
    r: Array | None
    z: Array


@CELLS.register("alif")
@dataclass(frozen=True, eq=False, repr=False)
class ALIF(IntegrateAndFire):
    r"""Adaptive leaky integrate-and-fire neurons: each spike raises the threshold, which decays with `tau_a`.

    .. math::
        v_t = α v_{t-1} + c I_t - v_{th} z_{t-1}, \quad
        a_t = ρ a_{t-1} + z_{t-1}, \quad
        z_t = 1[v_t > v_{th} + β a_t]

    with ``ρ = exp(-dt/tau_a)``. All options of `neko.cells.IntegrateAndFire` hold. A mixed population is one layer with
    per-neuron β: ``ALIF(400, beta=[0.0] * 300 + [0.184] * 100)`` is 300 LIF and 100 ALIF neurons.

    Parameters
    ----------
    tau_a : float or sequence (n,)
        Adaptation time constant in ms.
    beta : float or sequence (n,)
        Adaptation strength β, the increase of the threshold per spike (in units of `v`).

    References
    ----------
    Bellec et al. (2020), doi:10.1038/s41467-020-17236-y, eqs. 8-10.
    """

    State: ClassVar[Any] = ALIFState

    _: KW_ONLY
    tau_a: Any = 200.0
    beta: Any = 0.184

    def __post_init__(self) -> None:
        super().__post_init__()
        settle(self, self.units, positive, "tau_a")
        settle(self, self.units, not_negative, "beta")

    def dynamics(self, xp: Backend, state: ALIFState, current: Array) -> ALIFState:
        v = self.membrane(xp, state, current)
        # The neuron's own spike is differentiated here, in e-prop too: it is internal to the neuron.
        a = decay(xp, self.dt, self.tau_a) * state.a + state.z
        return ALIFState(v, a, *self.fire(xp, state.r, v - per_neuron(xp, self.beta) * a))
