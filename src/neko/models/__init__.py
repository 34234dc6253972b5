"""What can be trained: networks of cells, and a person's own PyTorch or Keras model."""

from neko.models.adapt import adapt
from neko.models.adapted import Adapted
from neko.models.base import Trainable
from neko.models.model import ALIF, GRU, LIF, LSTM, RNN, AdEx, Dendritic, Model

__all__ = ["ALIF", "GRU", "LIF", "LSTM", "RNN", "AdEx", "Adapted", "Dendritic", "Model", "Trainable", "adapt"]
