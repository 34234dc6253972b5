"""A layer of neurons on the chip, as compartments with integer weights, and its steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neko.exchange.fixed_point.formats import ALIGN, UNITY, decayed, saturated, wrapped


@dataclass(frozen=True, eq=False)
class Weights:
    """Mantissas (n_in, n) and the exponent e that they share: a spike adds ``mantissa · 2^(6+e)`` to a current."""

    mantissas: np.ndarray
    exponent: int

    def sum(self, spikes: np.ndarray) -> np.ndarray:
        """What spikes (batch, n_in) add to the currents (batch, n)."""
        # Sums of up to 2^40 weights are exact in float64, and many times faster than in integers.
        total = np.rint(spikes.astype(np.float64) @ self.mantissas.astype(np.float64)).astype(np.int64)
        return total << (self.exponent + ALIGN)


@dataclass(frozen=True, eq=False)
class Compartments:
    r"""Neurons with a current u and a potential v in 24 bits.

    .. math::
        u_t = \mathrm{wrap}([u_{t-1} (4096 - δ_u - 1) / 4096] + 2^{6+e} \sum_i m_i s_i), \quad
        v_t = \mathrm{sat}([v_{t-1} (4096 - δ_v) / 4096] + u_t + b)

    with brackets that round toward zero. A neuron with ``v > 64 vth`` spikes, and restarts from v = 0.

    Parameters
    ----------
    w_in, w_rec : Weights
        From the inputs, and from the neurons themselves one step before; `w_rec` may be None.
    du, dv : array (n,)
        Decays δ_u and δ_v from 0 to 4095. The chip adds 1 to δ_u, so that 4095 is a current without memory.
    vth : array (n,) or None
        Mantissas of the thresholds; None for outputs, which never spike.
    bias : array (n,)
        b, a mantissa times a power of two.
    """

    w_in: Weights
    w_rec: Weights | None
    du: np.ndarray
    dv: np.ndarray
    vth: np.ndarray | None
    bias: np.ndarray

    def advance(
        self, u: np.ndarray, v: np.ndarray, received: np.ndarray, own: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """u, v before the reset, and spikes, each (batch, n), after a step in which spikes arrive: those received, and
        the neurons' own of the step before."""
        arrived = self.w_in.sum(received)
        if self.w_rec is not None:
            arrived = arrived + self.w_rec.sum(own)
        u = wrapped(decayed(u, self.du + 1) + arrived)
        v = saturated(decayed(v, self.dv) + u + self.bias)
        return u, v, np.zeros_like(own) if self.vth is None else v > (self.vth << ALIGN)

    def run(self, spikes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """v before the reset, and spikes, (batch, time, n), for spikes (batch, time, n_in), from rest."""
        shape = (len(spikes), len(self.du))
        u, v, z = np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.zeros(shape, bool)
        potentials, emitted = [], []
        for received in spikes.swapaxes(0, 1):
            u, v, z = self.advance(u, v, received, z)
            potentials.append(v)
            emitted.append(z)
            v = np.where(z, 0, v)
        return np.stack(potentials, axis=1), np.stack(emitted, axis=1)

    def reach(self) -> np.ndarray:
        """The largest |u| of every neuron, if all that reaches it spiked at every step."""
        parts = (w for w in (self.w_in, self.w_rec) if w is not None)
        total: np.ndarray = sum(np.abs(w.mantissas).sum(axis=0) * 2.0 ** (w.exponent + ALIGN) for w in parts)
        return total * UNITY / (self.du + 1.0)
