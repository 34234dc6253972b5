"""Neuron models: what one step does to the state of a neuron."""

from neko.cells.adex import AdEx
from neko.cells.alif import ALIF
from neko.cells.base import Cell
from neko.cells.dendritic import Dendritic
from neko.cells.gru import GRU
from neko.cells.lif import LIF
from neko.cells.lstm import LSTM
from neko.cells.registry import CELLS, get
from neko.cells.rnn import RNN

__all__ = ["ALIF", "CELLS", "GRU", "LIF", "LSTM", "RNN", "AdEx", "Cell", "Dendritic", "get"]
