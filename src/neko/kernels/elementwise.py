"""An element-wise function of arrays as one kernel: one pass over the memory, and not one for each operation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from typing import Any, NamedTuple

import numpy as np
from numba.core.errors import NumbaError

from neko import tree
from neko.kernels import numba
from neko.kernels.trace import Graph, Symbol, SymbolicBackend, Untraceable

FORM = """
def kernel(size{arrays}, K, V):
    {before}
    for j in range(size):
        {inside}
"""
ROUNDINGS = 64.0
"""Units of rounding by which a kernel may differ from the function, as other polynomials for exp do."""

PLAIN = {int, float, str, bool, type(None)}

Function = Callable[..., Any]
"""``(xp, constants, key, *arrays)`` to a tree of arrays."""
Path = tuple[tuple[int, int], ...]
"""How a key comes from the given one: for each split the number of keys, and which of them."""


class Plan(NamedTuple):
    """A kernel with its constants.

    It takes the arrays of the arguments, then random numbers: for each draw the name of the distribution and the path
    to its key. `places` has for each array of the result its place among those that the kernel makes or, below 0, -1
    minus its place among the arguments, for an array that is returned as it is.
    """

    kernel: Callable[..., Any]
    shape: tuple[int, ...]
    constants: np.ndarray
    draws: list[tuple[str, Path]]
    places: list[int]
    result: Any


PLANS: dict[Any, Plan | None] = {}
"""By function, constants and structure of the arguments; None where no kernel agrees with the function."""


def run(xp: Any, f: Function, constants: Any, key: Any, arrays: Any, array: Callable[[np.ndarray], Any]) -> Any:
    """``f(xp, constants, key, *arrays)`` for arrays of one shape and scalars, whose memory NumPy can share.

    `array` makes an array of the framework from NumPy's.
    """
    flat: list[Any] = []
    case = f, by_value(constants), outline(arrays, flat), xp.dtype_name
    try:
        found = PLANS[case]
    except TypeError:  # not all constants are numbers, so that they may change
        return f(xp, constants, key, *arrays)
    except KeyError:
        expected = f(xp, constants, key, *arrays)
        shape = max((tuple(a.shape) for a in flat), key=len)
        made = plan(f, constants, arrays, xp.dtype_name, shape) if all(fits(a, shape, xp.dtype) for a in flat) else None
        PLANS[case] = made if made is not None and agrees(xp, made, key, flat, tree.leaves(expected)) else None
        return expected
    if found is None:
        return f(xp, constants, key, *arrays)
    new = [array(a) for a in computed(xp, found, key, flat)]
    return tree.rebuild(found.result, (new[k] if k >= 0 else flat[-1 - k] for k in found.places))


def by_value(thing: Any) -> Any:
    """A data class by its type and all its attributes, anything else as it is."""
    if type(thing) in PLAIN or not is_dataclass(thing):
        return thing
    return type(thing), *[(name, by_value(value)) for name, value in vars(thing).items()]


def outline(arrays: Any, flat: list[Any]) -> Any:
    """What a plan depends on, as nested tuples; the arrays themselves are appended to a list."""
    if isinstance(arrays, tuple):
        return tuple([outline(a, flat) for a in arrays])
    if arrays is None:
        return None
    flat.append(arrays)
    return arrays.shape, arrays.dtype, arrays.is_contiguous(), arrays.requires_grad


def fits(a: Any, shape: tuple[int, ...], dtype: Any) -> bool:
    """Whether a kernel can read the memory of an array."""
    return a.dtype == dtype and tuple(a.shape) in (shape, ()) and a.is_contiguous() and not a.requires_grad


def plan(f: Function, constants: Any, arrays: Any, dtype: str, shape: tuple[int, ...]) -> Plan | None:
    """The kernel of a function; None if it is not element-wise."""
    flat = tree.leaves(arrays)
    xp = Tracer(Graph(dtype, 1))
    inputs = [xp.graph.input(f"a{i}") for i in range(len(flat))]
    try:
        result = f(xp, constants, (), *tree.rebuild(arrays, iter(inputs)))
        symbols = [xp.graph.symbol(value) for value in tree.leaves(result)]
    except Untraceable:
        return None
    given = {s.index: -1 - i for i, s in enumerate(inputs)}
    outputs = list(dict.fromkeys(s.index for s in symbols if s.index not in given))
    if any(xp.graph.is_condition(i) for i in outputs):
        return None
    leaves = {s.index: f"a{i}[j]" if a.ndim else f"a{i}[0]" for i, (s, a) in enumerate(zip(inputs, flat, strict=True))}
    leaves |= {xp.graph.input(name).index: f"{name}[j]" for name in xp.random.names()}
    names = [*(f"a{i}" for i in range(len(flat))), *xp.random.names(), *(f"o{k}" for k in range(len(outputs)))]
    text = numba.write(FORM, xp.graph, names, {f"o{k}[j]": i for k, i in enumerate(outputs)}, leaves)
    numbers = np.array([xp.graph.constants[p] for p in text.numbers], dtype=dtype)
    places = [given[s.index] if s.index in given else outputs.index(s.index) for s in symbols]
    return Plan(numba.compiled(text.text, xp.graph.dtype), shape, numbers, xp.random.draws, places, result)


def computed(xp: Any, found: Plan, key: Any, flat: list[Any]) -> list[np.ndarray]:
    """The arrays that the kernel makes."""
    drawn = (getattr(xp.random, kind)(at(xp, key, path), found.shape) for kind, path in found.draws)
    arguments = [a.numpy().reshape(-1) for a in (*flat, *drawn)]
    made = [np.empty(math.prod(found.shape), found.constants.dtype) for _ in range(1 + max(found.places, default=-1))]
    found.kernel(made[0].size, *arguments, *made, found.constants, found.constants)
    return [a.reshape(found.shape) for a in made]


def at(xp: Any, key: Any, path: Path) -> Any:
    """The key to which a path leads."""
    for count, place in path:
        key = xp.random.split(key, count)[place]
    return key


def agrees(xp: Any, found: Plan, key: Any, flat: list[Any], expected: list[Any]) -> bool:
    """Whether the kernel gives what the function gave: where types decide, a trace may take another branch."""
    try:
        made = computed(xp, found, key, flat)
    except NumbaError:
        return False
    for place, array in zip(found.places, expected, strict=True):
        a, b = made[place] if place >= 0 else flat[-1 - place].numpy(), array.numpy()
        bound = ROUNDINGS * np.finfo(b.dtype).eps
        if not np.allclose(a, b, rtol=bound, atol=bound * np.abs(b).max(initial=0.0), equal_nan=True):
            return False
    return True


class Tracer(SymbolicBackend):
    """``xp`` for a trace in which random numbers are further arguments."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph, differentiable=False)
        self.random = Draws(graph)

    def unstack(self, keys: list[Path]) -> list[Path]:
        return keys


class Draws:
    """Random numbers for a trace: a key is the path to it."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.draws: list[tuple[str, Path]] = []

    def names(self) -> Iterator[str]:
        return (f"r{k}" for k in range(len(self.draws)))

    def split(self, key: Path, count: int = 2) -> list[Path]:
        return [(*key, (count, place)) for place in range(count)]

    def uniform(self, key: Path, shape: tuple[int, ...]) -> Symbol:
        return self._draw("uniform", key, shape)

    def normal(self, key: Path, shape: tuple[int, ...]) -> Symbol:
        return self._draw("normal", key, shape)

    def _draw(self, kind: str, key: Path, shape: tuple[int, ...]) -> Symbol:
        if tuple(shape) != (1, self.graph.units):
            raise Untraceable(f"random numbers of shape {shape!r}, not of the arrays' shape")
        self.draws.append((kind, key))
        return self.graph.input(f"r{len(self.draws) - 1}")
