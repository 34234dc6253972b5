"""Products of spikes inside XLA's programs on the CPU: by events where most entries are zero, else dense.

They have every derivative that dense products have, by dense products.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from neko.kernels import xla
from neko.kernels.calls import RUN
from neko.kernels.layer import stacked
from neko.kernels.products import LOOK, SPARSE
from neko.typing import Array

OUTER = f"""
def kernel(z, post, out):
    active = np.empty(z.shape[1] + 1, np.int32)
    for r in range(z.shape[0]):
        count = 0
        for i in range(z.shape[1]):
            active[count] = i
            count += z[r, i] != 0
        for e in range(count):
            i = active[e]
            for j in range(post.shape[1]):
                out[i, j] += z[r, i] * post[r, j]
{RUN}def run(z, post, out):
    out[:] = 0
    kernel(z, post, out)
"""
PRODUCT = f"""
def kernel(z, w, out):
    active = np.empty(z.shape[1] + 1, np.int32)
    for r in range(z.shape[0]):
        gather(z, r, w, out, r, active)
{RUN}def run(z, w, out):
    kernel(z, w, out)
"""


def outer_sum(pre: Array, post: Array) -> Array:
    """``Σ_t Σ_b pre ⊗ post`` of arrays (time, batch, …)."""
    found: Array = outer(stacked(pre), stacked(post))
    return found


def project(a: Array, w: Array) -> Array:
    """``a @ w`` of arrays (time, batch, p) and (p, n)."""
    found: Array = product(stacked(a), w).reshape(*a.shape[:-1], w.shape[-1])
    return found


def is_sparse(z: Array) -> Array:
    """Whether few entries of an array (rows, n) are not zero, judged by evenly spaced rows."""
    looked_at = z[:: max(1, len(z) // LOOK)]
    return jnp.count_nonzero(looked_at) <= SPARSE * looked_at.size


@jax.custom_jvp  # type: ignore[untyped-decorator]
def outer(pre: Array, post: Array) -> Array:
    """``pre^T @ post``."""

    def by_events(z: Array, post: Array) -> Any:
        return xla.call(OUTER, z.dtype, (z, post), [(z.shape[1], post.shape[1])])[0]

    return jax.lax.cond(is_sparse(pre), by_events, lambda z, post: z.T @ post, pre, post)


@outer.defjvp  # type: ignore[untyped-decorator]
def outer_and_tangent(primals: Any, tangents: Any) -> tuple[Array, Array]:
    (pre, post), (d_pre, d_post) = primals, tangents
    return outer(pre, post), d_pre.T @ post + pre.T @ d_post


@jax.custom_jvp  # type: ignore[untyped-decorator]
def product(a: Array, w: Array) -> Array:
    """``a @ w``."""

    def by_events(z: Array, w: Array) -> Any:
        return xla.call(PRODUCT, z.dtype, (z, w), [(z.shape[0], w.shape[1])])[0]

    return jax.lax.cond(is_sparse(a), by_events, lambda a, w: a @ w, a, w)


@product.defjvp  # type: ignore[untyped-decorator]
def product_and_tangent(primals: Any, tangents: Any) -> tuple[Array, Array]:
    (a, w), (d_a, d_w) = primals, tangents
    return product(a, w), d_a @ w + a @ d_w
