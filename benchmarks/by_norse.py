"""BPTT by Norse: `LSNNRecurrent`, its adaptive neuron, which has a synaptic current beside; `LI` as readout."""

from __future__ import annotations

from typing import Any

import norse.torch as norse
import torch
from norse.torch.functional.lsnn import LSNNParameters

from benchmarks import steps_torch
from benchmarks.shapes import BETA, GAMMA, TAU_A, TAU_M, TAU_OUT, Steps

SECONDS = 1e-3
"""Norse counts time in seconds, and inverts its constants."""


def training(shape: tuple[int, ...], v_th: float) -> Steps:
    """Forward, loss, BPTT, Adam."""
    _, _, n_in, n, outputs = shape
    w = steps_torch.tensors(shape)
    constants = LSNNParameters(
        tau_mem_inv=torch.tensor(1.0 / (TAU_M * SECONDS)),
        tau_adapt_inv=torch.tensor(1.0 / (TAU_A * SECONDS)),
        v_th=torch.tensor(v_th),
        beta=torch.tensor(BETA * v_th),
        method="triangle",
        alpha=GAMMA,
    )
    layer = norse.LSNNRecurrent(n_in, n, p=constants)
    readout = norse.LI(norse.LIParameters(tau_mem_inv=torch.tensor(1.0 / (TAU_OUT * SECONDS))))
    last = torch.nn.Linear(n, outputs)
    with torch.no_grad():
        layer.input_weights.copy_(w["w_in"].T)
        layer.recurrent_weights.copy_(w["w_rec"].T.clone().fill_diagonal_(0.0))
        last.weight.copy_(w["w_out"].T)
        last.bias.zero_()

    def forward(x: Any) -> tuple[Any, Any]:
        z, _ = layer(x)
        return readout(last(z))[0], z

    return steps_torch.training(forward, [*layer.parameters(), *last.parameters()], shape)
