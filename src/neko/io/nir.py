"""Graphs of the Neuromorphic Intermediate Representation (NIR) in HDF5 files, as dicts of arrays.

A node is ``{"type": "LIF", "tau": array, …}``, a graph ``{"type": "NIRGraph", "nodes": {name: node}, "edges": [(from,
to), …]}``, as the methods ``to_dict`` of the package `nir` give them.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from neko.errors import ExchangeError
from neko.io import files, hdf5

Graph = dict[str, Any]


def read(path: str | Path) -> Graph:
    """The graph of a file, in which every node has a type and every edge two names of nodes.

    Raises
    ------
    ExchangeError
        For a file that is no NIR graph or is damaged, an edge to a node that is not there, and what `neko.io.hdf5`
        refuses.
    FileNotFoundError, ImportError
        If there is no such file, or no h5py.
    """
    found = hdf5.read(path)
    try:
        check(found.get("node"), "graph")
    except ExchangeError as error:
        raise ExchangeError(f"{path}: {error}") from error
    graph: Graph = found["node"]
    return graph


def check(node: Any, name: str) -> None:
    """ExchangeError unless it is a node or a graph of nodes."""
    if not isinstance(node, dict) or not isinstance(node.get("type"), str):
        raise ExchangeError(f"{name!r} is no node of NIR: expected a group with a 'type'")
    if node["type"] != "NIRGraph":
        return
    nodes, edges = node.get("nodes"), node.get("edges")
    pairs = isinstance(edges, list) and all(isinstance(edge, list) and len(edge) == 2 for edge in edges)
    if not isinstance(nodes, dict) or not isinstance(edges, list) or not pairs:
        raise ExchangeError(f"graph {name!r}: expected 'nodes', and 'edges' as pairs of names")
    for edge in edges:
        for end in edge:
            if end not in nodes:
                raise ExchangeError(
                    f"graph {name!r} has the edge {tuple(edge)!r}, but no node {end!r}: {sorted(nodes)}"
                )
    if len(set(map(tuple, edges))) < len(edges):
        raise ExchangeError(f"graph {name!r} has an edge twice: expected each once")
    for inner, part in nodes.items():
        check(part, inner)


def write(path: str | Path, graph: Graph) -> Path:
    """Write a graph by the package `nir`, which checks the types of its nodes; the file is whole or not there.

    Raises
    ------
    ImportError
        If `nir` is not installed.
    OSError
        If the file cannot be written.
    """
    try:
        import nir
    except ImportError as error:
        raise ImportError("files of NIR need the package nir: pip install 'neko-learning[nir]'") from error
    written = io.BytesIO()
    nir.write(written, nir.dict2NIRNode(graph))
    return files.write(path, written.getvalue())
