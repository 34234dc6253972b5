"""A network of Neko in the integers of Loihi, its simulation and its file."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from neko.arguments import check_integer
from neko.errors import ExchangeError
from neko.exchange import stepwise
from neko.exchange.fixed_point import layers
from neko.exchange.fixed_point.compartments import Compartments
from neko.exchange.fixed_point.formats import WEIGHT_BITS
from neko.exchange.report import Entry, Report
from neko.io import files
from neko.models import Model


@dataclass(frozen=True, eq=False)
class FixedPoint:
    """A network on the chip.

    Parameters
    ----------
    layers : tuple of Compartments
        From input to output. On the chip a layer receives the spikes of the layer below one step later; its time is
        counted here from that step, which changes no number.
    readout : Compartments
        Outputs, as neurons that never spike.
    scale : float
        What 1 of an output is in the readout's potential.
    b_out : array (outputs,)
        Bias of the outputs, which is added off the chip.
    """

    layers: tuple[Compartments, ...]
    readout: Compartments
    scale: float
    b_out: np.ndarray

    def run(self, x: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        """Outputs (batch, time, outputs) and the spikes of every layer, for spikes `x` (batch, time, n_in).

        ExchangeError for inputs other than 0 and 1: an input of the chip is a spike.
        """
        x = np.asarray(x)
        if x.ndim != 3 or x.shape[2] != len(self.layers[0].w_in.mantissas) or not np.isin(x, (0, 1)).all():
            raise ExchangeError(
                f"inputs of shape {x.shape!r}, from {x.min():g} to {x.max():g}: expected spikes, 0 or 1, (batch, time, "
                f"{len(self.layers[0].w_in.mantissas)}); train on inputs that an encoder has made spikes of"
            )
        spikes = []
        for one in self.layers:
            x = one.run(x)[1]
            spikes.append(x)
        return self.readout.run(x)[0] / self.scale + self.b_out, tuple(spikes)

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it by name."""
        found: dict[str, np.ndarray] = {"readout.scale": np.array(self.scale), "readout.b_out": self.b_out}
        named = {f"layers.{i}": one for i, one in enumerate(self.layers)} | {"readout": self.readout}
        for name, one in named.items():
            for key, weights in (("w_in", one.w_in), ("w_rec", one.w_rec)):
                if weights is not None:
                    found[f"{name}.{key}"] = weights.mantissas.astype(np.int16)
                    found[f"{name}.{key}.exponent"] = np.array(weights.exponent, np.int8)
            rest = {"du": one.du, "dv": one.dv, "vth": one.vth, "bias": one.bias}
            found |= {f"{name}.{key}": v.astype(np.int32) for key, v in rest.items() if v is not None}
        return found

    def save(self, path: str | Path) -> Path:
        """Write all arrays as NPZ, without pickle."""
        data = io.BytesIO()
        np.savez(data, **self.arrays())  # type: ignore[arg-type]
        return files.write(path, data.getvalue())


class Loihi(NamedTuple):
    """A network on the chip, and what it keeps and loses."""

    network: FixedPoint
    report: Report


def to_loihi(model: Model, path: str | Path | None = None, *, bits: int = WEIGHT_BITS) -> Loihi:
    """A network of LIF or CubaLIF neurons, on any backend, in the integer formats of Loihi 1.

    Weights have a mantissa of `bits` bits with a sign, in [-256, 254], and one exponent a tensor; decays 12 bits;
    thresholds 17; currents, which wrap, and potentials, which saturate, 24. The scale of a layer is chosen for weights
    and thresholds together, and so that no current can wrap, where the weights allow it.

    Parameters
    ----------
    model : Model
        A built network of one direction, with ``reset='zero'``, without refractory period.
    path : path, optional
        An NPZ file of all arrays, by names such as ``layers.0.w_in``.
    bits : int
        Bits of a weight with its sign, from 2 to 8.

    Returns
    -------
    Loihi
        ``network``, whose `run` computes in integers what the chip does, and ``report``, what is lost of every tensor.

    Raises
    ------
    ExchangeError
        For neurons that the chip does not have, with their name.
    ValueError
        For another number of bits.

    Notes
    -----
    Not included: stochastic rounding of decays, dendritic trees and on-chip learning; the number of neurons and of
    synapses that a core holds, and the 32 sets of decays and thresholds that its neurons share; weights of one sign,
    which have one bit more.

    References
    ----------
    Davies et al. (2018), doi:10.1109/MM.2018.112130359; the process model ``PyLifModelBitAcc`` of Lava.

    Examples
    --------
    >>> import neko
    >>> network, report = to_loihi(neko.LIF(8, 2, "torch", reset="zero").build(3))
    >>> y, (z,) = network.run(np.ones((4, 20, 3)))
    >>> y.shape, z.shape
    ((4, 20, 2), (4, 20, 8))
    """
    bits = check_integer("bits", bits, least=2)
    if bits > WEIGHT_BITS:
        raise ValueError(f"bits={bits!r}: expected from 2 to {WEIGHT_BITS}")
    network = stepwise.check(model).network
    if network.converters is not None:
        raise ExchangeError(f"{model!r}: the chip has no converters; expected a network without")
    params = {name: np.asarray(model.xp.to_numpy(w), dtype=np.float64) for name, w in model.params.items()}
    entries = [Entry("network", "Loihi 1", f"a step is {model.dt:g} ms; spikes reach the next layer one step later")]
    made = []
    for i, cell in enumerate(network.cells):
        name = f"layers.{i}"
        own, learnt = (
            {key.removeprefix(f"{name}."): v for key, v in every.items() if key.startswith(f"{name}.")}
            for every in (params, model.constants)
        )
        found, told = layers.layer(name, cell, learnt, own, bits)
        made.append(found)
        entries += told
    readout, scale, told = layers.outputs(network.readout, params["readout.w_out"], bits)
    fixed = FixedPoint(tuple(made), readout, scale, params["readout.b_out"])
    if path is not None:
        fixed.save(path)
    return Loihi(fixed, Report((*entries, *told)))
