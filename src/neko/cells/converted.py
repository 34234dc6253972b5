"""A cell behind the converters of an analog array."""

from __future__ import annotations

import copy
import functools
from collections import namedtuple
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from neko.backend.protocol import Backend
from neko.cells.base import Cell
from neko.cells.quantiser import Quantiser
from neko.typing import Array


@dataclass(frozen=True, eq=False, repr=False)
class Converted(Cell):
    """What the converters add to a cell's step; `converted` puts it before the class of a cell.

    Currents, with the bias among them, pass the ADC. A graded emission passes the DAC before weights multiply it: the
    state has it as one more field, the last, so that the cell itself keeps its exact emission. Spikes are one bit.
    """

    Inner: ClassVar[Any]

    _: KW_ONLY
    adc: Quantiser | None = None
    dac: Quantiser | None = None

    def __reduce__(self) -> Any:
        # The class is made at run time, so that it cannot be found by its name.
        return restored, (type(self).__mro__[2], self.State is not self.Inner, vars(self))

    def dynamics(self, xp: Backend, state: Any, *currents: Array) -> Any:
        read = currents if self.adc is None else [self.adc(xp, current) for current in currents]
        return self.sent(xp, super().dynamics(xp, self.inner(state), *read))  # type: ignore[safe-super]

    def initial_state(self, xp: Backend, batch: int) -> Any:
        return self.sent(xp, self.inner(super().initial_state(xp, batch)))

    def inner(self, state: Any) -> Any:
        """The state of the cell itself."""
        return state if self.State is self.Inner else self.Inner(*state[: len(self.Inner._fields)])

    def sent(self, xp: Backend, state: Any) -> Any:
        """The state with the emission as it enters the next array."""
        if self.State is self.Inner or self.dac is None:
            return state
        return self.State(*state, self.dac(xp, state[-1]))


def converted(cell: Cell, adc: Quantiser | None, dac: Quantiser | None) -> Cell:
    """A copy of a cell whose currents pass an ADC and whose graded emission passes a DAC; None for an exact one.

    It is one more class of cells, so that rules, kernels and proofs are derived from its step as from any other.
    """
    kind = type(cell)
    return restored(kind, dac is not None and not cell.spiking, {**vars(copy.copy(cell)), "adc": adc, "dac": dac})


def restored(kind: type[Cell], sends: bool, values: dict[str, Any]) -> Cell:
    """A converted cell from the class of the cell itself and its attributes."""
    made = object.__new__(behind_converters(kind, sends))
    made.__dict__.update(values)
    return made


@functools.cache
def behind_converters(kind: type[Cell], sends: bool) -> type[Cell]:
    """A class of cells with converters; with `sends` its state has the field ``sent``."""
    own: dict[str, Any] = {"__module__": __name__, "__doc__": kind.__doc__, "Inner": kind.State, "State": kind.State}
    if sends:
        name = f"Converted{kind.State.__name__}"
        own["State"] = namedtuple(name, [*kind.State._fields, "sent"], defaults=[None])
    made = type(f"Converted{kind.__name__}", (Converted, kind), own)
    return dataclass(frozen=True, eq=False, repr=False)(made)
