"""The readout of a graph: what its output makes of the last neurons."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from neko.errors import ExchangeError
from neko.exchange.nir.discrete import discretised, gain, is_unit
from neko.exchange.nir.flat import Flat
from neko.exchange.nir.layer import matrix, row
from neko.exchange.nir.layers import Chain
from neko.exchange.nir.neurons import Steps
from neko.exchange.nir.others import width
from neko.exchange.nir.values import check_room, per_neuron, spelled, units_of
from neko.exchange.report import Entry


class Readout(NamedTuple):
    """Weights (n, outputs) and bias (outputs,), the options of a `neko.Model`, and the entries of the report."""

    weights: np.ndarray
    bias: np.ndarray
    options: dict[str, Any]
    entries: list[Entry]


def read_readout(graph: Flat, found: Chain, units: int, steps: Steps) -> Readout:
    """The readout; ExchangeError for an integrator with a bias, a leak potential or time constants that differ."""
    final, last, outputs = found.drives[found.output], found.neurons[-1], width(graph, found.output)
    bias = row(found.output, final, outputs)
    if found.integrator is None:
        return Readout(matrix(found.output, final, last, (outputs, units)).T, bias, {"tau_out": None}, [])
    name = found.integrator
    node, inward = graph.nodes[name], found.drives[name]
    n = units_of(name, node, "tau")
    tau, r, v_leak = (per_neuron(name, node, key, n) for key in ("tau", "r", "v_leak"))
    tau = discretised(name, tau, steps.dt, steps.method)
    if np.any(inward.bias) or v_leak.any() or np.any(tau != tau[0]):
        raise ExchangeError(
            f"node {name!r} (LI): it has a bias, a v_leak or several time constants, but Neko's readout adds its bias "
            "after the filter and has one tau_out: expected Affine behind LI, v_leak = 0 and one tau"
        )
    plain = is_unit(gain(tau, steps.dt) * r)
    into, out = matrix(name, inward, last, (n, units)), matrix(found.output, final, name, (outputs, n))
    check_room(found.output, outputs, units)
    weights = out @ (into if plain else r[:, None] * into)
    options = {"tau_out": float(tau[0]), "readout_scaling": not plain}
    kept = f"tau {spelled(tau, ' ms')}; R {spelled(r)}: the readout"
    return Readout(weights.T, bias, options, [Entry(name, "LI", kept)])
