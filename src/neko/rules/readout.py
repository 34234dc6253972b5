"""The gradient of the readout, which is the same for every rule."""

from __future__ import annotations

from neko.backend.protocol import Backend
from neko.models.readout import LeakyReadout
from neko.rules.eligibility import outer_sum
from neko.rules.forward import Recorded
from neko.typing import Array


def readout_gradients(
    xp: Backend, readout: LeakyReadout, recorded: Recorded, filtered: tuple[Array, ...] | None
) -> tuple[Array, list[Array]]:
    """Gradient of ``b_out``, and of a readout (n, outputs) at each layer, of which the last is ``w_out``; `filtered`
    is the κ-filtered emission (batch, n) of each layer before this chunk, None at the start of a sequence."""
    gradients = []
    for i, trace in enumerate(recorded.traces):
        gradient = outer_sum(xp, trace.z, recorded.credit)
        if filtered is not None:
            gradient = gradient + xp.matrix_transpose(filtered[i]) @ (readout.kappa * recorded.credit[0])
        gradients.append(gradient)
    return xp.sum(recorded.error, axis=(0, 1)), gradients
