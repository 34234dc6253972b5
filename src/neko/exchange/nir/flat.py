"""A graph without graphs in it: the nodes of nested ones by their path, and edges through their inputs and outputs."""

from __future__ import annotations

from typing import NamedTuple

from neko.errors import ExchangeError
from neko.exchange.nir.adaptive import is_alif
from neko.io.nir import Graph

ADAPTIVE = "ALIF"
"""The type that the sub-graph of an ALIF has here."""
MANY = 1000
"""Largest number of nodes."""


class Flat(NamedTuple):
    """Nodes by name, and for every node those that feed it."""

    nodes: dict[str, Graph]
    sources: dict[str, list[str]]


def flat(graph: Graph) -> Flat:
    """The nodes of a graph and of all graphs in it; ExchangeError for more than `MANY`."""
    nodes: dict[str, Graph] = {}
    edges: list[tuple[str, str]] = []
    collect(graph, "", nodes, edges)
    if len(nodes) > MANY:
        raise ExchangeError(f"a graph of {len(nodes)} nodes: expected at most {MANY}")
    sources: dict[str, list[str]] = {name: [] for name in nodes}
    for start, end in edges:
        sources[end].append(start)
    return Flat(nodes, sources)


def collect(graph: Graph, prefix: str, nodes: dict[str, Graph], edges: list[tuple[str, str]]) -> None:
    """Add the nodes and edges of a graph; a nested one is entered by its Input and left by its Output."""
    doors: dict[str, dict[str, str]] = {}
    for name, node in graph["nodes"].items():
        path = f"{prefix}{name}"
        if node["type"] != "NIRGraph":
            nodes[path] = node
        elif is_alif(node):
            nodes[path] = {**node, "type": ADAPTIVE}
        else:
            collect(node, f"{path}/", nodes, edges)
            doors[name] = {kind: f"{path}/{the(kind, node, path)}" for kind in ("Input", "Output")}
    for start, end in graph["edges"]:
        edges.append(
            (
                doors[start]["Output"] if start in doors else f"{prefix}{start}",
                doors[end]["Input"] if end in doors else f"{prefix}{end}",
            )
        )


def the(kind: str, graph: Graph, name: str) -> str:
    """The name of the one node of a type, Input or Output."""
    found = [inner for inner, node in graph["nodes"].items() if node["type"] == kind]
    if len(found) != 1:
        raise ExchangeError(f"graph {name!r} has {len(found)} nodes of type {kind}: expected one")
    return found[0]
