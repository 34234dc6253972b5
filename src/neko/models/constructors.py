"""The constructors of Listing 1: ``LIF(128, 10, backend)`` is a network of `neko.cells.LIF` neurons."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from numbers import Integral
from typing import Any

from neko import arguments
from neko.cells import Cell
from neko.models.model import Model

DOCUMENTATION = """A network of `neko.cells.{cell}`, with a readout and parameters on a backend.

Parameters
----------
units : int or sequence of int
    Neurons per layer.
outputs, backend, task_type, tau_out, readout_scaling, bidirectional, seed
    See `neko.Model`; by default ``tau_out={tau_out}``.
**options
    Options of `neko.cells.{cell}`, the same for all layers.

Returns
-------
neko.Model
    Its parameters are drawn at the first data, or by its method ``build``.
"""


@functools.cache
def constructor(cell: type[Cell]) -> Callable[..., Model]:
    """The function that builds a `Model` of one kind of cell, with the options of the model and of the cell."""
    of_model = {
        name: parameter.replace(default=None) if name == "tau_out" and not cell.leaky_readout else parameter
        for name, parameter in arguments.of_constructor(Model).items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    of_cell = {
        name: parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in arguments.of_constructor(cell).items()
        if name not in ("self", "units")
    }

    def make(units: Any, outputs: int, backend: Any, **options: Any) -> Model:
        own = {name: options.pop(name, parameter.default) for name, parameter in of_model.items()}
        for name in options:
            if name not in of_cell:
                known = [*of_model, *of_cell]
                raise TypeError(f"{cell.__name__} has no option {name!r}: expected one of {known!r}")
        single = isinstance(units, Integral)
        widths = [units] if single else arguments.as_list("units", units, "[128, 64], or a number")
        return Model([cell(n, **options) for n in widths], outputs, backend, **own)

    leading = [*inspect.signature(make).parameters.values()][:3]
    make.__signature__ = inspect.Signature([*leading, *of_model.values(), *of_cell.values()])  # type: ignore[attr-defined]
    make.__doc__ = DOCUMENTATION.format(cell=cell.__name__, tau_out=of_model["tau_out"].default)
    make.__module__, make.__name__, make.__qualname__ = "neko", cell.__name__, cell.__name__
    return make
