"""Gated recurrent unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from neko.backend.protocol import Backend
from neko.cells.base import CELLS, Cell
from neko.typing import Array


class GRUState(NamedTuple):
    """Activity `h`."""

    h: Array


@CELLS.register("gru")
@dataclass(frozen=True, eq=False, repr=False)
class GRU(Cell):
    """Gated recurrent units, with the reset gate applied after the recurrent product.

    ``u = σ(I_0)``, ``r = σ(I_1)``, ``c = tanh(I_2 + r I_3)``, ``h_t = u h_{t-1} + (1 - u) c``. The
    input feeds currents 0, 1, 2 and the recurrence 0, 1, 3: the two parts of the candidate are
    separate currents because the gate scales only the recurrent one, which keeps the step element-wise.

    References
    ----------
    Cho et al. (2014), arXiv:1406.1078, in the "reset after" form of cuDNN.
    """

    State: ClassVar[Any] = GRUState
    input_currents: ClassVar[tuple[int, ...]] = (0, 1, 2)
    recurrent_currents: ClassVar[tuple[int, ...]] = (0, 1, 3)
    bias: ClassVar[bool] = True
    leaky_readout: ClassVar[bool] = False

    def dynamics(
        self, xp: Backend, state: GRUState, update: Array, reset: Array, candidate: Array, recurrent: Array
    ) -> GRUState:
        u = xp.sigmoid(update)
        c = xp.tanh(candidate + xp.sigmoid(reset) * recurrent)
        return GRUState(u * state.h + (1.0 - u) * c)
