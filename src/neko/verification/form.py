"""Checks that a cell must pass before rules are derived from it: form of the state, finite, element-wise, active."""

from __future__ import annotations

from typing import Any

import numpy as np

from neko.backend.protocol import Backend
from neko.cells.base import Cell
from neko.cells.learnable import bound, learnt
from neko.models import Model

BATCH, STEPS, COLUMN = 3, 30, 2
LONG = 300
"""Steps of the run that is checked to be finite."""
LIVE = (0.02, 0.4)
"""Range of spikes per step and neuron in which a network counts as active."""
SCALES = tuple(2.0**k for k in range(-10, 15))
"""Strengths of the inputs that are tried, since the units of a user's cell are unknown."""


class BrokenError(Exception):
    """A failed check: the reason and the remedy."""


def names(cell: Cell) -> tuple[str, ...]:
    return tuple(cell.State._fields)


def valued(xp: Backend, cell: Cell) -> Any:
    """The cell with the first values of the constants that learn, as a network has them."""
    return bound(xp, cell, [xp.zeros((1,)) for _ in learnt(cell)])


def check_form(xp: Backend, cell: Cell) -> None:
    """``dynamics`` maps a state to a state of the same fields, each (batch, n) in the backend's precision."""
    state = cell.initial_state(xp, BATCH)
    currents = [xp.zeros((BATCH, cell.units)) for _ in range(cell.n_currents)]
    after = valued(xp, cell).dynamics(xp, state, *currents)
    for what, found in (("initial_state", state), ("dynamics", after)):
        if not isinstance(found, cell.State):
            raise BrokenError(f"{what} gives {type(found).__name__}: expected {cell.State.__name__}, the cell's State")
    for name, before, a in zip(names(cell), state, after, strict=True):
        if (a is None) != (before is None):
            raise BrokenError(f"{name} is None before or after a step only: expected an array, or None in both")
        if a is None:
            continue
        shape = tuple(getattr(a, "shape", ()))
        if shape != (BATCH, cell.units):
            raise BrokenError(f"{name} has shape {shape} after a step: expected (batch, n) = {(BATCH, cell.units)}")
        if a.dtype != xp.dtype:
            raise BrokenError(f"{name} has dtype {a.dtype} after a step: expected {xp.dtype}; use xp.zeros, xp.astype")
    if after[-1] is None:
        raise BrokenError(f"{names(cell)[-1]} is None: the last field of a state is what the neuron emits")


def visited(xp: Backend, cell: Cell, scale: float, steps: int, seed: int) -> list[tuple[Any, list[Any], Any]]:
    """State, currents and next state along a run with currents ``scale · N(0, 1)``."""
    rng = np.random.default_rng(seed)
    state, found = cell.initial_state(xp, BATCH), []
    for _ in range(steps):
        currents = [xp.asarray(scale * rng.standard_normal((BATCH, cell.units))) for _ in range(cell.n_currents)]
        after = valued(xp, cell).dynamics(xp, state, *currents)
        found.append((state, currents, after))
        state = after
    return found


def check_columns(xp: Backend, cell: Cell, scale: float, seed: int) -> None:
    """The column law: neuron j of the next state reads column j only, in its value and in its derivative; of constants
    that learn too."""
    constants = [xp.zeros((BATCH, cell.units)) for _ in learnt(cell)]
    for state, currents, after in visited(xp, cell, scale, 8, seed)[1::2]:
        fields = [i for i, a in enumerate(state) if a is not None]
        primals = [state[i] for i in fields] + currents + constants
        inputs = [names(cell)[i] for i in fields] + [f"current {i}" for i in range(len(currents))] + [*learnt(cell)]

        def step(*arrays: Any, fields: list[int] = fields, state: Any = state) -> Any:
            parts = list(state)
            for i, a in zip(fields, arrays, strict=False):
                parts[i] = a
            given, k = arrays[len(fields) :], cell.n_currents
            found = bound(xp, cell, given[k:]).dynamics(xp, cell.State(*parts), *given[:k])
            return tuple(a for a in found if a is not None)

        outputs = [name for name, a in zip(names(cell), after, strict=True) if a is not None]
        one = np.zeros((BATCH, cell.units))
        one[:, COLUMN] = 1.0
        base = [xp.to_numpy(a) for a in step(*primals)]
        for i, source in enumerate(inputs):
            pushed = list(primals)
            push = 0.37 * (1.0 if source in learnt(cell) else max(1.0, scale))
            pushed[i] = primals[i] + xp.asarray(push * one)
            for name, before, moved in zip(outputs, base, step(*pushed), strict=True):
                tell_leak(name, source, before != xp.to_numpy(moved))
        _, pullback = xp.vjp(step, *primals)
        for k, name in enumerate(outputs):
            cotangent = tuple(xp.asarray(one) if j == k else xp.zeros((BATCH, cell.units)) for j in range(len(outputs)))
            for source, g in zip(inputs, pullback(cotangent), strict=True):
                if g is not None:
                    tell_leak(f"the derivative of {name}", source, xp.to_numpy(g) != 0.0)


