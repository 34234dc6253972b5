"""Pulse trains on the rows and columns of an array, which change a weight where they coincide."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any

from neko.arguments import check_integer
from neko.backend.protocol import Backend
from neko.devices import Stored
from neko.typing import Array
from neko.updates.analog.following import Following
from neko.updates.registry import UPDATES

ITERATIONS = 3
"""Of the power method for each outer product."""


@UPDATES.register("coincidences")
@dataclass(frozen=True)
class Coincidences(Following):
    r"""Stochastic pulse trains on rows and columns: a device gets a pulse in each slot in which both lines fire.

    A wanted change that is an outer product, :math:`Δw_{ij} = u_i v_j`, is written to all devices of an array at once:
    in each of `length` slots, row i fires with the probability :math:`p_i ∝ |u_i|` and column j with :math:`q_j ∝
    |v_j|`, scaled so that

    .. math::
        length \cdot ε\, p_i\, q_j = |u_i v_j|,

    with ε the change of one pulse, and the largest p and q equal. Probabilities above 1 are cut. The mean change is
    the wanted one; the pulses of a row or a column are correlated, since they share their line's train.

    The change of a batch is a sum of outer products. It is written as its `rank` leading ones, found by the power
    method, one after the other; the rest is lost. For one example and one time step `rank=1` is exact. Biases are rows
    of their own, and the kernel of a convolution is a matrix with its output channels as columns.

    Parameters
    ----------
    length : int
        Number of slots of a train.
    rank : int
        Number of outer products that are written.
    device, optimizer, learning_rate, w_max, digital, seconds, seed
        As for `Following`.

    References
    ----------
    Gokmen & Vlasov (2016), "Acceleration of deep neural network training with resistive cross-point devices",
    doi:10.3389/fnins.2016.00333; batches as few outer products: Hoskins et al. (2019), doi:10.3389/fnins.2019.00793.
    """

    _: KW_ONLY
    length: int = 10
    rank: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.most != 1:
            raise ValueError(f"most={self.most!r}: the number of pulses is that of coincidences, set length=… instead")
        object.__setattr__(self, "length", check_integer("length", self.length))
        object.__setattr__(self, "rank", check_integer("rank", self.rank))

    def moved(self, xp: Backend, key: Array, stored: Stored, own: Any, w: Array, wanted: Array) -> tuple[Stored, Any]:
        shape, storage = tuple(wanted.shape), self.storage
        left = xp.reshape(wanted, (math.prod(shape[:-1]), shape[-1]))
        *keys, last = xp.unstack(xp.random.split(key, self.rank + 1))
        fired = []
        for own_key in keys:
            u, v = leading(xp, left)
            left = left - u * v
            fired.append(trains(xp, own_key, u, v, storage.pulse_size * stored.scale, self.length))
        rows, columns = (xp.concat(lines, axis=0) for lines in zip(*fired, strict=True))

        def slot(stored: Stored, lines: Any) -> tuple[Stored, None]:
            row, column, key = lines
            return xp.elementwise(coincided, self, key, stored, xp.reshape(row * column, shape)), None

        every = rows, columns, xp.random.split(last, self.rank * self.length)
        stored, _ = xp.scan(slot, storage.write(xp, stored, w), every)
        return self.aged(xp, storage, stored), own


def coincided(xp: Backend, rule: Coincidences, key: Array, stored: Stored, direction: Array) -> Stored:
    """The devices after one slot."""
    return rule.storage.pulse(xp, key, stored, direction)


def leading(xp: Backend, matrix: Array) -> tuple[Array, Array]:
    """Column (n, 1) and row (1, m) whose product is nearest to the matrix; zeros for a matrix of zeros."""
    row = xp.sqrt(xp.sum(xp.square(matrix), axis=0, keepdims=True))
    for _ in range(ITERATIONS):
        row = unit(xp, (row @ xp.matrix_transpose(matrix)) @ matrix)
    return matrix @ xp.matrix_transpose(row), row


def unit(xp: Backend, row: Array) -> Array:
    """The row with length 1; zeros stay."""
    norm = xp.sqrt(xp.sum(xp.square(row)))
    return row / xp.where(norm > 0.0, norm, xp.ones_like(norm))


def trains(xp: Backend, key: Array, u: Array, v: Array, size: Array, length: int) -> tuple[Array, Array]:
    """For each slot which rows (length, n, 1) and which columns (length, 1, m) fire, with their signs."""
    largest = xp.sqrt(xp.max(xp.abs(u)) * xp.max(xp.abs(v)) / (length * size))

    def fired(line: Array, key: Array) -> Array:
        top = xp.max(xp.abs(line))
        chance = xp.abs(line) * (largest / xp.where(top > 0.0, top, xp.ones_like(top)))
        lots = xp.random.uniform(key, (length, *tuple(line.shape)))
        return xp.sign(line) * xp.astype(lots < chance, xp.dtype)

    keys = xp.unstack(xp.random.split(key))
    return fired(u, keys[0]), fired(v, keys[1])
