"""Reverse-mode differentiation of a graph, and the fewest values that it needs of the forward pass."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from neko.kernels.trace import Graph, Symbol


def share(graph: Graph, a: Symbol, b: Symbol) -> Symbol:
    """The share of the larger of a and b that is a's: 1, 0, or 1/2 if they are equal."""
    return graph.apply("where", a > b, 1.0, graph.apply("where", a < b, 0.0, 0.5))


PARTIALS: dict[str, Callable[..., tuple[Any, ...]]] = {
    # (graph, credit of the result, result, *arguments) -> credit of every argument; None: no derivative.
    "add": lambda g, c, y, a, b: (c, c),
    "sub": lambda g, c, y, a, b: (c, -c),
    "mul": lambda g, c, y, a, b: (c * b, c * a),
    "div": lambda g, c, y, a, b: (c / b, -c * y / b),
    "neg": lambda g, c, y, a: (-c,),
    "pow": lambda g, c, y, a, b: (c * b * g.apply("pow", a, b - 1.0), c * y * g.apply("log", a)),
    "exp": lambda g, c, y, a: (c * y,),
    "log": lambda g, c, y, a: (c / a,),
    "log1p": lambda g, c, y, a: (c / (a + 1.0),),
    "sqrt": lambda g, c, y, a: (c / (y + y),),
    "sin": lambda g, c, y, a: (c * g.apply("cos", a),),
    "cos": lambda g, c, y, a: (-c * g.apply("sin", a),),
    "tan": lambda g, c, y, a: (c * (y * y + 1.0),),
    "tanh": lambda g, c, y, a: (c * (1.0 - y * y),),
    "sigmoid": lambda g, c, y, a: (c * (y * (1.0 - y)),),
    "softplus": lambda g, c, y, a: (c * g.apply("sigmoid", a),),
    "abs": lambda g, c, y, a: (c * g.apply("sign", a),),
    "maximum": lambda g, c, y, a, b: (c * share(g, a, b), c * share(g, b, a)),
    "minimum": lambda g, c, y, a, b: (c * share(g, b, a), c * share(g, a, b)),
    "where": lambda g, c, y, p, a, b: (None, g.apply("where", p, c, 0.0), g.apply("where", p, 0.0, c)),
}


def pullback(graph: Graph, credits: dict[int, Symbol], inputs: tuple[int, ...]) -> list[Symbol | None]:
    """Credit of the inputs from the credit of nodes: the sum over all paths of the products of derivatives.

    None where no path of derivatives leads from an input to a node with credit.
    """
    count = 1 + max(credits, default=-1)
    depends = {i for i in inputs if i < count}
    for i in range(count):
        operation, arguments = graph.nodes[i]
        if operation in PARTIALS and not depends.isdisjoint(arguments[1:] if operation == "where" else arguments):
            depends.add(i)
    total = dict(credits)
    for i in range(count - 1, -1, -1):
        operation, arguments = graph.nodes[i]
        if i not in total or i not in depends or operation not in PARTIALS:
            continue
        symbols = [Symbol(graph, a) for a in arguments]
        partials = PARTIALS[operation](graph, total[i], Symbol(graph, i), *symbols)
        for a, credit in zip(arguments, partials, strict=True):
            if credit is not None and a in depends:
                total[a] = total[a] + credit if a in total else credit
    return [total[i] if i in depends and i in total else None for i in inputs]


def needed(graph: Graph, outputs: Iterable[int], given: Iterable[int] = ()) -> list[int]:
    """The nodes from which outputs are computed, in order; nothing is computed for nodes that are `given`."""
    known, found, waiting = set(given), set(), list(outputs)
    while waiting:
        i = waiting.pop()
        if i not in found:
            found.add(i)
            if i not in known:
                waiting += operands(graph, i)
    return sorted(found)


def operands(graph: Graph, index: int) -> tuple[int, ...]:
    """The arguments of a node that are nodes."""
    operation, arguments = graph.nodes[index]
    return () if operation in ("input", "constant") else arguments


def recorded(graph: Graph, outputs: Iterable[int], credits: Iterable[int], free: Iterable[int]) -> tuple[int, ...]:
    """The fewest nodes of the forward pass from which the backward pass can be computed.

    `outputs` are the results of the backward pass, `credits` its own inputs, and `free` the nodes that are kept anyway.
    The answer is a minimum cut between the inputs of the step and the factors that credit is multiplied with, of the
    cuts with the fewest nodes the one nearest to the inputs.
    """
    order = needed(graph, outputs)
    backward: set[int] = set()
    for i in order:
        if i in credits or not backward.isdisjoint(operands(graph, i)):
            backward.add(i)
    factors = {a for i in backward for a in operands(graph, i)} - backward
    varying: set[int] = set()
    for i in needed(graph, factors, free):
        if graph.nodes[i][0] == "input" or i in free or not varying.isdisjoint(operands(graph, i)):
            varying.add(i)
    network, unlimited = Flow(), len(varying) + 1
    for i in varying - set(free):
        network.join((i, "in"), (i, "out"), unlimited if graph.is_condition(i) else 1)
        if graph.nodes[i][0] == "input":
            network.join("start", (i, "in"), unlimited)
        for a in set(operands(graph, i)) & varying - set(free):
            network.join((a, "out"), (i, "in"), unlimited)
        if i in factors:
            network.join((i, "out"), "end", unlimited)
    reached = network.saturate("start", "end")
    return tuple(sorted(i for i in varying if (i, "in") in reached and (i, "out") not in reached))


class Flow:
    """A network of capacities; the maximum flow by shortest augmenting paths (Edmonds & Karp 1972)."""

    def __init__(self) -> None:
        self.capacity: dict[Any, dict[Any, int]] = {}

    def join(self, a: Any, b: Any, capacity: int) -> None:
        self.capacity.setdefault(a, {})[b] = capacity
        self.capacity.setdefault(b, {}).setdefault(a, 0)

    def saturate(self, start: Any, end: Any) -> set[Any]:
        """Push the maximum flow; what can still be reached from the start."""
        while True:
            came: dict[Any, Any] = {start: None}
            waiting = deque([start])
            while waiting and end not in came:
                here = waiting.popleft()
                for there, capacity in self.capacity.get(here, {}).items():
                    if capacity > 0 and there not in came:
                        came[there] = here
                        waiting.append(there)
            if end not in came:
                return set(came)
            path, there = [], end
            while came[there] is not None:
                path.append((came[there], there))
                there = came[there]
            flow = min(self.capacity[a][b] for a, b in path)
            for a, b in path:
                self.capacity[a][b] -= flow
                self.capacity[b][a] += flow
