"""Leaky integrate-and-fire neuron with a synaptic current."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, NamedTuple

from neko.backend.protocol import Backend
from neko.cells.base import CELLS
from neko.cells.constants import decay, positive, settle
from neko.cells.integrate_and_fire import IntegrateAndFire
from neko.typing import Array


class CubaLIFState(NamedTuple):
    """Synaptic current `i`, membrane potential `v`, refractory counter `r` (or None), spike `z`."""

    i: Array
    v: Array
    r: Array | None
    z: Array


@CELLS.register("cuba_lif")
@dataclass(frozen=True, eq=False, repr=False)
class CubaLIF(IntegrateAndFire):
    r"""Current-based leaky integrate-and-fire neurons: an exponential synapse in front of the membrane.

    .. math::
        i_t = α_s i_{t-1} + c_s I_t, \quad
        v_t = α v_{t-1} + c\, i_t - v_{th} z_{t-1}, \quad
        z_t = 1[v_t > v_{th}], \qquad α_s = e^{-dt/τ_s}

    With `input_scaling`, ``c_s = 1 - α_s`` and ``c = 1 - α``, so that a constant current settles at its own value;
    else both are 1. All options of `neko.cells.IntegrateAndFire` hold. The synaptic current outlasts a spike: the reset
    is that of the membrane only.

    Parameters
    ----------
    tau_syn : float or sequence (n,)
        Time constant of the synapse in ms.

    References
    ----------
    Gerstner et al. (2014), Neuronal Dynamics, chapter 1; the CubaLIF of Pedersen et al. (2024),
    doi:10.1038/s41467-024-52259-9.

    Examples
    --------
    One spike that comes in at the first step, as the synapse and the membrane see it:

    >>> from math import exp
    >>> import numpy as np, neko
    >>> model = neko.CubaLIF(1, 1, "torch", tau_syn=5.0, tau_m=10.0, v_th=9.0, recurrent=False).build(1)
    >>> model.params["layers.0.w_in"] += 1.0 - model.params["layers.0.w_in"]
    >>> i, v, *_ = model.record(np.eye(3, 1)[None])[0]
    >>> bool(np.allclose(i[0, :, 0], [1.0, exp(-1 / 5), exp(-2 / 5)]))
    True
    >>> bool(np.allclose(v[0, :2, 0], [1.0, exp(-1 / 10) + exp(-1 / 5)]))
    True
    """

    State: ClassVar[Any] = CubaLIFState

    _: KW_ONLY
    tau_syn: Any = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        settle(self, self.units, positive, "tau_syn")

    @property
    def response_decay(self) -> None:
        """None: the effect of a current rises before it decays."""
        return None

    def dynamics(self, xp: Backend, state: CubaLIFState, current: Array) -> CubaLIFState:
        alpha = decay(xp, self.dt, self.tau_syn)
        i = alpha * state.i + ((1.0 - alpha) * current if self.input_scaling else current)
        v = self.membrane(xp, state, i)
        return CubaLIFState(i, v, *self.fire(xp, state.r, v))
