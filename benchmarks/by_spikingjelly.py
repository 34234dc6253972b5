"""BPTT by SpikingJelly: `LIFNode` with a recurrent `Linear`, without adaptation; `NonSpikingLIFNode` as readout."""

from __future__ import annotations

from typing import Any

import torch
from spikingjelly.activation_based import functional, neuron, surrogate

from benchmarks import steps_torch
from benchmarks.shapes import ALPHA, KAPPA, Steps


def training(shape: tuple[int, ...], v_th: float) -> Steps:
    """Forward, loss, BPTT, Adam."""
    batch, _, n_in, n, outputs = shape
    w = steps_torch.tensors(shape)
    layer = neuron.LIFNode(
        tau=1.0 / (1.0 - ALPHA),
        decay_input=False,
        v_threshold=v_th,
        v_reset=None,
        surrogate_function=surrogate.PiecewiseQuadratic(),
    )
    readout = neuron.NonSpikingLIFNode(tau=1.0 / (1.0 - KAPPA))
    first, last = torch.nn.Linear(n_in, n, bias=False), torch.nn.Linear(n, outputs)
    recurrent = torch.nn.Linear(n, n, bias=False)
    with torch.no_grad():
        for linear, name in ((first, "w_in"), (recurrent, "w_rec"), (last, "w_out")):
            linear.weight.copy_(w[name].T)
        last.bias.zero_()

    def forward(x: Any) -> tuple[Any, Any]:
        functional.reset_net(layer)
        z, spikes = torch.zeros(batch, n), []
        for current in first(x).unbind(0):
            z = layer(current + recurrent(z))
            spikes.append(z)
        z = torch.stack(spikes)
        return torch.stack(readout(last(z))), z

    return steps_torch.training(forward, [p for m in (first, recurrent, last) for p in m.parameters()], shape)
