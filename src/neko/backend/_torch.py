"""PyTorch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import array_api_compat.torch as api
import numpy as np
import torch

from neko import tree
from neko.backend import generated, names
from neko.backend._torch_eager import eager
from neko.backend._torch_places import find_device
from neko.backend._torch_products import dense, multiplies
from neko.backend.blocks import filter_by_blocks
from neko.backend.foreign import host
from neko.backend.generated import Offer
from neko.backend.products import warn_of_float32
from neko.backend.protocol import Compiled, Framework, scan_length
from neko.backend.random import HostRandom, Random

FLOATS = {"float32": torch.float32, "float64": torch.float64}
RAW = """
    abs cos exp floor log log1p matmul ones_like reshape sign sin sqrt square tanh where zeros_like isfinite
    round sigmoid einsum
""".split()  # noqa: SIM905
"""Functions of torch that have the semantics of a backend already: a wrapper costs microseconds per call."""


class TorchBackend(Framework):
    """PyTorch, run eagerly; see `neko.backend.protocol.Backend`."""

    name = "torch"
    compiles = False
    fuses = False

    def __init__(self, device: str | None, dtype: str, products: str | None = None) -> None:
        super().__init__(dtype, FLOATS[dtype], device, find_device(device), products)
        if products and not multiplies(self.device):
            warn_of_float32(self.device)
        self.on_host = self.device.type == "cpu"
        self.random = HostRandom(self, torch.int64, torch.from_numpy) if self.on_host else Random(self, torch.int64)
        for name in names.ARRAY_API:
            setattr(self, name, getattr(api, name))
        for name in RAW:
            setattr(self, name, getattr(torch, name))
        for name in names.CREATION:
            setattr(self, name, self._creating(getattr(torch, name), device=self.device))
        self.erf = torch.special.erf
        self.softplus = torch.nn.functional.softplus
        self.cholesky = torch.linalg.cholesky

    def scope(self) -> Any:
        # Inference mode records no gradient, and tensors made in it never can.
        return torch.inference_mode(False) if torch.is_inference_mode_enabled() else contextlib.nullcontext()

    def maximum(self, a: Any, b: Any) -> Any:
        return torch.clamp(a, min=b) if isinstance(b, int | float) else torch.maximum(a, b)

    def minimum(self, a: Any, b: Any) -> Any:
        return torch.clamp(a, max=b) if isinstance(b, int | float) else torch.minimum(a, b)

    def astype(self, x: Any, dtype: Any) -> Any:
        return x.to(dtype)

    def asarray(self, x: Any, *, dtype: Any = None) -> Any:
        if torch.is_inference_mode_enabled():
            with self.scope():
                return self.asarray(x, dtype=dtype)
        if not isinstance(x, torch.Tensor):
            x = torch.from_numpy(np.array(host(x)))
        elif x.is_inference():
            x = x.clone()
        if dtype is None:
            dtype = self.dtype if x.is_floating_point() else x.dtype
        return x.to(device=self.device, dtype=dtype)

    def scalar(self, x: float) -> Any:
        return torch.tensor(x, dtype=self.dtype)

    @property
    def threads(self) -> int:
        return torch.get_num_threads()

    def use_threads(self, count: int | None) -> None:
        if count is not None:
            torch.set_num_threads(count)

    def owns(self, x: Any) -> bool:
        return isinstance(x, torch.Tensor)

    def to_numpy(self, x: Any) -> np.ndarray:
        return host(x)

    def log_softmax(self, x: Any) -> Any:
        return torch.log_softmax(x, -1)

    def logsumexp(self, x: Any) -> Any:
        return torch.logsumexp(x, -1)

    def one_hot(self, x: Any, classes: int) -> Any:
        return torch.nn.functional.one_hot(x.to(torch.int64), classes).to(self.dtype)

    def svd(self, x: Any) -> Any:
        try:
            return tuple(torch.linalg.svd(x, full_matrices=False))
        except torch.linalg.LinAlgError:
            return tuple(torch.full_like(a, torch.nan) for a in torch.linalg.svd(torch.zeros_like(x), False))

    def solve_triangular(self, a: Any, b: Any, *, lower: bool) -> Any:
        return torch.linalg.solve_triangular(a, b, upper=not lower)

    def stop_gradient(self, x: Any) -> Any:
        return x.detach()

    def value_and_grad(
        self, f: Callable[..., Any], has_aux: bool = False, recorded: Callable[[Any], None] | None = None
    ) -> Callable[..., Any]:
        def run(params: Any, *args: Any) -> Any:
            flat = tree.leaves(params)
            with self.scope():
                inputs, make = self._differentiable_copies(flat)
                with torch.enable_grad(), generated.plain(make):
                    out = f(tree.rebuild(params, iter(inputs)), *args)
                    value = out[0] if has_aux else out
                    found = self._grad([value], inputs, None, make)
            if recorded is not None:
                recorded(tree.rebuild(params, iter([g is not None for g in found])))
            gradients = tree.rebuild(params, iter(zeros_for_none(found, inputs)))
            if not make:
                out = tree.map(detached, out)
            return out, gradients

        return run

    def jvp(self, f: Callable[..., Any], primals: Any, tangents: Any) -> Any:
        flat = tree.leaves(primals)
        shape: list[Any] = []

        def g(*inputs: Any) -> Any:
            shape[:] = [f(*tree.rebuild(tuple(primals), iter(inputs)))]
            return tuple(tree.leaves(shape[0]))

        with generated.plain(True):
            out, tangent = torch.func.jvp(g, tuple(flat), tuple(tree.leaves(tangents)))
        return tree.rebuild(shape[0], iter(out)), tree.rebuild(shape[0], iter(tangent))

    def vjp(self, f: Callable[..., Any], *primals: Any) -> Any:
        flat = tree.leaves(primals)
        inputs, make = self._differentiable_copies(flat)
        with torch.enable_grad(), generated.plain(make):
            out = f(*tree.rebuild(primals, iter(inputs)))
        outputs = tree.leaves(out)

        def pullback(cotangent: Any) -> Any:
            pairs = [(o, c) for o, c in zip(outputs, tree.leaves(cotangent), strict=True) if o.requires_grad]
            if not pairs:
                return tree.rebuild(primals, iter([torch.zeros_like(i) for i in inputs]))
            heads, cotangents = zip(*pairs, strict=True)
            found = self._grad(heads, inputs, cotangents, make, retain=True)
            return tree.rebuild(primals, iter(zeros_for_none(found, inputs)))

        return (out if make else tree.map(detached, out)), pullback

    def columnwise_jacobian(self, f: Callable[..., Any], *primals: Any) -> Any:
        inputs, make = self._differentiable_copies(primals)
        with torch.enable_grad():
            outputs = f(*inputs)
        rows = []
        for i, out in enumerate(outputs):
            if not out.requires_grad:
                rows.append((None,) * len(inputs))
                continue
            rows.append(tuple(self._grad([out], inputs, [torch.ones_like(out)], make, retain=i < len(outputs) - 1)))
        return tuple(rows)

    def _differentiable_copies(self, flat: Any) -> tuple[list[Any], bool]:
        """Inputs that record gradients, and whether a caller takes a derivative of the derivative."""
        make = torch.is_grad_enabled() and any(a.requires_grad for a in flat)
        if make:
            return [a.clone() if a.requires_grad else a.detach().requires_grad_() for a in flat], True
        return [a.detach().requires_grad_(a.is_floating_point()) for a in flat], False

    def _grad(self, outputs: Any, inputs: Any, cotangents: Any, make: bool, retain: bool = False) -> list[Any]:
        wanted = [a for a in inputs if a.requires_grad]
        if not any(o.requires_grad for o in outputs):
            return [None] * len(inputs)
        options: Any = {"retain_graph": retain or make, "create_graph": make, "allow_unused": True}
        found = iter(torch.autograd.grad(outputs, wanted, cotangents, **options))
        return [next(found) if a.requires_grad else None for a in inputs]

    def scan(
        self, f: Callable[..., Any], carry: Any, xs: Any, *, length: int | None = None, reverse: bool = False
    ) -> Any:
        steps = scan_length(tree.leaves(xs), length)
        columns = [a.unbind(0) for a in tree.leaves(xs)]
        ys: list[list[Any]] = []
        y = None
        for t in reversed(range(steps)) if reverse else range(steps):
            carry, y = f(carry, tree.rebuild(xs, iter([column[t] for column in columns])))
            ys.append(tree.leaves(y))
        if reverse:
            ys.reverse()
        return carry, tree.rebuild(y, iter([torch.stack(column) for column in zip(*ys, strict=True)]))

    def _fused(self, *arrays: Any) -> Any:
        """Generated kernels for arrays that nothing is differentiated by; None where PyTorch's operations are used."""
        if self.device.type != "cpu" or generated.unavailable() or any(a.dtype != self.dtype for a in arrays):
            return None
        if generated.PLAIN.get() or (torch.is_grad_enabled() and any(a.requires_grad for a in arrays)):
            return None
        return generated.kernels("torch")

    def dense(self, a: Any, w: Any) -> Any:
        return dense(a, w) if self.products else a @ w

    def outer_sum(self, pre: Any, post: Any) -> Any:
        fused = None if self.products else self._fused(pre, post)
        return super().outer_sum(pre, post) if fused is None else fused.outer_sum(pre, post)

    def project(self, a: Any, w: Any) -> Any:
        fused = None if self.products else self._fused(a, w)
        return super().project(a, w) if fused is None else fused.project(a, w)

    def weighted_sum(self, a: Any, weight: Any) -> Any:
        fused = self._fused(a, weight)
        return super().weighted_sum(a, weight) if fused is None else fused.weighted_sum(a, weight)

    def leaky_filter(self, kappa: float, drive: Any, start: Any, reverse: bool) -> Any:
        fused = self._fused(drive, start)
        if fused is None:
            return filter_by_blocks(self, kappa, drive, start, reverse)
        return fused.leaky_filter(kappa, drive, start, reverse)

    def kernels(self, cell: Any, state: Any) -> Offer:
        by_triton = self.device.type == "cuda" and generated.SWITCH == "triton"
        reason = generated.refusal(self.device.type == "cpu" or by_triton, self.device)
        if reason:
            return Offer(None, reason)
        offer: Offer = generated.kernels("triton" if by_triton else "torch").offer(self.whole, cell, state)
        return offer

    def elementwise(self, f: Callable[..., Any], constants: Any, key: Any, *arrays: Any) -> Any:
        if not self.on_host or generated.PLAIN.get() or generated.unavailable():
            return f(self, constants, key, *arrays)
        return generated.kernels("elementwise").run(self, f, constants, key, arrays, torch.from_numpy)

    def finite(self, x: Any) -> Any:
        # A sum takes a tenth of the time; it is not finite either where large numbers overflow.
        found = torch.isfinite(x.sum())
        return found if self.known(found) else torch.all(torch.isfinite(x))

    def known(self, condition: Any) -> bool | None:
        if not self.on_host:
            return None
        try:
            return bool(condition)
        except RuntimeError:  # one of many values at once, in torch.func.vmap
            return None

    def same(self, a: Any, b: Any) -> bool | None:
        return torch.equal(a, b) if self.on_host else None

    def jit(self, f: Callable[..., Any]) -> Callable[..., Any]:
        return Compiled(self, eager, f)

    def optimizer(self, spec: Any) -> Any:
        from neko.backend import _torch_optimizers

        return _torch_optimizers.resolve(self, spec)


def detached(x: Any) -> Any:
    """Without history."""
    return x.detach() if isinstance(x, torch.Tensor) else x


def zeros_for_none(gradients: Any, inputs: Any) -> list[Any]:
    """Gradients with zeros where an input is not connected."""
    return [torch.zeros_like(a) if g is None else g for g, a in zip(gradients, inputs, strict=True)]
