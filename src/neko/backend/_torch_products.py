"""Products of PyTorch whose operands are rounded to bfloat16."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch


class Rounded(torch.autograd.Function):
    """``a @ w`` of two matrices with rounded operands; each derivative is such a product too."""

    generate_vmap_rule = True

    @staticmethod
    def forward(a: Any, w: Any) -> Any:
        a, w = a.bfloat16(), w.bfloat16()
        if a.device.type == "cuda":
            return torch.mm(a, w, out_dtype=torch.float32)
        with allowed():
            return torch.mm(a.float(), w.float())

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx: Any, *credit: Any) -> Any:
        (a, w), (c,) = ctx.saved_tensors, credit
        of_a, of_w = ctx.needs_input_grad
        return Rounded.apply(c, w.mT) if of_a else None, Rounded.apply(a.mT, c) if of_w else None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        (a, w), (da, dw) = ctx.saved_tensors, tangents
        return Rounded.apply(da, w) + Rounded.apply(a, dw)


def dense(a: Any, w: Any) -> Any:
    """``a @ w`` of an array (…, p) and a matrix (p, n) with rounded operands."""
    found = Rounded.apply(a.reshape(-1, a.shape[-1]), w)
    return found.reshape(*a.shape[:-1], w.shape[-1])


@contextlib.contextmanager
def allowed() -> Iterator[None]:
    """Where a processor may multiply in bfloat16, which loses nothing of operands that are rounded already.

    A product of bfloat16 arrays would give a sum rounded to bfloat16. The switch belongs to all threads of the process.
    """
    switch = torch.backends.mkldnn.matmul
    before = switch.fp32_precision
    switch.fp32_precision = "bf16"
    try:
        yield
    finally:
        switch.fp32_precision = before


def multiplies(device: Any) -> bool:
    """Whether a device multiplies bfloat16 itself; ValueError for a version of PyTorch that lacks what is used here."""
    if not hasattr(torch.cpu, "get_capabilities"):
        raise ValueError(f"products='bfloat16' with PyTorch {torch.__version__}: expected a newer one, 2.13 is tested")
    if device.type == "cuda":
        return bool(torch.cuda.get_device_capability(device) >= (8, 0))
    found = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return bool(found.get("amx_bf16") or found.get("avx512_bf16"))