def tell_leak(name: str, source: str, changed: np.ndarray) -> None:
    """BrokenError if another column than `COLUMN` changed."""
    others = [int(j) for j in np.flatnonzero(changed.any(axis=0)) if j != COLUMN]
    if others:
        raise BrokenError(
            f"{name} of neuron {others[0]} depends on {source} of neuron {COLUMN}: dynamics must be element-wise over "
            "neurons; neurons interact through w_rec only"
        )


def network(xp: Backend, cell: Any, n_in: int, outputs: int, seed: int) -> Model:
    """A layer of the cell, or layers of several, with a leaky readout."""
    return Model(cell, outputs, xp, tau_out=7.0, seed=seed).build(n_in)


def find_scale(xp: Backend, cell: Cell, n_in: int, seed: int) -> tuple[float, float]:
    """A strength of the inputs for which the network is active, and its spikes per step and neuron (of a cell that does
    not spike, the standard deviation of its emission)."""
    model = network(xp, cell, n_in, 2, seed)
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((BATCH, STEPS, n_in))
    rates: dict[float, float] = {}

    def emission(x: Any) -> Any:
        return model.forward(xp.forward_only(), model.params, model.arrange(x), None, training=False)[2][-1]

    run = xp.jit(emission)
    for scale in SCALES:
        z = xp.to_numpy(run(xp.asarray(scale * noise)))
        if not np.isfinite(z).all():
            continue
        if cell.spiking and not set(np.unique(z)) <= {0.0, 1.0}:
            other = z[(z != 0.0) & (z != 1.0)].ravel()[0]
            raise BrokenError(f"{names(cell)[-1]} takes values such as {other:.3g}: expected spikes, 0 or 1")
        rates[scale] = float(z.mean()) if cell.spiking else float(z.std())
    if not rates:
        raise BrokenError(f"{names(cell)[-1]} is not finite for any strength of the inputs from {SCALES[0]:.2g} on")
    if not cell.spiking:
        scale = min(rates, key=lambda s: abs(np.log(s)))
        if rates[scale] < 1e-6:
            raise BrokenError(
                f"{names(cell)[-1]} does not move under noise: expected an emission that depends on the input"
            )
        return scale, rates[scale]
    alive = {s: r for s, r in rates.items() if LIVE[0] <= r <= LIVE[1]}
    if alive:
        scale = min(alive, key=lambda s: abs(alive[s] - 0.12))
        return scale, alive[scale]
    if max(rates.values()) < LIVE[0]:
        raise BrokenError(
            f"silent: at most {max(rates.values()):.2g} spikes a step, with inputs up to {max(rates):.2g}; lower the "
            "threshold, or scale the drive in dynamics"
        )
    if min(rates.values()) > LIVE[1]:
        raise BrokenError(
            f"saturated: at least {min(rates.values()):.2g} spikes a step, with inputs down to {min(rates):.2g}; raise "
            "the threshold, or let the reset take the potential down"
        )
    raise BrokenError(
        f"no strength of the inputs gives {LIVE[0]} to {LIVE[1]} spikes a step: found {sorted(set(rates.values()))}"
    )


def check_finite(xp: Backend, cell: Cell, scale: float, seed: int) -> float:
    """A long run stays finite without input, at the strength for which the network is active, and at ten times it."""
    largest = 0.0
    for factor in (0.0, 1.0, 10.0):
        for t, (_, _, after) in enumerate(visited(xp, cell, factor * scale, LONG, seed)):
            for name, a in zip(names(cell), after, strict=True):
                values = None if a is None else xp.to_numpy(a)
                if values is not None and not np.isfinite(values).all():
                    raise BrokenError(
                        f"{name} is {values[~np.isfinite(values)][0]} after step {t} with currents of about "
                        f"{factor * scale:.2g}: limit what grows without bound (an exponent, a time step too long)"
                    )
                largest = max(largest, 0.0 if values is None else float(np.abs(values).max()))
    return largest


def check_cut(xp: Backend, cell: Cell, scale: float, seed: int) -> float:
    """The cell with ``detach_reset=True`` has the values of the cell itself."""
    cut = cell.without_reset()
    for state, currents, after in visited(xp, cell, scale, STEPS, seed):
        same = valued(xp, cut).dynamics(xp, state, *currents)
        for name, a, b in zip(names(cell), after, same, strict=True):
            gap = 0.0 if a is None else float(np.abs(xp.to_numpy(a) - xp.to_numpy(b)).max())
            if gap > 0.0:
                raise BrokenError(
                    f"detach_reset=True changes {name} by {gap:.2g}: it may detach a path, not change a value"
                )
    return 0.0
