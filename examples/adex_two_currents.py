"""A neuron of one's own: adaptive exponential integrate-and-fire with two adaptation currents.

``neko verify examples/adex_two_currents.py:TwoCurrentAdEx`` proves every gradient rule for it;
``python examples/adex_two_currents.py`` does so too, and trains a network of it with e-prop.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, NamedTuple

from neko.cells import Cell
from neko.cells.surrogates import Triangular


class TwoCurrentAdExState(NamedTuple):
    """Membrane potential `v` (mV), fast and slow adaptation currents (mV, by the leak conductance), spike `z`."""

    v: Any
    fast: Any
    slow: Any
    z: Any


@dataclass(frozen=True, eq=False)
class TwoCurrentAdEx(Cell):
    r"""Spike-frequency adaptation on two time scales.

    .. math::
        τ_m \dot v = -(v - E_L) + Δ_T e^{(v - V_T)/Δ_T} - w_1 - w_2 + R I

        τ_i \dot w_i = a_i (v - E_L) - w_i, \qquad w_i ← w_i + b_i \text{ at a spike}

    by forward Euler. A spike is *v* above `v_peak`; in the next step *v* starts from `v_reset`. The exponent is
    capped where the spike is certain, so that no step overflows.

    Parameters
    ----------
    units : int
        Number of neurons.
    tau_m, tau_fast, tau_slow : float
        Time constants of membrane and adaptation currents in ms.
    a_fast, a_slow : float
        Subthreshold adaptation, relative to the leak conductance.
    b_fast, b_slow : float
        Adaptation per spike in mV.
    e_l, v_t, v_peak, v_reset, delta_t : float
        Leak reversal, exponential threshold, cut-off, reset and sharpness in mV.
    resistance : float
        R, mV per unit of current.
    detach_reset : bool
        Whether credit passes the reset; e-prop gives none.

    References
    ----------
    Brette & Gerstner (2005), doi:10.1152/jn.00686.2005, with a second current as Pozzorini et al. (2013),
    doi:10.1038/nn.3431, find adaptation on several time scales.
    """

    State: ClassVar[Any] = TwoCurrentAdExState
    spiking: ClassVar[bool] = True
    autapses: ClassVar[bool] = False

    _: KW_ONLY
    tau_m: float = 20.0
    tau_fast: float = 30.0
    tau_slow: float = 300.0
    a_fast: float = 0.1
    a_slow: float = 0.05
    b_fast: float = 4.0
    b_slow: float = 1.0
    e_l: float = -70.0
    v_t: float = -50.0
    v_peak: float = -40.0
    v_reset: float = -58.0
    delta_t: float = 2.0
    resistance: float = 100.0
    detach_reset: bool = False

    def initial_state(self, xp: Any, batch: int) -> TwoCurrentAdExState:
        rest = xp.zeros((batch, self.units))
        return TwoCurrentAdExState(rest + self.e_l, rest, rest, rest)

    def dynamics(self, xp: Any, state: TwoCurrentAdExState, current: Any) -> TwoCurrentAdExState:
        z = xp.stop_gradient(state.z) if self.detach_reset else state.z
        v = state.v + z * (self.v_reset - state.v)
        fast, slow = state.fast + self.b_fast * state.z, state.slow + self.b_slow * state.z
        exponent = xp.minimum((v - self.v_t) * (1.0 / self.delta_t), (self.v_peak - self.v_t) / self.delta_t)
        upswing = xp.exp(exponent + math.log(self.delta_t))
        above = v - self.e_l
        v = v + (self.dt / self.tau_m) * (upswing - above - fast - slow + self.resistance * current)
        fast = fast + (self.dt / self.tau_fast) * (self.a_fast * above - fast)
        slow = slow + (self.dt / self.tau_slow) * (self.a_slow * above - slow)
        emitted = Triangular()(xp, (v - self.v_peak) * (1.0 / (self.v_peak - self.e_l)))
        return TwoCurrentAdExState(v, fast, slow, emitted)


def main() -> None:
    """Prove it, then train it on scikit-learn's digits."""
    import neko

    print(neko.verify(TwoCurrentAdEx, backends=["torch"]))
    digits = neko.datasets.load("digits").one_hot()
    model = neko.Model(TwoCurrentAdEx(64), 10, "torch")
    evaluator = neko.Evaluator(model, loss="categorical_crossentropy", metrics=["accuracy", "firing_rate"])
    x = digits.x_train.repeat(4, axis=1)
    neko.Trainer(neko.Eprop(evaluator, learning_rate=3e-3)).train(x, digits.y_train, epochs=5, batch_size=32)


if __name__ == "__main__":
    main()
