"""Adaptive exponential integrate-and-fire neuron."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar, NamedTuple

from neko.cells.base import Cell, check_finite, check_not_negative, check_positive
from neko.cells.surrogates import Surrogate, Triangular
from neko.typing import Array


class AdExState(NamedTuple):
    """Membrane potential `v` (mV), adaptation current `w` (mV, divided by the leak conductance), spike `z`."""

    v: Array
    w: Array
    z: Array


@dataclass(frozen=True, eq=False)
class AdEx(Cell):
    r"""Adaptive exponential integrate-and-fire neurons, forward Euler.

    .. math::
        τ_m \dot v = -(v - E_L) + Δ_T e^{(v - V_T)/Δ_T} - w + R I, \qquad τ_w \dot w = a (v - E_L) - w

    When *v* passes `v_peak` the neuron spikes; at the next step it starts from `v_reset` and *w* is
    larger by *b*. The exponent is capped at `v_peak`, where the spike is certain anyway. Forward
    Euler at 1 ms follows the upswing coarsely: take a smaller `dt` where its shape matters.

    Parameters
    ----------
    units : int
        Number of neurons.
    tau_m, tau_w : float
        Time constants of membrane and adaptation in ms.
    e_l, v_t, v_peak, v_reset : float
        Leak reversal, exponential threshold, spike cut-off and reset potential in mV.
    delta_t : float
        Sharpness Δ_T of the upswing in mV.
    a : float
        Subthreshold adaptation (relative to the leak conductance).
    b : float
        Adaptation per spike in mV.
    resistance : float
        R, the drive in mV per unit of current.
    detach_reset : bool
        Give no credit through the reset of *v*, in any rule. e-prop never does.
    surrogate : Surrogate
        ψ of ``u = (v - v_peak) / (v_peak - e_l)``.
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
    tau_m: float = 20.0
    tau_w: float = 100.0
    e_l: float = -70.0
    v_t: float = -50.0
    v_peak: float = -40.0
    v_reset: float = -58.0
    delta_t: float = 2.0
    a: float = 0.2
    b: float = 4.0
    resistance: float = 100.0
    detach_reset: bool = False
    surrogate: Surrogate = Triangular()
    dt: float = 1.0  # type: ignore[misc]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(None, tau_m=self.tau_m, tau_w=self.tau_w, delta_t=self.delta_t, dt=self.dt)
        check_not_negative(None, a=self.a, b=self.b)
        check_finite(
            None, resistance=self.resistance, e_l=self.e_l, v_t=self.v_t, v_peak=self.v_peak, v_reset=self.v_reset
        )
        if not self.e_l < self.v_t < self.v_peak or self.v_reset >= self.v_peak:
            raise ValueError(
                f"potentials {(self.e_l, self.v_t, self.v_peak, self.v_reset)!r}: "
                "expected e_l < v_t < v_peak and v_reset < v_peak"
            )

    def initial_state(self, xp: Any, batch: int) -> AdExState:
        rest = xp.zeros((batch, self.units))
        return AdExState(rest + self.e_l, rest, rest)

    def eligibility_cell(self) -> Cell:
        return replace(self, detach_reset=True)

    def dynamics(self, xp: Any, state: AdExState, current: Array) -> AdExState:
        z = xp.stop_gradient(state.z) if self.detach_reset else state.z
        v = state.v + z * (self.v_reset - state.v)
        w = state.w + self.b * state.z
        exponent = xp.minimum((v - self.v_t) * (1.0 / self.delta_t), (self.v_peak - self.v_t) / self.delta_t)
        # exp(x + ln Δ_T): the factor costs nothing inside the exponent
        upswing = xp.exp(exponent + math.log(self.delta_t))
        dv = (self.e_l - v) + upswing - w + self.resistance * current
        dw = self.a * (v - self.e_l) - w
        v, w = v + (self.dt / self.tau_m) * dv, w + (self.dt / self.tau_w) * dw
        return AdExState(v, w, self.surrogate(xp, (v - self.v_peak) * (1.0 / (self.v_peak - self.e_l))))
