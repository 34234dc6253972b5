"""Models that can be trained: networks of cells, and a user's own PyTorch or Keras model.

``neko.models.LIF``, ``neko.models.ALIF`` … are the constructors of all cells of the registry.
"""

from typing import Any

from neko.cells import classes
from neko.models.adapt import adapt
from neko.models.adapted import Adapted
from neko.models.base import Trainable
from neko.models.constructors import constructor
from neko.models.converters import Converters
from neko.models.model import Model


def __getattr__(name: str) -> Any:
    if name in classes():
        return constructor(classes()[name])
    raise AttributeError(f"module 'neko.models' has no attribute {name!r}")


__all__ = ["Adapted", "Converters", "Model", "Trainable", "adapt", "constructor"]
