"""Plain recurrent unit."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, NamedTuple

from neko.arguments import check_choice
from neko.backend.protocol import Backend
from neko.cells.base import CELLS, Cell
from neko.typing import Array

ACTIVATIONS = ("tanh", "sigmoid", "relu")


class RNNState(NamedTuple):
    """Activity `z`."""

    z: Array


@CELLS.register("rnn")
@dataclass(frozen=True, eq=False, repr=False)
class RNN(Cell):
    """Elman units (ordinary recurrent network), ``z_t = f(I_t)``.

    Parameters
    ----------
    units : int
        Number of units.
    activation : {'tanh', 'sigmoid', 'relu'}
        The function f.
    """

    State: ClassVar[Any] = RNNState
    bias: ClassVar[bool] = True
    leaky_readout: ClassVar[bool] = False

    _: KW_ONLY
    activation: str = "tanh"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("activation", self.activation, ACTIVATIONS)

    @property
    def response_decay(self) -> float:
        """0: a unit without a state."""
        return 0.0

    def dynamics(self, xp: Backend, state: RNNState, current: Array) -> RNNState:
        if self.activation == "relu":
            return RNNState(xp.maximum(current, 0.0))
        return RNNState(getattr(xp, self.activation)(current))
