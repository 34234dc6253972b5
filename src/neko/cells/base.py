"""The neuron model: a pure, element-wise step from state and currents to the next state."""

from __future__ import annotations

import dataclasses
import inspect
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from neko.arguments import check_integer
from neko.backend.protocol import Backend
from neko.cells import constants, surrogates, values
from neko.registry import Registry
from neko.typing import Array

CELLS: Registry[type[Cell]] = Registry("cell", "neko.cells")
"""The cells by name."""


@dataclass(frozen=True, eq=False, repr=False)
class Cell(ABC):
    """A population of independent neurons; subclass it, name the state, write ``dynamics``.

    A cell holds no weights and no derivatives. A layer computes the currents
    ``I_t = x_t @ w_in + z_{t-1} @ w_rec (+ b)``, and the cell maps them to the next state,
    ``h_t = dynamics(h_{t-1}, I_t)``. Every learning rule is derived from this function alone.

    **The column law.** Neuron *j* of the next state depends on column *j* of the arguments only: ``dynamics`` is
    element-wise over neurons. `neko.rules` uses this to differentiate all neurons with one reverse pass.

    Parameters
    ----------
    units : int
        Number of neurons *n*.

    Attributes
    ----------
    State : type
        A ``NamedTuple`` of arrays (batch, n); the last field is the emission (spike or rate). A field that a variant of
        the cell does not need may be ``None``.
    input_currents, recurrent_currents : tuple of int
        Which of the cell's currents the input and the recurrent weights feed. ``dynamics``
        of *k* currents takes *k* arrays, and ``w_in`` has shape (n_in, len(input_currents) * n). A current that neither
        feeds is its bias, or zero.
    spiking : bool
        Whether the emission is a spike in {0, 1}.
    autapses : bool
        Whether neurons connect to themselves through ``w_rec``; if not, its diagonal is ignored.
    bias : bool
        Whether the currents have a trainable bias.
    leaky_readout : bool
        Whether the readout of a network of these cells is leaky by default, with ``tau_out=20.0``; otherwise it has no
        state, as in an ordinary recurrent network.
    n_currents : int
        Number of currents per neuron, *k*: one more than the last that is fed, unless the class defines it.
    dt : float
        Length of a time step in ms.

    Notes
    -----
    **The reset.** e-prop of Bellec et al. (2020) gives no credit through the reset of the membrane. A cell with a reset
    has a field ``detach_reset: bool = False``; where it is true, ``dynamics`` uses ``xp.stop_gradient(state.z)`` for
    the reset, which changes no value. Rules set the field in a copy of the cell.

    Numbers of a user's cell are kept as given: NumPy scalars as Python's, lists and arrays as copies. A field
    ``surrogate`` may be a name or a function, as in `neko.cells.IntegrateAndFire`. For constants that may differ by
    neuron see `neko.cells.constants`: ``settle`` checks them and keeps them as floats, ``per_neuron`` and ``decay``
    give them to ``dynamics``.

    **Constants that learn.** A field that is a number may be a `neko.Learnable`, which every rule trains: in
    ``dynamics`` it is then an array (n,), so that functions of it are those of `xp`, not of `math`. It may take any
    finite value, unless it has `low` and `high` or ``settle`` checks its range. ``initial_state`` gets the first values
    by ``neko.cells.constants.at_first``.

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
    leaky_readout: ClassVar[bool] = True
    dt: ClassVar[float] = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", check_integer("units", self.units))
        for field in dataclasses.fields(self)[1:]:
            given = constants.kept(field.name, getattr(self, field.name), self.units)
            value = surrogates.resolve(given) if field.name == "surrogate" else given
            object.__setattr__(self, field.name, value)
        constants.fixed("dt", self.dt, "it is the time step of the whole network")
        if not self.input_currents:
            raise ValueError("input_currents=(): expected a current that the input feeds")
        for name in ("input_currents", "recurrent_currents"):
            fed = getattr(self, name)
            if any(c not in range(self.n_currents) for c in fed) or len(set(fed)) != len(fed):
                raise ValueError(f"{name}={fed!r}: expected currents from 0 to {self.n_currents - 1}, each once")
        taken = inspect.signature(self.dynamics)
        try:
            taken.bind(None, None, *[None] * self.n_currents)
        except TypeError as error:
            raise TypeError(
                f"{type(self).__name__}.dynamics takes {taken}: expected a backend, a state and {self.n_currents} "
                "currents, one more than the last that is fed; set n_currents = … in the class to change it"
            ) from error

    def __repr__(self) -> str:
        given = [
            f"{field.name}={values.shown(getattr(self, field.name))}"
            for field in dataclasses.fields(self)[1:]
            if repr(getattr(self, field.name)) != repr(field.default)
        ]
        return f"{type(self).__name__}({', '.join([str(self.units), *given])})"

    @abstractmethod
    def dynamics(self, xp: Backend, state: Any, *currents: Array) -> Any:
        """The next state of all neurons, ``h_t`` from ``h_{t-1}`` and ``I_t``."""

    @property
    def n_currents(self) -> int:
        """Number of currents per neuron, *k*; a class whose last currents nothing feeds overrides it."""
        return 1 + max(self.input_currents + self.recurrent_currents)

    @property
    def response_decay(self) -> float | None:
        """The decay λ of a current's effect on the emission in one step, where it is one number for all neurons and
        steps, ``∂z_t/∂I_s = λ^{t-s} ∂z_t/∂I_t`` without reset and adaptation; None for other cells."""
        return None

    def without_reset(self) -> Cell:
        """The cell without credit through its reset, as in e-prop of Bellec et al. (2020): a copy with
        ``detach_reset=True``, if the cell has such a field."""
        declared = any(field.name == "detach_reset" for field in dataclasses.fields(self))
        return dataclasses.replace(self, detach_reset=True) if declared else self  # type: ignore[call-arg]

    def initial_state(self, xp: Backend, batch: int) -> Any:
        """The state before the first step: zeros, unless a class overrides it."""
        return self.State(*(xp.zeros((batch, self.units)) for _ in self.State._fields))


def classes() -> dict[str, type[Cell]]:
    """The cells of the registry by the names of their classes, as ``'LIF'``."""
    return {cell.__name__: cell for cell in CELLS.values()}
