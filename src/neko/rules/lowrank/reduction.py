"""Matrices by two factors, added up and reduced to their rank, with the norm of what is lost."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from neko import tree
from neko.backend.protocol import Backend
from neko.typing import Array


def added(xp: Backend, left: Array, right: Array, reaching: Array, unit: Array) -> tuple[Array, Array, Array]:
    r"""Factors of ``⌊L R^T + ⌊C Q^T⌋_c⌋_r``, and the norm of what the two reductions leave out, (batch,).

    L (batch, states, r), and R (batch, weights, r) of columns that are orthonormal or zero, as those of the result. Q
    has a column for each neuron, in whose weights it is `unit` (batch, n_pre, n), of length one, and zero in all
    others; C (batch, states, n) is `reaching`. c is ``max(4, ⌈r/4⌉)``, or n if r is the number of states.
    """
    rank, states, n = left.shape[-1], left.shape[1], unit.shape[-1]
    if rank == 0:
        return left, right, norm(xp, reaching)
    count = n if rank == states else min(n, max(4, math.ceil(rank / 4)))
    u, s, v = xp.svd(reaching)
    new, v, lost = u[..., :count] * s[:, None, :count], xp.matrix_transpose(v)[..., :count], norm(xp, s[:, count:])
    onto = xp.reshape(xp.expand_dims(unit, axis=3) * xp.expand_dims(v, axis=1), (*right.shape[:2], count))

    # the part of the new directions outside of R, found twice for the sake of rounding
    within, outside = 0.0, onto
    for _ in range(2):
        part = xp.matrix_transpose(right) @ outside
        within, outside = within + part, outside - right @ part
    u, s, v = xp.svd(outside)
    tiny = 100.0 * float(np.finfo(xp.dtype_name).eps)
    basis = xp.concat([right, u * xp.astype(s > tiny, xp.dtype)[:, None, :]], axis=2)
    core = [left + new @ xp.matrix_transpose(within), new @ xp.matrix_transpose(s[..., None] * v)]
    u, s, v = xp.svd(xp.concat(core, axis=2))
    # a direction of no size is any, and need not be orthogonal to the others
    kept = xp.astype(s > tiny * s[:, :1], xp.dtype)[:, None, :rank]
    right = basis @ (xp.matrix_transpose(v)[..., :rank] * kept)
    return u[..., :rank] * s[:, None, :rank], right, lost + norm(xp, s[:, rank:])


def norm(xp: Backend, arrays: Any) -> Array:
    """The Frobenius norm of each example of a tree of arrays (batch, …) together, (batch,)."""
    squares = [xp.sum(xp.square(a), axis=tuple(range(1, len(a.shape)))) for a in tree.leaves(arrays)]
    return xp.sqrt(sum(squares[1:], squares[0]))


def growth(xp: Backend, jacobian: Array) -> Array:
    """A bound on the spectral norm of each matrix, (batch,): that of Frobenius, or of the sums of columns and rows."""
    columns, rows = (xp.max(xp.sum(xp.abs(jacobian), axis=axis), axis=1) for axis in (1, 2))
    return xp.minimum(norm(xp, jacobian), xp.sqrt(columns * rows))
