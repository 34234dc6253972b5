"""The cells by name."""

from __future__ import annotations

from neko.cells.adex import AdEx
from neko.cells.alif import ALIF
from neko.cells.base import Cell
from neko.cells.dendritic import Dendritic
from neko.cells.gru import GRU
from neko.cells.lif import LIF
from neko.cells.lstm import LSTM
from neko.cells.rnn import RNN

CELLS: dict[str, type[Cell]] = {
    "rnn": RNN,
    "lif": LIF,
    "alif": ALIF,
    "gru": GRU,
    "lstm": LSTM,
    "adex": AdEx,
    "dendritic": Dendritic,
}


def get(name: str) -> type[Cell]:
    """The cell class of a name; ValueError lists the names there are."""
    if not isinstance(name, str) or name not in CELLS:
        raise ValueError(f"cell {name!r}: expected one of {sorted(CELLS)}")
    return CELLS[name]
