"""Neuron models: the map from the state and the currents of one step to the next state.

Each neuron is a file of this folder; ``neko.cells.LIF`` is found in the registry `CELLS` by the name of its class.
"""

from typing import Any

from neko.cells.base import CELLS, Cell, classes
from neko.cells.integrate_and_fire import IntegrateAndFire
from neko.cells.learnable import Learnable
from neko.cells.quantiser import Quantiser

get = CELLS.get


def __getattr__(name: str) -> Any:
    if name in classes():
        return classes()[name]
    raise AttributeError(f"module 'neko.cells' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *classes()])


__all__ = ["CELLS", "Cell", "IntegrateAndFire", "Learnable", "Quantiser", "classes", "get"]
