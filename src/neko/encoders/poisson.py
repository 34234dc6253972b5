"""Poisson rate coding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neko.arguments import check_integer, check_number
from neko.encoders.base import ENCODERS
from neko.encoders.values import ValueEncoder


@ENCODERS.register("poisson", source="Heeger (2000), Poisson model of spike generation", random=True)
@dataclass(frozen=True)
class Poisson(ValueEncoder):
    r"""Random spikes of a Poisson process whose rate is set by the value.

    .. math::
        P(s_k = 1) = 1 - \exp(-r v \, dt)

    independently in each time step k of the sample's window: the probability of at least one event in the step, and not
    its approximation r v dt, which exceeds it. Each sample is coded by itself: sample 0, a constant signal and a signal
    of one sample spike like any other. The value `low` is silent.

    Parameters
    ----------
    steps : int
        Time steps of a sample.
    rate : float
        r, the rate of the value `high` in Hz.
    dt : float
        Time step in ms.
    seed : int
        Another seed gives other spikes.
    low, high : float
        As in `RangedEncoder`.

    Notes
    -----
    The random numbers are a hash of seed, channel, time step, and the signal up to this sample (SplitMix64): the same
    signal always has the same spikes, alone and in any batch; signals that differ have independent ones from the first
    difference on, and so have channels, also equal ones. No generator is shared, so that nothing depends on what was
    encoded before.

    There is no inverse: k spikes in n time steps estimate P by k / n with the standard error √(P (1 - P) / n).

    References
    ----------
    Heeger (2000), Poisson model of spike generation (lecture notes, Stanford); Dayan & Abbott (2001), Theoretical
    Neuroscience, section 1.4. SplitMix64: Steele, Lea & Flood (2014), doi:10.1145/2660193.2660195.

    Examples
    --------
    >>> spikes = Poisson(1000, rate=100.0).encode([0.0, 1.0])
    >>> float(spikes[:1000].sum()), bool(60 < spikes[1000:].sum() < 130)
    (0.0, True)
    """

    steps: int = 16
    rate: float = 200.0
    dt: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("steps", self.steps)
        check_number("rate", self.rate, positive=True)
        check_number("dt", self.dt, positive=True)
        check_integer("seed", self.seed, least=0)

    def pattern(self, v: np.ndarray) -> np.ndarray:
        batch, time, _, _, channels = v.shape
        p = -np.expm1(-self.rate * self.dt * 1e-3 * v[:, :, :, 0])
        bits = np.ascontiguousarray(v[:, :, 0, 0] + 0.0).view(np.uint64)  # + 0.0 makes one zero of both
        channel = mixed(np.arange(channels, dtype=np.uint64))
        place = mixed(np.arange(self.steps * channels, dtype=np.uint64)).reshape(self.steps, channels)
        past = mixed(np.full(batch, self.seed % 2**64, dtype=np.uint64))
        spikes = np.empty((batch, time, self.steps, channels), dtype=bool)
        for t in range(time):
            past = mixed(past + mixed(bits[:, t] ^ channel).sum(axis=1))
            spikes[:, t] = (mixed(past[:, None, None] ^ place) >> np.uint64(11)) * 2.0**-53 < p[:, t]
        return spikes[:, :, :, None]


def mixed(x: np.ndarray) -> np.ndarray:
    """One step of SplitMix64 from each state: 64 bits that look independent for any two states."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
