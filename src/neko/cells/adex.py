"""Adaptive exponential integrate-and-fire neuron."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from neko.backend.protocol import Backend
from neko.cells.base import CELLS, Cell
from neko.cells.constants import at_first, extent, finite, flag, not_negative, per_neuron, positive, settle
from neko.cells.surrogates import Triangular
from neko.typing import Array


class AdExState(NamedTuple):
    """Membrane potential `v` (mV), adaptation current `w` (mV, divided by the leak conductance), spike `z`."""

    v: Array
    w: Array
    z: Array


@CELLS.register("adex")
@dataclass(frozen=True, eq=False, repr=False)
class AdEx(Cell):
    r"""Adaptive exponential integrate-and-fire neurons, integrated by forward Euler.

    .. math::
        τ_m \dot v = -(v - E_L) + Δ_T e^{(v - V_T)/Δ_T} - w + R I, \qquad τ_w \dot w = a (v - E_L) - w

    When *v* passes `v_peak` the neuron spikes; at the next step it starts from `v_reset` and *w* is
    larger by *b*. The exponent is capped at its value for `v_peak`, above which the neuron spikes. Forward
    Euler at 1 ms resolves the upswing coarsely: use a smaller `dt` where its shape matters.

    Parameters
    ----------
    units : int
        Number of neurons.
    tau_m, tau_w : float or sequence (n,)
        Time constants of membrane and adaptation in ms.
    e_l, v_t, v_peak, v_reset : float or sequence (n,)
        Leak reversal, exponential threshold, spike cut-off and reset potential in mV. One that learns has `low` and
        `high`, so that ``e_l < v_t < v_peak`` and ``v_reset < v_peak`` hold for all values.
    delta_t : float or sequence (n,)
        Sharpness Δ_T of the upswing in mV.
    a : float or sequence (n,)
        Subthreshold adaptation (relative to the leak conductance).
    b : float or sequence (n,)
        Adaptation per spike in mV.
    resistance : float or sequence (n,)
        R, the drive in mV per unit of current.
    detach_reset : bool
        Propagate no gradient through the reset of *v*, in any rule. e-prop never does.
    surrogate : Surrogate, str or callable
        ψ of ``u = (v - v_peak) / (v_peak - e_l)``, as in `IntegrateAndFire`.
    dt : float
        Time step in ms.

    References
    ----------
    Brette & Gerstner (2005), doi:10.1152/jn.00686.2005.
    """

    State: ClassVar[Any] = AdExState
    spiking: ClassVar[bool] = True
    autapses: ClassVar[bool] = False

    _: KW_ONLY
    tau_m: Any = 20.0
    tau_w: Any = 100.0
    e_l: Any = -70.0
    v_t: Any = -50.0
    v_peak: Any = -40.0
    v_reset: Any = -58.0
    delta_t: Any = 2.0
    a: Any = 0.2
    b: Any = 4.0
    resistance: Any = 100.0
    detach_reset: bool = False
    surrogate: Any = Triangular()
    dt: float = 1.0  # type: ignore[misc]

    def __post_init__(self) -> None:
        super().__post_init__()
        settle(self, self.units, positive, "tau_m", "tau_w", "delta_t")
        settle(self, self.units, not_negative, "a", "b")
        settle(self, self.units, finite, "resistance", "e_l", "v_t", "v_peak", "v_reset")
        settle(self, None, positive, "dt")
        settle(self, None, flag, "detach_reset")
        potentials = self.e_l, self.v_t, self.v_peak, self.v_reset
        (_, e_l), (v_t_least, v_t), (v_peak, _), (_, v_reset) = map(extent, potentials)
        if not np.all((e_l < v_t_least) & (v_t < v_peak) & (v_reset < v_peak)):
            raise ValueError(
                f"potentials {potentials!r}: expected e_l < v_t < v_peak and v_reset < v_peak, for all values of one "
                "that learns: give it low=… and high=…"
            )

    def initial_state(self, xp: Backend, batch: int) -> AdExState:
        rest = xp.zeros((batch, self.units))
        return AdExState(rest + at_first(xp, self.e_l), rest, rest)

    def dynamics(self, xp: Backend, state: AdExState, current: Array) -> AdExState:
        e_l, v_t, v_peak, delta_t = (per_neuron(xp, c) for c in (self.e_l, self.v_t, self.v_peak, self.delta_t))
        z = xp.stop_gradient(state.z) if self.detach_reset else state.z
        v = state.v + z * (per_neuron(xp, self.v_reset) - state.v)
        w = state.w + per_neuron(xp, self.b) * state.z
        exponent = xp.minimum((v - v_t) * (1.0 / delta_t), (v_peak - v_t) / delta_t)
        # Δ_T exp(x) as exp(x + ln Δ_T)
        log_delta = math.log(delta_t) if isinstance(delta_t, float) else xp.log(delta_t)
        dv = (e_l - v) + xp.exp(exponent + log_delta) - w + per_neuron(xp, self.resistance) * current
        dw = per_neuron(xp, self.a) * (v - e_l) - w
        v, w = v + (self.dt / per_neuron(xp, self.tau_m)) * dv, w + (self.dt / per_neuron(xp, self.tau_w)) * dw
        return AdExState(v, w, self.surrogate(xp, (v - v_peak) * (1.0 / (v_peak - e_l))))
