"""The neuron model: a pure, element-wise step from state and currents to the next state."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

from neko.arguments import check_integer
from neko.typing import Array


@dataclass(frozen=True, eq=False)
class Cell(ABC):
    """A population of independent neurons; subclass it, name the state, write ``dynamics``.

    A cell knows no weights and no derivatives. A layer computes the currents
    ``I_t = x_t @ w_in + z_{t-1} @ w_rec (+ b)``, and the cell maps them to the next state,
    ``h_t = dynamics(h_{t-1}, I_t)``. Every learning rule is derived from this function alone.

    **The column law.** Neuron *j* of the next state may read column *j* of its arguments only:
    ``dynamics`` is element-wise over neurons. `neko.rules` relies on it to differentiate all
    neurons with one reverse pass.

    Parameters
    ----------
    units : int
        Number of neurons *n*.

    Attributes
    ----------
    State : type
        A ``NamedTuple`` of arrays (batch, n); the last field is what the neuron emits (spike or
        rate). A field that a variant of the cell does not need may be ``None``.
    input_currents, recurrent_currents : tuple of int
        Which of the cell's currents the input and the recurrent weights feed. A neuron with *k*
        currents gets *k* arrays, and ``w_in`` has shape (n_in, len(input_currents) * n).
    spiking : bool
        Whether the emission is a spike in {0, 1}.
    autapses : bool
        Whether a neuron may feed back to itself through ``w_rec``; if not, the diagonal is ignored.
    bias : bool
        Whether the currents have a trainable bias.
    dt : float
        Length of a time step in ms.

    Examples
    --------
    A leaky integrator with a rate output is a complete new cell:

    >>> from dataclasses import dataclass
    >>> from typing import NamedTuple
    >>> from neko.cells import Cell
    >>> class LeakyState(NamedTuple):
    ...     v: object
    ...     z: object
    >>> @dataclass(frozen=True, eq=False)
    ... class Leaky(Cell):
    ...     State = LeakyState
    ...     leak: float = 0.9
    ...     def dynamics(self, xp, state, current):
    ...         v = self.leak * state.v + current
    ...         return LeakyState(v, xp.tanh(v))
    >>> Leaky(8).n_currents
    1
    """

    units: int

    State: ClassVar[Any]
    input_currents: ClassVar[tuple[int, ...]] = (0,)
    recurrent_currents: ClassVar[tuple[int, ...]] = (0,)
    spiking: ClassVar[bool] = False
    autapses: ClassVar[bool] = True
    bias: ClassVar[bool] = False
    dt: ClassVar[float] = 1.0

    def __post_init__(self) -> None:
        check_integer("units", self.units)
        if hasattr(self, "surrogate") and not callable(self.surrogate):
            raise TypeError(
                f"surrogate={self.surrogate!r}: expected one of neko.cells.surrogates, such as Triangular()"
            )

    @abstractmethod
    def dynamics(self, xp: Any, state: Any, *currents: Array) -> Any:
        """The next state of all neurons, ``h_t`` from ``h_{t-1}`` and ``I_t``."""

    @property
    def n_currents(self) -> int:
        """Number of currents per neuron, *k*."""
        return 1 + max(self.input_currents + self.recurrent_currents)

    def initial_state(self, xp: Any, batch: int) -> Any:
        """The state before the first step: zeros, unless a cell rests elsewhere."""
        return self.State(*(xp.zeros((batch, self.units)) for _ in self.State._fields))

    def eligibility_cell(self) -> Cell:
        """The cell whose local derivatives e-prop carries forward.

        e-prop of Bellec et al. (2020) gives no credit through the reset of the membrane. A cell
        with a reset returns itself with that path detached; any other cell is its own.
        """
        return self


def decay(xp: Any, dt: float, tau: Any) -> Any:
    """Decay factor of one step, ``exp(-dt / tau)``; `tau` in ms, a number or one per neuron."""
    if isinstance(tau, int | float):
        return math.exp(-dt / tau)
    return xp.exp(-dt / xp.asarray(tau))


def per_neuron(xp: Any, value: Any) -> Any:
    """A constant as the dynamics use it: a number stays one, a sequence becomes an array (n,)."""
    return value if isinstance(value, int | float) else xp.asarray(value)


def check_positive(units: int | None, /, **constants: Any) -> None:
    """Raise ValueError unless every named constant is finite and above zero; for `units` see `check_range`."""
    check_range(units, "a finite value above 0", lambda v: v > 0.0, constants)


def check_not_negative(units: int | None, /, **constants: Any) -> None:
    """Raise ValueError unless every named constant is finite and at least zero; for `units` see `check_range`."""
    check_range(units, "a finite value of at least 0", lambda v: v >= 0.0, constants)


def check_finite(units: int | None, /, **constants: Any) -> None:
    """Raise ValueError unless every named constant is finite; for `units` see `check_range`."""
    check_range(units, "a finite value", lambda v: True, constants)


def check_range(units: int | None, expected: str, holds: Any, constants: dict[str, Any]) -> None:
    """Raise ValueError for the first constant of which some entry fails `holds` or is not finite.

    With a number of `units` a constant may be a number or one for each neuron, with None a number only.
    """
    form = "one number" if units is None else "one number or one per neuron"
    for name, value in constants.items():
        single = isinstance(value, Real)
        try:
            entries = () if isinstance(value, bytes) else tuple(float(v) for v in ([value] if single else value))
        except (TypeError, ValueError):
            entries = ()
        if not single and entries and units is not None and len(entries) != units:
            raise ValueError(f"{name} has {len(entries)} entries: expected {form}, of which there are {units}")
        if not entries or (not single and units is None) or not all(math.isfinite(v) and holds(v) for v in entries):
            raise ValueError(f"{name}={value!r}: expected {expected}, {form}")
