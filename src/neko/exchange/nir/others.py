"""What concerns the whole network: its input and outputs, its weights, and their entries in the report."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from neko.errors import ExchangeError
from neko.exchange.nir.flat import Flat
from neko.exchange.nir.linear import LINEAR
from neko.exchange.nir.neurons import Steps
from neko.exchange.nir.values import entry
from neko.exchange.report import Entry
from neko.models import Model


def width(whole: Flat, name: str) -> int:
    """The number of values of an Input or Output, which have one axis."""
    shape = [int(n) for n in entry(name, whole.nodes[name], "shape").ravel()]
    if any(n < 1 for n in shape) or sum(n > 1 for n in shape) > 1:
        raise ExchangeError(
            f"node {name!r} ({whole.nodes[name]['type']}) has shape {tuple(shape)!r}: expected one axis, since it "
            "does not say in which order the others are laid flat"
        )
    return math.prod(shape)


def check_finite(params: dict[str, np.ndarray]) -> None:
    """ExchangeError for weights that have overflowed."""
    for name, w in params.items():
        if not np.isfinite(w).all():
            raise ExchangeError(f"{name} is not finite: expected smaller weights and resistances")


def network_entry(steps: Steps, model: Model) -> Entry:
    """How time is cut into steps, and what the backend does to the weights."""
    single = model.xp.dtype_name == "float32"
    kept = f"dt {steps.dt:g} ms; decays by {steps.method}; potentials start at v_reset, currents at 0"
    return Entry("network", "NIRGraph", kept, "weights are rounded to float32" if single else "")


def linear_entries(whole: Flat) -> Iterator[Entry]:
    """An entry for each linear node."""
    for name, node in whole.nodes.items():
        if node["type"] in LINEAR:
            shape = entry(name, node, "scale" if node["type"] == "Scale" else "weight").shape
            yield Entry(name, node["type"], f"{' x '.join(map(str, shape))}, in the weights of the layer that it feeds")
