"""The control in which only the readout learns."""

from __future__ import annotations

from typing import Any

from neko.models.network import Params
from neko.objective import Batch
from neko.rules.base import Gradient
from neko.rules.exact.bptt import BPTT
from neko.training.deviations import is_readout


class ReadoutOnly(BPTT):
    """BPTT of the readout: the weights of the neurons stay as they were drawn, as in a reservoir."""

    def differentiate(self, params: Params, feedback: Params, batch: Batch, carry: Any) -> Gradient:
        found = super().differentiate(params, feedback, batch, carry)
        zeros = self.xp.zeros_like
        return found._replace(
            gradients={name: g if is_readout(name) else zeros(g) for name, g in found.gradients.items()}
        )
