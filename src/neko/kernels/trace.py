"""The step of a cell as a graph of element-wise operations, by running ``dynamics`` once on symbols."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from neko.cells.base import Cell
from neko.cells.learnable import bound, learnt


class Untraceable(Exception):  # noqa: N818
    """A step that is not a graph of element-wise operations; the message says why."""


CONDITIONS = frozenset(["gt", "ge", "lt", "le", "eq", "ne", "and", "or", "not", "isfinite"])
"""Operations whose result is true or false."""

FOLDED: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "neg": operator.neg,
    "pow": operator.pow,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
    "eq": operator.eq,
    "ne": operator.ne,
    "and": np.logical_and,
    "or": np.logical_or,
    "not": np.logical_not,
    "sigmoid": lambda x: 1.0 / (1.0 + np.exp(-x)),
    "softplus": lambda x: np.logaddexp(x, x * 0),
    "stop": lambda x: x,
    **{
        name: getattr(np, name)
        for name in ["exp", "log", "log1p", "sqrt", "tanh", "sin", "cos", "tan", "abs", "sign", "floor", "maximum"]
    },
    **{name: getattr(np, name) for name in ["exp", "log", "log1p", "sqrt", "tanh", "sin", "cos", "tan"]},
    **{name: getattr(np, name) for name in ["abs", "sign", "floor", "maximum", "minimum", "where", "isfinite"]},
}
"""The operations of a graph, as functions of constants."""


class Graph:
    """Operations in the order in which they can be computed, each one once.

    Node *i* is ``nodes[i] = (operation, arguments)``, with earlier nodes as arguments; ``('input', name)`` and
    ``('constant', position)`` have none. ``constants`` are numbers or rows (n,), which a kernel takes as arguments: the
    same graph with other constants is the same kernel. The first ``traced`` are the cell's own; a constant of a
    derivative is never one of them, since it would change with the cell.
    """

    def __init__(self, dtype: str, units: int) -> None:
        self.dtype = np.dtype(dtype)
        self.units = units
        self.nodes: list[tuple[str, tuple[Any, ...]]] = []
        self.constants: list[np.ndarray] = []
        self.traced = 0
        self._known: dict[Any, int] = {}

    def node(self, operation: str, *arguments: Any) -> Symbol:
        """The node of an operation, new only if there is none yet."""
        key = operation, arguments
        if key not in self._known:
            self._known[key] = len(self.nodes)
            self.nodes.append(key)
        return Symbol(self, self._known[key])

    def input(self, name: str) -> Symbol:
        return self.node("input", name)

    def constant(self, value: Any) -> Symbol:
        """The node of a number or of one number per neuron."""
        found = np.asarray(value, dtype=self.dtype)
        if found.size == 1:
            found = found.reshape(())
        elif found.shape == (1,) * (found.ndim - 1) + (self.units,):
            found = found.reshape(self.units)
        else:
            raise Untraceable(f"a constant of shape {found.shape!r} is neither one number nor one per neuron")
        key = self.traced, found.shape, found.tobytes()
        if key not in self._known:
            self._known[key] = len(self.constants)
            self.constants.append(found)
        return self.node("constant", self._known[key], found.ndim)

    def symbol(self, value: Any) -> Symbol:
        """A value as a node of this graph."""
        if isinstance(value, Symbol):
            return value
        if isinstance(value, bool | int | float | np.number | np.ndarray | np.bool_):
            if isinstance(value, np.ndarray) and value.dtype == bool:
                return self.constant(value) != 0.0
            return self.constant(value)
        raise Untraceable(f"a value of type {type(value).__name__} is not of this backend's API")

    def apply(self, operation: str, *values: Any) -> Any:
        """An operation on symbols and constants; on constants alone a constant."""
        if not any(isinstance(value, Symbol) for value in values):
            return FOLDED[operation](*values)
        return self.node(operation, *(self.symbol(value).index for value in values))

    def is_condition(self, index: int) -> bool:
        return self.nodes[index][0] in CONDITIONS


def binary(operation: str, swapped: bool = False) -> Callable[[Symbol, Any], Any]:
    def apply(self: Symbol, other: Any) -> Any:
        try:
            return self.graph.apply(operation, *((other, self) if swapped else (self, other)))
        except Untraceable:
            if hasattr(other, "shape"):
                raise
            return NotImplemented

    return apply


def refused(what: str) -> Callable[..., Any]:
    def refuse(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise Untraceable(f"the step takes {what} of a value, which is not known when it is traced")

    return refuse


class Symbol:
    """The value of a node, one number per neuron and sequence."""

    __array_ufunc__ = None  # NumPy's arrays leave the operators to this class

    def __init__(self, graph: Graph, index: int) -> None:
        self.graph = graph
        self.index = index

    @property
    def shape(self) -> tuple[int, int]:
        return 1, self.graph.units

    @property
    def dtype(self) -> Any:
        return np.dtype(bool) if self.graph.is_condition(self.index) else self.graph.dtype

    __add__, __radd__ = binary("add"), binary("add", swapped=True)
    __sub__, __rsub__ = binary("sub"), binary("sub", swapped=True)
    __mul__, __rmul__ = binary("mul"), binary("mul", swapped=True)
    __truediv__, __rtruediv__ = binary("div"), binary("div", swapped=True)
    __gt__, __ge__, __lt__, __le__ = binary("gt"), binary("ge"), binary("lt"), binary("le")
    __and__, __rand__, __or__, __ror__ = binary("and"), binary("and"), binary("or"), binary("or")
    __eq__, __ne__ = binary("eq"), binary("ne")
    __hash__ = object.__hash__
    __bool__, __float__, __int__, __index__ = (refused(w) for w in ("the truth", "a float", "an int", "an index"))
    __len__, __iter__, __getitem__ = refused("the length"), refused("the entries"), refused("a part")
    __array__ = refused("the array")

    def __neg__(self) -> Any:
        return self.graph.apply("neg", self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return self.graph.apply("abs", self)

    def __invert__(self) -> Any:
        return self.graph.apply("not", self)

    def __pow__(self, power: Any) -> Any:
        is_two = isinstance(power, int | float) and power == 2
        return self * self if is_two else self.graph.apply("pow", self, power)

    def __rpow__(self, base: Any) -> Any:
        return self.graph.apply("pow", base, self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise Untraceable(f"the step uses .{name} of an array, which backends do not share")


class SymbolicBackend:
    """``xp`` for a trace: element-wise functions and constants; anything else is refused by its name."""

    name = "trace"
    compiles = fuses = False

    def __init__(self, graph: Graph, *, differentiable: bool) -> None:
        self.graph = graph
        self.differentiable = differentiable
        self.dtype = graph.dtype
        self.dtype_name = graph.dtype.name

    def __getattr__(self, name: str) -> Any:
        renamed = {"logical_and": "and", "logical_or": "or", "logical_not": "not", "stop_gradient": "stop"}
        operation = renamed.get(name, name)
        if operation not in FOLDED:
            raise Untraceable(f"xp.{name} is not an element-wise function that kernels know")
        return lambda *values: self.graph.apply(operation, *values)

    def asarray(self, x: Any, *, dtype: Any = None) -> Any:
        if isinstance(x, Symbol):
            return x
        return np.asarray(x.detach().cpu() if hasattr(x, "detach") else x, dtype=dtype or self.dtype)

    def square(self, x: Any) -> Any:
        return x * x

    def pow(self, x: Any, power: Any) -> Any:
        return x**power

    def clip(self, x: Any, least: Any = None, largest: Any = None) -> Any:
        x = x if least is None else self.maximum(x, least)
        return x if largest is None else self.minimum(x, largest)

    def astype(self, x: Any, dtype: Any) -> Any:
        if not isinstance(x, Symbol):
            return np.asarray(x).astype(dtype)
        if np.dtype(dtype) != self.dtype:
            raise Untraceable(f"xp.astype to {dtype!r}: kernels compute in one precision")
        return self.graph.apply("where", x, 1.0, 0.0) if self.graph.is_condition(x.index) else x

    def zeros_like(self, x: Any) -> Any:
        return self.dtype.type(0.0) if isinstance(x, Symbol) else np.zeros_like(x)

    def ones_like(self, x: Any) -> Any:
        return self.dtype.type(1.0) if isinstance(x, Symbol) else np.ones_like(x)


class Trace:
    """The step of a cell as a graph.

    Attributes
    ----------
    graph : Graph
        All operations.
    fields : tuple of int
        Inputs of the graph: the arrays of the state before the step, without unused fields; the last is the emission.
    currents : tuple of int
        Inputs of the graph: the currents, then the parameters of constants that learn.
    after, smooth : tuple of int
        The fields after the step, as they are computed, and as they are differentiated: with surrogates for spikes.
    used : tuple of bool
        Which fields of the state are arrays, not None.
    """

    def __init__(self, cell: Cell, dtype: str, used: tuple[bool, ...]) -> None:
        self.graph = Graph(dtype, cell.units)
        names = [f"h{i}" for i, u in enumerate(used) if u]
        inputs = iter([self.graph.input(name) for name in names])
        state = cell.State(*(next(inputs) if u else None for u in used))
        currents = [self.graph.input(f"i{c}") for c in range(cell.n_currents + len(learnt(cell)))]
        self.used = used
        self.fields = tuple(self.graph.input(name).index for name in names)
        self.currents = tuple(c.index for c in currents)
        self.after = self._run(cell, state, currents, differentiable=False)
        self.smooth = self._run(cell, state, currents, differentiable=True)
        self.graph.traced = len(self.graph.constants)

    def _run(self, cell: Cell, state: Any, currents: list[Symbol], *, differentiable: bool) -> tuple[int, ...]:
        xp: Any = SymbolicBackend(self.graph, differentiable=differentiable)
        k = cell.n_currents
        after = tuple(bound(xp, cell, currents[k:]).dynamics(xp, state, *currents[:k]))
        if tuple(a is not None for a in after) != self.used:
            raise Untraceable("the step returns a state with other fields than it takes")
        found = [self.graph.symbol(a) for a in after if a is not None]
        return tuple(xp.astype(a, self.graph.dtype).index for a in found)


def trace(cell: Cell, dtype: str, used: tuple[bool, ...]) -> Trace:
    """The trace of a cell whose state has the arrays marked by `used`; Untraceable with the reason if there is none."""
    try:
        return Trace(cell, dtype, used)
    except Untraceable:
        raise
    except Exception as error:  # a user's code may raise anything when it is given symbols
        raise Untraceable(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from error
