"""JAX."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from neko.backend import generated, names
from neko.backend._jax_products import rounded_product
from neko.backend.foreign import host, unavailable
from neko.backend.generated import Offer
from neko.backend.products import warn_of_float32
from neko.backend.protocol import Compiled, Framework
from neko.backend.random import Random

FLOATS = {"float32": jnp.float32, "float64": jnp.float64}


class JaxBackend(Framework):
    """JAX; see `neko.backend.protocol.Backend`. Double precision is switched on locally, by `scope`."""

    name = "jax"
    compiles = True
    fuses = True

    def __init__(self, device: str | None, dtype: str, products: str | None = None) -> None:
        super().__init__(dtype, FLOATS[dtype], device, find_device(device), products)
        if products and self.device.platform == "cpu":
            warn_of_float32(self.device)
        self.random = Random(self, jnp.uint32)
        for name in names.ARRAY_API:
            setattr(self, name, getattr(jnp, name))
        for name in names.CREATION:
            setattr(self, name, self._creating(getattr(jnp, name)))
        self.einsum = jnp.einsum
        self.erf = jax.scipy.special.erf
        self.sigmoid = jax.nn.sigmoid
        self.softplus = jax.nn.softplus
        self.logsumexp = functools.partial(jax.nn.logsumexp, axis=-1)
        self.log_softmax = jax.nn.log_softmax
        self.svd = functools.partial(jnp.linalg.svd, full_matrices=False)
        self.cholesky = jnp.linalg.cholesky
        self.stop_gradient = jax.lax.stop_gradient

    def scope(self) -> Any:
        return self._double() if self.dtype_name == "float64" else jax.default_device(self.device)

    @contextlib.contextmanager
    def _double(self) -> Any:
        with jax.enable_x64(True), jax.default_device(self.device):
            yield

    def _scoped(self, f: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(f)
        def run(*args: Any, **kwargs: Any) -> Any:
            with self.scope():
                return f(*args, **kwargs)

        return run

    def asarray(self, x: Any, *, dtype: Any = None) -> Any:
        if isinstance(x, jax.Array) and x.dtype == (self.dtype if dtype is None else dtype) and not x.weak_type:
            return x
        with self.scope():
            if not isinstance(x, jax.Array):
                x = host(x)
            if dtype is None and jnp.issubdtype(x.dtype, jnp.floating):
                dtype = self.dtype
            if dtype is None and isinstance(x, np.ndarray) and x.dtype == np.int64:
                dtype = jnp.int32
            return jnp.asarray(x, dtype=dtype)

    def scalar(self, x: float) -> Any:
        # A compiled function takes it to the device ten times faster than an array can be made there.
        return np.asarray(x, self.dtype)

    def owns(self, x: Any) -> bool:
        return isinstance(x, jax.Array)

    def to_numpy(self, x: Any) -> np.ndarray:
        return host(x)

    def one_hot(self, x: Any, classes: int) -> Any:
        return jax.nn.one_hot(x, classes, dtype=self.dtype)

    def solve_triangular(self, a: Any, b: Any, *, lower: bool) -> Any:
        return jax.lax.linalg.triangular_solve(a, b, left_side=True, lower=lower)

    def value_and_grad(
        self, f: Callable[..., Any], has_aux: bool = False, recorded: Callable[[Any], None] | None = None
    ) -> Callable[..., Any]:
        if recorded is None:
            return self._scoped(generated.derivative()(jax.value_and_grad(f, has_aux=has_aux)))

        @generated.derivative()
        def run(params: Any, *args: Any) -> Any:
            value, pullback, *aux = jax.vjp(lambda p: f(p, *args), params, has_aux=has_aux)
            one = jnp.ones_like(value)
            reached = depends(lambda ct: jax.tree.leaves(pullback(ct)), one)
            recorded(jax.tree.unflatten(jax.tree.structure(params), reached))
            return ((value, aux[0]) if has_aux else value), pullback(one)[0]

        return self._scoped(run)

    def jvp(self, f: Callable[..., Any], primals: Any, tangents: Any) -> Any:
        with self.scope(), generated.plain():
            return jax.jvp(f, tuple(primals), tuple(tangents))

    def vjp(self, f: Callable[..., Any], *primals: Any) -> Any:
        with self.scope(), generated.derivative():
            out, pullback = jax.vjp(f, *primals)
        return out, self._scoped(pullback)

    def columnwise_jacobian(self, f: Callable[..., Any], *primals: Any) -> Any:
        with self.scope():
            outputs, pullback = jax.vjp(f, *primals)
            rows = []
            for i, out in enumerate(outputs):
                others = [jnp.zeros_like(o) for o in outputs]

                def pull(cotangent: Any, i: int = i, others: Any = others) -> Any:
                    return pullback((*others[:i], cotangent, *others[i + 1 :]))

                connected = depends(pull, out)
                found = pull(jnp.ones_like(out))
                rows.append(tuple(g if c else None for g, c in zip(found, connected, strict=True)))
            return tuple(rows)

    def scan(
        self, f: Callable[..., Any], carry: Any, xs: Any, *, length: int | None = None, reverse: bool = False
    ) -> Any:
        with self.scope():
            return jax.lax.scan(f, carry, xs, length=length, reverse=reverse)

    def jit(self, f: Callable[..., Any]) -> Callable[..., Any]:
        return Compiled(self, by_mode, f)

    def _sparse(self, *arrays: Any) -> Any:
        """Products by events of arrays of this precision; None where they are XLA's own."""
        if (
            self.products
            or self.device.platform != "cpu"
            or generated.unavailable()
            or any(a.dtype != self.dtype for a in arrays)
        ):
            return None
        return generated.kernels("sparse")

    def dense(self, a: Any, w: Any) -> Any:
        return rounded_product(a, w) if self.products else a @ w

    def outer_sum(self, pre: Any, post: Any) -> Any:
        sparse = self._sparse(pre, post)
        return super().outer_sum(pre, post) if sparse is None else sparse.outer_sum(pre, post)

    def project(self, a: Any, w: Any) -> Any:
        sparse = self._sparse(a, w)
        return super().project(a, w) if sparse is None else sparse.project(a, w)

    def kernels(self, cell: Any, state: Any) -> Offer:
        reason = generated.refusal(self.device.platform == "cpu", self.device)
        if reason:
            return Offer(None, reason)
        offer: Offer = generated.kernels("jax").offer(self.whole, cell, state)
        return offer

    def optimizer(self, spec: Any) -> Any:
        from neko.backend import _jax_optimizers

        return _jax_optimizers.resolve(self, spec)


