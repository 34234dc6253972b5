"""The layers of a graph, from its input to its output: a chain of neurons, each perhaps connected to itself, which ends
in linear nodes with at most one leaky integrator among them."""

from __future__ import annotations

from typing import NamedTuple

from neko.errors import ExchangeError
from neko.exchange.nir.flat import ADAPTIVE, Flat
from neko.exchange.nir.linear import LINEAR, Drive, drives
from neko.exchange.nir.neurons import READERS

SPIKING = (*READERS, ADAPTIVE)
INTEGRATOR = "LI"


class Chain(NamedTuple):
    """Names of the neurons in order, of the integrator of the readout, of the input and output, and what drives each
    node that is not linear."""

    neurons: list[str]
    integrator: str | None
    source: str
    output: str
    drives: dict[str, Drive]


def chain(graph: Flat) -> Chain:
    """The layers; ExchangeError, with the names of the nodes, for a graph that is no such chain."""
    for name, node in graph.nodes.items():
        if node["type"] not in (*SPIKING, *LINEAR, INTEGRATOR, "Input", "Output"):
            raise ExchangeError(
                f"node {name!r} is a {node['type']}: expected {', '.join(READERS)}, {INTEGRATOR}, {', '.join(LINEAR)}, "
                "Input or Output, or the sub-graph of an ALIF"
            )
    source, output = (outer(graph, kind) for kind in ("Input", "Output"))
    passed = {name for name, node in graph.nodes.items() if node["type"] in ("Input", "Output")} - {source, output}
    driven = drives(graph, passed)
    neurons: list[str] = []
    last = source
    while following := [n for n in kind_of(graph, SPIKING) if last in driven[n].weights and n not in (*neurons, last)]:
        if len(following) > 1:
            raise ExchangeError(f"{last!r} feeds {following!r} side by side: expected one layer after another")
        (last,) = following
        neurons.append(last)
    if not neurons or len(neurons) < len(kind_of(graph, SPIKING)):
        missed = set(kind_of(graph, SPIKING)) - set(neurons)
        raise ExchangeError(f"neurons {sorted(missed)!r} are not reached from {source!r}: expected a chain of layers")
    integrators = kind_of(graph, (INTEGRATOR,))
    if len(integrators) > 1:
        raise ExchangeError(f"nodes {integrators!r} (LI): expected at most one, in the readout")
    integrator = integrators[0] if integrators else None
    expected = [(name, {before, name}) for before, name in zip([source, *neurons], neurons, strict=False)]
    expected += [(integrator, {last})] if integrator is not None else []
    expected += [(output, {integrator or last})]
    for name, allowed in expected:
        others = driven[name].weights.keys() - allowed
        if others or (name not in neurons and not driven[name].weights):
            raise ExchangeError(
                f"node {name!r} is fed by {sorted(driven[name].weights)!r}: expected {sorted(allowed)!r} only, since "
                "layers are a chain, without ways around or back"
            )
    return Chain(neurons, integrator, source, output, driven)


def kind_of(graph: Flat, kinds: tuple[str, ...]) -> list[str]:
    """The names of the nodes of these types."""
    return [name for name, node in graph.nodes.items() if node["type"] in kinds]


def outer(graph: Flat, kind: str) -> str:
    """The Input or Output of the whole graph."""
    found = [name for name in kind_of(graph, (kind,)) if "/" not in name]
    if len(found) != 1:
        raise ExchangeError(f"the graph has {len(found)} nodes of type {kind}: expected one")
    if kind == "Input" and graph.sources[found[0]]:
        raise ExchangeError(f"Input {found[0]!r} is fed by {graph.sources[found[0]]!r}: expected nothing before it")
    return found[0]
