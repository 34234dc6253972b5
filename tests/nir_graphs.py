"""Graphs of NIR, by hand, for tests."""

from __future__ import annotations

import numpy as np

from neko.exchange.nir.from_graph import translated


def graph(edges, **nodes):
    """A graph from its edges, as 'a b, b c', and nodes by name, as ('LIF', tau=…)."""
    made = {name: {"type": kind, **{k: as_array(v) for k, v in own.items()}} for name, (kind, own) in nodes.items()}
    return {"type": "NIRGraph", "nodes": made, "edges": [tuple(edge.split()) for edge in edges.split(", ")]}


def as_array(value):
    return value if isinstance(value, dict) else np.asarray(value)


def lif(n=1, **changes):
    """A node LIF."""
    zeros = np.zeros(n)
    own = {"tau": zeros + 0.02, "r": zeros + 1.0, "v_leak": zeros, "v_threshold": zeros + 1.0, "v_reset": zeros}
    return ("LIF", own | changes)


def cuba(n=1, **changes):
    """A node CubaLIF."""
    zeros = np.zeros(n)
    own = {"tau_mem": zeros + 0.02, "tau_syn": zeros + 0.005, "r": zeros + 1.0, "w_in": zeros + 1.0}
    return ("CubaLIF", own | {"v_leak": zeros, "v_threshold": zeros + 1.0, "v_reset": zeros} | changes)


def alone(neuron, weight=1.0, n=1):
    """One neuron behind one weight; its spikes are the output."""
    ends = {"inp": ("Input", {"shape": [n]}), "out": ("Output", {"shape": [n]})}
    return graph("inp w, w a, a out", w=("Linear", {"weight": weight * np.eye(n)}), a=neuron, **ends)


def imported(made, xp="torch", *, dt, method=None, reset=None):
    """The network of a graph, without a file."""
    return translated(made, xp, dt=dt, method=method, reset=reset, task_type=None).model
