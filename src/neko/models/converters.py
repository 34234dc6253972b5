"""The converters around the arrays of weights of a network."""

from __future__ import annotations

import dataclasses
from dataclasses import KW_ONLY, dataclass
from typing import Any

from neko.backend.protocol import Backend
from neko.cells.converted import converted
from neko.cells.quantiser import Quantiser
from neko.models.asymmetric import product
from neko.models.readout import LeakyReadout, leaky_filter
from neko.typing import Array


@dataclass(frozen=True)
class Converters:
    """The converters of a chip whose weights are analog: every array has a DAC at each row, an ADC at each column.

    In a network of cells the DAC converts the inputs, and the emissions of graded cells; spikes are one bit and pass as
    they are. The ADC converts the summed currents of every neuron (with their bias, which is one more row), and the
    products of the readout, before its filter and its bias. In a module of your own they are before and after every
    dense and convolutional layer, whose bias is one more row.

    Parameters
    ----------
    dac, adc : Quantiser, optional
        The converters; None for exact ones, not both.

    Examples
    --------
    >>> import neko
    >>> converters = Converters(adc=Quantiser(bits=8, full_scale=4.0))
    >>> neko.LIF(16, 2, "torch", converters=converters).cells
    (ConvertedLIF(16, adc=Quantiser(bits=8, full_scale=4.0)),)
    """

    _: KW_ONLY
    dac: Quantiser | None = None
    adc: Quantiser | None = None

    def __post_init__(self) -> None:
        given = [quantiser for quantiser in (self.dac, self.adc) if quantiser is not None]
        if not given or not all(isinstance(quantiser, Quantiser) for quantiser in given):
            raise TypeError(f"{self!r}: expected dac=, adc= or both, for example adc=Quantiser(bits=8, full_scale=4.0)")

    def around(self, network: Any) -> Any:
        """A network with its converters, from one without."""
        cells = tuple(converted(cell, self.adc, self.dac) for cell in network.cells)
        readout = ConvertedReadout(**vars(network.readout), adc=self.adc)
        return dataclasses.replace(network, cells=cells, readout=readout, converters=self)

    def before(self, xp: Backend, x: Array) -> Array:
        """What enters an array."""
        return x if self.dac is None else self.dac(xp, x)

    def after(self, xp: Backend, y: Array) -> Array:
        """What is read from an array."""
        return y if self.adc is None else self.adc(xp, y)


def check_converters(converters: Any) -> None:
    """TypeError for anything but `Converters` or None."""
    if converters is not None and not isinstance(converters, Converters):
        raise TypeError(f"converters={converters!r}: expected neko.Converters(dac=…, adc=…), or None")


@dataclass(frozen=True)
class ConvertedReadout(LeakyReadout):
    r"""A leaky readout of which each product passes the ADC, ``f_t = κ f_{t-1} + c\, Q(z_t W_{out})``."""

    _: KW_ONLY
    adc: Quantiser | None = None

    def outputs(self, xp: Backend, params: dict[str, Any], z: Array, f: Array) -> tuple[Array, Array]:
        read = product(xp, xp.project, z, params["readout.w_out"])
        read = read if self.adc is None else self.adc(xp, read)
        f, filtered = leaky_filter(xp, self.kappa, self.scaled(read), f)
        return f, filtered + params["readout.b_out"]

    def after(self, xp: Backend, params: dict[str, Array], z: Array, f: Array) -> Array:
        return self.outputs(xp, params, z, f)[0]
