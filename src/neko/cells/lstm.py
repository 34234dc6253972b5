"""Long short-term memory unit."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, NamedTuple

from neko.backend.protocol import Backend
from neko.cells.base import CELLS, Cell
from neko.cells.constants import finite, per_neuron, settle
from neko.typing import Array


class LSTMState(NamedTuple):
    """Cell memory `c` and output `h`."""

    c: Array
    h: Array


@CELLS.register("lstm")
@dataclass(frozen=True, eq=False, repr=False)
class LSTM(Cell):
    """Long short-term memory units.

    ``c_t = σ(I_1 + f) c_{t-1} + σ(I_0) tanh(I_2)``, ``h_t = σ(I_3) tanh(c_t)`` with the currents in the
    order input gate, forget gate, candidate, output gate.

    Parameters
    ----------
    units : int
        Number of units.
    forget_bias : float or sequence (n,)
        Constant f added to the forget gate, so that an untrained network keeps its memory.

    References
    ----------
    Hochreiter & Schmidhuber (1997), with the forget gate of Gers et al. (2000).
    """

    State: ClassVar[Any] = LSTMState
    input_currents: ClassVar[tuple[int, ...]] = (0, 1, 2, 3)
    recurrent_currents: ClassVar[tuple[int, ...]] = (0, 1, 2, 3)
    bias: ClassVar[bool] = True
    leaky_readout: ClassVar[bool] = False

    _: KW_ONLY
    forget_bias: Any = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        settle(self, self.units, finite, "forget_bias")

    def dynamics(
        self, xp: Backend, state: LSTMState, write: Array, forget: Array, candidate: Array, output: Array
    ) -> LSTMState:
        c = xp.sigmoid(forget + per_neuron(xp, self.forget_bias)) * state.c + xp.sigmoid(write) * xp.tanh(candidate)
        return LSTMState(c, xp.sigmoid(output) * xp.tanh(c))