def find_device(device: str | None) -> Any:
    """The device of a platform's name, 'gpu' or 'gpu:1'; ValueError where it does not exist."""
    platform, _, number = ("cpu" if device is None else device).partition(":")
    try:
        # Of several hosts each has its own devices.
        return dict(enumerate(jax.local_devices(backend=platform or "none")))[int(number or 0)]
    except Exception as error:
        available = [f"{d.platform}:{d.id}" for d in dict.fromkeys((*jax.devices("cpu"), *jax.devices()))]
        raise unavailable("jax", jax.__version__, device, available, INSTALL) from error


INSTALL = "for 'gpu' install JAX with CUDA: pip install 'jax[cuda12]'"


def by_mode(f: Callable[..., Any]) -> Callable[..., Any]:
    """f as a program for each way in which it may be differentiated, since kernels are not for all of them."""
    programs: dict[Any, Callable[..., Any]] = {}

    def run(*args: Any) -> Any:
        mode = generated.PLAIN.get(), generated.DIFFERENTIATED.get()
        if mode not in programs:
            # JAX keeps what it has traced for each function.
            programs[mode] = jax.jit(functools.partial(f))
        return programs[mode](*args)

    return run


def depends(f: Callable[..., Any], x: Any) -> list[bool]:
    """Which outputs of `f` may depend on `x`, by the traced program; False is always right."""
    program = jax.make_jaxpr(f)(x).jaxpr
    reached = set(program.invars)
    for equation in program.eqns:
        if any(not hasattr(v, "val") and v in reached for v in equation.invars):
            reached.update(equation.outvars)
    return [not hasattr(v, "val") and v in reached for v in program.outvars]
