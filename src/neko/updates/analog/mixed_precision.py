"""Changes that wait in digital memory until they are as large as a pulse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from neko.backend.protocol import Backend
from neko.devices import Storage, Stored
from neko.typing import Array
from neko.updates.analog.following import Following
from neko.updates.registry import UPDATES


@UPDATES.register("mixed_precision")
@dataclass(frozen=True)
class MixedPrecision(Following):
    r"""Wanted changes are summed digitally; whole pulses are written, and what is left waits.

    .. math::
        χ ← χ + Δw, \qquad n = \mathrm{trunc}(χ / ε), \qquad χ ← χ - n ε

    with Δw the change that the optimizer wants and ε that of one pulse at mid-range. n pulses go to the devices, at
    most `most` in an update; the rest stays in χ. Costs one digital number per weight, and spares devices: small
    changes of both signs cancel before they are written. Where `most` pulses are less than the optimizer's changes,
    what waits grows and the devices lag behind: with the rate η of Adam, choose `most` of at least η / ε.

    Parameters
    ----------
    device, optimizer, learning_rate, most, w_max, digital, seconds, seed
        As for `Following`.

    References
    ----------
    Nandakumar et al. (2020), "Mixed-precision deep learning based on computational memory",
    doi:10.3389/fnins.2020.00406.

    Examples
    --------
    >>> import neko
    >>> from neko.devices import SoftBounds
    >>> model = neko.Evaluator(neko.LIF(8, 2, "torch"), loss="categorical_crossentropy")
    >>> pulses = MixedPrecision(device=SoftBounds(dg_min_dtod=0.3), optimizer="adam", learning_rate=1e-3)
    >>> rule = neko.Eprop(model, optimizer=pulses)
    """

    def memory(self, xp: Backend, key: Array, w: Array, stored: Stored) -> Any:
        """χ of each weight."""
        return xp.zeros_like(w)

    def change(
        self, xp: Backend, key: Array, storage: Storage, stored: Stored, own: Any, wanted: Array
    ) -> tuple[Stored, Any]:
        return self.write_whole(xp, key, storage, stored, own + wanted)
