"""Pulses with a probability that keeps the wanted change in the mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from neko.backend.protocol import Backend
from neko.devices import Storage, Stored
from neko.typing import Array
from neko.updates.analog.following import Following
from neko.updates.registry import UPDATES


@UPDATES.register("probabilistic_pulses")
@dataclass(frozen=True)
class ProbabilisticPulses(Following):
    r"""A pulse comes with the probability that keeps the wanted change in the mean.

    .. math::
        n = \mathrm{sign}(Δw)\, \lfloor |Δw| / ε + u \rfloor, \qquad u \sim U(0, 1), \qquad E[n ε] = Δw

    with Δw the change that the optimizer wants and ε that of one pulse at mid-range; at most `most` pulses, so that
    changes above ``most ε`` are cut. Needs no memory.

    Parameters
    ----------
    device, optimizer, learning_rate, most, w_max, digital, seconds, seed
        As for `Following`.

    References
    ----------
    Stochastic rounding: Gupta et al. (2015), arXiv 1502.02551. Probabilistic updates of binary synapses: Fusi & Abbott
    (2007), doi:10.1038/nn1859.
    """

    def change(
        self, xp: Backend, key: Array, storage: Storage, stored: Stored, own: Any, wanted: Array
    ) -> tuple[Stored, Any]:
        return self.write_by_chance(xp, key, storage, stored, wanted), own
