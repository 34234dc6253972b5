"""BPTT by snnTorch: `RLeaky`, its recurrent neuron with one state, without adaptation; a `Leaky` that never spikes."""

from __future__ import annotations

from typing import Any

import snntorch
import torch

from benchmarks import steps_torch
from benchmarks.shapes import ALPHA, KAPPA, Steps


def training(shape: tuple[int, ...], v_th: float) -> Steps:
    """Forward, loss, BPTT, Adam."""
    batch, _, n_in, n, outputs = shape
    w = steps_torch.tensors(shape)
    surrogate = snntorch.surrogate.fast_sigmoid()
    layer = snntorch.RLeaky(beta=ALPHA, linear_features=n, threshold=v_th, spike_grad=surrogate)
    readout = snntorch.Leaky(beta=KAPPA, reset_mechanism="none")
    first, last = torch.nn.Linear(n_in, n, bias=False), torch.nn.Linear(n, outputs)
    with torch.no_grad():
        for linear, name in ((first, "w_in"), (layer.recurrent, "w_rec"), (last, "w_out")):
            linear.weight.copy_(w[name].T)
        layer.recurrent.bias.zero_()
        last.bias.zero_()

    def forward(x: Any) -> tuple[Any, Any]:
        z = v = torch.zeros(batch, n)
        spikes = []
        for current in first(x).unbind(0):
            z, v = layer(current, z, v)
            spikes.append(z)
        z = torch.stack(spikes)
        f, filtered = torch.zeros(batch, outputs), []
        for drive in last(z).unbind(0):
            _, f = readout(drive, f)
            filtered.append(f)
        return torch.stack(filtered), z

    return steps_torch.training(forward, [p for m in (first, layer, last) for p in m.parameters()], shape)
