r"""Eligibility traces, and the sums of traces that make up a gradient.

The eligibility vector ``ε_t = A_t ε_{t-1} + b_t ⊗ pre_t`` of every synapse is carried forward by `stepwise_gradient`.
`chunk_gradient` gives the same sums by the backward recurrence of `neko.rules.jacobian` and matrix products.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from neko.backend.protocol import Backend
from neko.cells.jacobian import StepJacobian
from neko.rules.jacobian import Jacobians
from neko.rules.signals import LearningSignal
from neko.typing import Array


class Traces(NamedTuple):
    """The traces carried from one chunk of a sequence to the next, for the weights onto one current.

    ``vectors`` maps each live state field to its eligibility vector, ``filtered`` is ē (None where κ = 0); all
    have shape (batch, n_pre, n).
    """

    vectors: dict[int, Array]
    filtered: Array | None


class LayerGradient(NamedTuple):
    """Σ_t L_t ē_t per current, (n_pre, n) each; for a rate term Σ_t valid_t e_t, summed over the batch too or, for one
    per sequence, (batch, n_pre, n); the traces at the end."""

    weights: tuple[Array, ...]
    rates: tuple[Array, ...]
    traces: tuple[Traces, ...]


def initial_traces(
    xp: Backend, jacobians: Jacobians, pre: tuple[Array, ...], n: int, kappa: float
) -> tuple[Traces, ...]:
    """Zero traces of `n` neurons for every current, before the first step."""
    traces = []
    for p in pre:
        zeros = xp.zeros((p.shape[1], p.shape[2], n))
        vectors = {i: zeros for i, alive in enumerate(jacobians.alive) if alive}
        traces.append(Traces(vectors, zeros if kappa else None))
    return tuple(traces)


def chunk_gradient(
    xp: Backend,
    jacobians: Jacobians,
    pre: tuple[Array, ...],
    signal: LearningSignal,
    traces: tuple[Traces, ...] | None,
    keep: bool,
) -> LayerGradient:
    """Gradient of one chunk of a sequence and, with `keep`, the traces that the next chunk starts from.

    One backward scan computes several rows at once: the credit of the learning signal, the plain sum of traces for the
    rate term, and the credit of each carried quantity at the end of the chunk. The rest are matrix products. `traces`
    is None at the start of a sequence, where no carried term is added.
    """
    rows, nothing = [signal.future], xp.zeros_like(signal.future)
    if signal.valid is not None:
        rows.append(nothing + xp.expand_dims(signal.valid, axis=-1))
    sums, kappa = len(rows), signal.kappa or None
    credited, delta = credit_of(xp, jacobians, nothing, rows, kappa if keep else None, keep)
    weights, rates, later = [], [], []
    for p, d, before in zip(pre, delta, (Traces({}, None),) * len(pre) if traces is None else traces, strict=True):

        def total(row: int, p: Array = p, d: Array = d, before: Traces = before) -> Array:
            """The sum over time and batch of a row, (n_pre, n)."""
            return xp.outer_sum(p, d[:, row]) + sum(
                xp.einsum("bn,bpn->pn", credited[j][row], eps) for j, eps in before.vectors.items()
            )

        by_example = xp.permute_dims(p, (1, 2, 0))
        gradient = total(0)
        if before.filtered is not None:
            gradient = gradient + xp.einsum("bn,bpn->pn", signal.kappa * signal.future[0], before.filtered)
        weights.append(gradient)
        if signal.valid is not None:
            rates.append(each(xp, 1, credited, by_example, d, before) if signal.per_sequence else total(1))
        later.append(traces_after(xp, sums, kappa, credited, by_example, d, before) if keep else before)
    return LayerGradient(tuple(weights), tuple(rates), tuple(later))


def credit_of(
    xp: Backend, jacobians: Jacobians, nothing: Array, rows: list[Array], kappa: float | None, keep: bool
) -> tuple[dict[int, Array], tuple[Array, ...]]:
    """Credit of every live field before the first step, (rows, batch, n), and of every current, (time, rows, batch, n),
    by one backward scan over signals at the emission, `rows` (time, batch, n) each.

    Rows follow for ē at the end, with its decay κ, unless that is None, and, with `keep`, for ε of each live field.
    """
    alive, time = [i for i, a in enumerate(jacobians.alive) if a], nothing.shape[0]
    rows = list(rows)
    if kappa is not None:
        rows.append(nothing + xp.reshape(xp.asarray(kappa ** np.arange(time - 1, -1, -1.0)), (time, 1, 1)))
    first = len(rows)
    rows.extend([nothing] * len(alive) if keep else [])
    ends: list[Array | None] = [None] * len(jacobians.alive)
    for i in alive:
        unit = [nothing[0]] * len(rows)
        if keep:
            unit[first + alive.index(i)] = nothing[0] + 1.0
        ends[i] = xp.stack(unit, axis=0)
    start, delta = jacobians.adjoint(xp.stack(rows, axis=1), tuple(ends))
    return {i: credit for i, credit in enumerate(start) if credit is not None}, delta


def each(xp: Backend, row: int, credited: dict[int, Array], by_example: Array, delta: Array, before: Traces) -> Array:
    """A row's sum over time for every synapse and sequence, (batch, n_pre, n): within the chunk, whose presynaptic
    activity is `by_example` (batch, n_pre, time), and by the traces before it."""
    carried = sum(xp.expand_dims(credited[j][row], axis=1) * eps for j, eps in before.vectors.items())
    # One product per row: compilers are slow at a single contraction over an array of four axes.
    return by_example @ xp.permute_dims(delta[:, row], (1, 0, 2)) + carried


def traces_after(
    xp: Backend,
    row: int,
    kappa: float | None,
    credited: dict[int, Array],
    by_example: Array,
    delta: Array,
    before: Traces,
) -> Traces:
    """The traces at the end of a chunk, by the rows of `credit_of` from `row` on."""
    filtered = None
    if kappa is not None:
        filtered, row = each(xp, row, credited, by_example, delta, before), row + 1
        if before.filtered is not None:
            filtered = filtered + kappa ** float(delta.shape[0]) * before.filtered
    return Traces({i: each(xp, row + m, credited, by_example, delta, before) for m, i in enumerate(credited)}, filtered)


def stepwise_gradient(
    xp: Backend,
    jacobians: Jacobians,
    pre: tuple[Array, ...],
    signal: LearningSignal,
    traces: tuple[Traces, ...] | None,
    keep: bool,
) -> LayerGradient:
    """As `chunk_gradient` by the forward recursion, step by step; the traces at the end are always returned."""
    n = signal.signal.shape[-1]
    zeros = tuple(xp.zeros((p.shape[-1], n)) for p in pre)
    gathered = tuple(xp.zeros((p.shape[1], p.shape[-1], n)) for p in pre) if signal.per_sequence else zeros
    if traces is None:
        traces = initial_traces(xp, jacobians, pre, n, signal.kappa)

    def step(carry: Any, xs: Any) -> tuple[Any, None]:
        columns, pre_t, l_t, valid = xs
        now = jacobians.at(columns)
        weights, rates, later = [], [], []
        for c, (w, r, old) in enumerate(zip(*carry, strict=True)):
            vectors, e = forward_vectors(xp, now, old.vectors, c, pre_t[c])
            filtered = None if old.filtered is None else signal.kappa * old.filtered + e
            weights.append(w + xp.einsum("bn,bpn->pn", l_t, e if filtered is None else filtered))
            rates.append(r if valid is None else r + valid_sum(xp, valid, e, signal.per_sequence))
            later.append(Traces(vectors, filtered))
        return (tuple(weights), tuple(rates), tuple(later)), None

    xs = (jacobians.xs, pre, signal.signal, signal.valid)
    (weights, rates, later), _ = xp.scan(step, (zeros, gathered, traces), xs)
    return LayerGradient(weights, rates if signal.valid is not None else (), later)


def valid_sum(xp: Backend, valid: Array, e: Array, per_sequence: bool) -> Array:
    """``valid e``, summed over the batch unless `per_sequence`."""
    return xp.reshape(valid, (-1, 1, 1)) * e if per_sequence else xp.einsum("b,bpn->pn", valid, e)


def rate_gradient(xp: Backend, error: Array, gathered: Array) -> Array:
    """The rate term (n_pre, n): error (1, n) times summed traces (n_pre, n), or (batch, n) times (batch, n_pre, n)."""
    return error * gathered if len(gathered.shape) == 2 else xp.einsum("bn,bpn->pn", error, gathered)


def forward_vectors(
    xp: Backend, now: StepJacobian, vectors: dict[int, Array], current: int, pre: Array
) -> tuple[dict[int, Array], Array]:
    """``ε_t = A_t ε_{t-1} + b_t ⊗ pre_t`` for the weights onto one current, and ``e_t``, ε of the emission.

    `now` holds the derivatives of this step, (batch, n) each.
    """

    def grow(i: int) -> Array:
        terms_of = [(now.state[i][j], eps) for j, eps in vectors.items()]
        terms = [xp.expand_dims(a, axis=1) * eps for a, eps in terms_of if a is not None]
        b = now.current[i][current]
        if b is not None:
            terms.append(xp.expand_dims(pre, axis=2) * xp.expand_dims(b, axis=1))
        return sum(terms) if terms else xp.zeros_like(next(iter(vectors.values())))

    emission = len(now.state) - 1
    later = {i: grow(i) for i in vectors}
    return later, later[emission] if emission in later else grow(emission)
