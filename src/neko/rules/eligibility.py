r"""Local derivatives of a layer, and the two ways to run through them.

From a cell's step alone, automatic differentiation gives for each neuron and step

``A_t = ∂h_t/∂h_{t-1}`` (d × d),  ``b_t = ∂h_t/∂I_t`` (d × k).

The emission is the last of the d state fields. The eligibility vector ``ε_t = A_t ε_{t-1} + b_t ⊗ pre_t`` is
carried forward by `stepwise_gradient`; `adjoint` runs the same linear recurrence backward, which needs no
presynaptic axis and so costs one element-wise scan and one matrix product. Entries of A and b that
are zero by the structure of the step are never computed (None).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from neko import tree
from neko.cells.base import Cell
from neko.models.network import LayerTrace
from neko.rules.synapses import Parts
from neko.typing import Array

Entries = tuple[Array | None, ...]


class Local(NamedTuple):
    """``state[i][j]`` = ∂h_t[i]/∂h_{t-1}[j] and ``current[i][c]`` = ∂h_t[i]/∂I_t[c], each (time, batch, n)."""

    state: tuple[Entries, ...]
    current: tuple[Entries, ...]


def fields(state: Any) -> tuple[Array, ...]:
    """The arrays of a state, without the fields that this variant of the cell does not use."""
    return tuple(field for field in state if field is not None)


@dataclass(frozen=True, eq=False)
class Derivatives:
    """A_t and b_t of a layer over time, as a scan meets them.

    ``xs`` is what a scan runs over, and ``at`` makes the `Local` of one step from its slice. ``alive`` tells which
    state fields still reach an emission at a later step: only these carry credit. ``all_steps`` gives the
    `Local` of all steps at once.
    """

    xs: Any
    at: Callable[[Any], Local]
    alive: tuple[bool, ...]
    all_steps: Callable[[], Local]


def local_derivatives(xp: Any, cell: Cell, trace: LayerTrace) -> Derivatives:
    """The derivatives of a cell's step along a trace.

    Given the states no step depends on another, so one call differentiates all of them; where the compiler
    fuses a scan's step, it is cheaper to differentiate there than to read the results from memory.
    """
    state_type, unused = type(trace.before), [field is None for field in trace.before]
    before = fields(trace.before)
    d = len(before)

    def step(*columns: Array) -> tuple[Array, ...]:
        used = iter(columns[:d])
        state = state_type(*(None if skip else next(used) for skip in unused))
        return fields(cell.dynamics(xp, state, *columns[d:]))

    def at(columns: tuple[Array, ...]) -> Local:
        jacobian = xp.columnwise_jacobian(step, *columns)
        return Local(tuple(row[:d] for row in jacobian), tuple(row[d:] for row in jacobian))

    def all_steps() -> Local:
        shape = before[0].shape
        local = at(tuple(xp.reshape(a, (shape[0] * shape[1], shape[2])) for a in (*before, *trace.currents)))
        return tree.map(lambda e: xp.reshape(e, shape), local)

    if xp.fuses:
        columns = (*before, *trace.currents)
        return Derivatives(columns, at, live(at(tuple(a[0] for a in columns))), all_steps)
    local = all_steps()
    return Derivatives(local, lambda now: now, live(local), lambda: local)


def live(local: Local) -> tuple[bool, ...]:
    """Which state fields still reach an emission at a later step."""
    d = len(local.state)
    reach = [False] * (d - 1) + [True]
    for _ in range(d):
        reach = [i == d - 1 or any(reach[o] and local.state[o][i] is not None for o in range(d)) for i in range(d)]
    return tuple(any(reach[o] and local.state[o][i] is not None for o in range(d)) for i in range(d))


def combine(entries: Entries, values: Entries) -> Array | None:
    """Sum of the products in which neither factor is None."""
    total = None
    for entry, value in zip(entries, values, strict=True):
        if entry is not None and value is not None:
            total = entry * value if total is None else total + entry * value
    return total


def column(rows: tuple[Entries, ...], j: int) -> Entries:
    """Column j of a matrix held as rows."""
    return tuple(row[j] for row in rows)


def adjoint(xp: Any, local: Derivatives, signal: Array, end: Entries) -> tuple[Entries, tuple[Array, ...]]:
    r"""Run the recurrence backward: from credit at emissions to credit at currents.

    .. math::
        λ_t = A_{t+1}^T λ_{t+1} + signal_t e_z, \qquad δ_t = b_t^T λ_t

    Parameters
    ----------
    signal : Array (time, …, batch, n)
        Learning signal at each emission; leading axes before `batch` are independent problems.
    end : tuple of Array (…, batch, n) or None
        Credit at the last state from beyond the sequence, None for fields that are not live.

    Returns
    -------
    tuple
        Credit at the state before the first step, and δ per current, (time, …, batch, n).
    """

    def step(carry: Entries, xs: Any) -> tuple[Entries, tuple[Array, ...]]:
        columns, at_emission = xs
        state, current = local.at(columns)
        credit = (*carry[:-1], at_emission if carry[-1] is None else carry[-1] + at_emission)
        earlier = tuple(None if carry[j] is None else combine(column(state, j), credit) for j in range(len(carry)))
        delta = [combine(column(current, c), credit) for c in range(len(current[0]))]
        return earlier, tuple(xp.zeros_like(at_emission) if e is None else e for e in delta)

    return xp.scan(step, end, (local.xs, signal), reverse=True)


class Credit(NamedTuple):
    """What the emissions of a layer are told, each (time, batch, n) unless said otherwise.

    ``signal`` is the learning signal L_t of step t; ``reaching`` is the credit of all later steps of
    the sequence as well, ``L_t + κ L_{t+1} + …``; ``valid`` (time, batch) marks real frames,
    None where no rate term asks for them, and ``per_sequence`` says that it asks for each sequence by itself; ``kappa``
    is the decay of the filtered trace ``ē_t = κ ē_{t-1} + e_t``.
    """

    signal: Array
    reaching: Array
    valid: Array | None
    per_sequence: bool
    kappa: float


class Traces(NamedTuple):
    """What is carried over from one piece of a sequence to the next, for the weights onto one current.

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


def initial_traces(xp: Any, local: Derivatives, pre: tuple[Array, ...], n: int, kappa: float) -> tuple[Traces, ...]:
    """Zero traces of `n` neurons for every current, before the first step."""
    traces = []
    for p in pre:
        zeros = xp.zeros((p.shape[1], p.shape[2], n))
        vectors = {i: zeros for i, alive in enumerate(local.alive) if alive}
        traces.append(Traces(vectors, zeros if kappa else None))
    return tuple(traces)


def sequence_gradient(xp: Any, local: Derivatives, pre: tuple[Parts, ...], reaching: Array) -> tuple[Array, ...]:
    """Gradient (n_pre, n) per current of a whole sequence, from the credit that reaches each emission."""
    nothing = xp.zeros_like(reaching[0])
    end = tuple(nothing if alive else None for alive in local.alive)
    _, delta = adjoint(xp, local, reaching, end)
    # One product per part: joining the parts first would copy the whole input.
    return tuple(
        xp.concat([outer_sum(xp, part, d) for part in parts], axis=0) for parts, d in zip(pre, delta, strict=True)
    )


def outer_sum(xp: Any, pre: Array, post: Array) -> Array:
    """``Σ_t Σ_b pre ⊗ post`` of (time, batch, …) arrays, as one matrix product."""
    rows = pre.shape[0] * pre.shape[1]
    return xp.matrix_transpose(xp.reshape(pre, (rows, pre.shape[2]))) @ xp.reshape(post, (rows, post.shape[2]))


def chunk_gradient(
    xp: Any, local: Derivatives, pre: tuple[Array, ...], credit: Credit, traces: tuple[Traces, ...] | None, keep: bool
) -> LayerGradient:
    """Gradient of one piece of a sequence and, with `keep`, the traces that the next piece starts from.

    One backward scan answers several questions at once, as leading rows: the credit of the learning signal, the
    plain sum of traces for the rate term, and what each carried quantity at the end of the piece owes to each
    current. The rest are matrix products. At the start of a sequence `traces` is None: there is nothing to add.
    """
    alive = [i for i, a in enumerate(local.alive) if a]
    nothing = xp.zeros_like(credit.reaching)
    time = nothing.shape[0]
    powers = credit.kappa ** np.arange(time, -1, -1.0)
    rows = [credit.reaching]
    if credit.valid is not None:
        rows.append(nothing + xp.expand_dims(credit.valid, axis=-1))
    sums = len(rows)
    if keep and credit.kappa:
        rows.append(nothing + xp.reshape(xp.asarray(powers[1:]), (time, 1, 1)))
    first = len(rows)
    rows.extend([nothing] * len(alive) if keep else [])
    ends: list[Array | None] = [None] * len(local.alive)
    for i in alive:
        unit = [nothing[0]] * len(rows)
        if keep:
            unit[first + alive.index(i)] = nothing[0] + 1.0
        ends[i] = xp.stack(unit, axis=0)
    start, delta = adjoint(xp, local, xp.stack(rows, axis=1), tuple(ends))

    credited = {i: credit for i, credit in enumerate(start) if credit is not None}
    weights, rates, later = [], [], []
    start_traces = (Traces({}, None),) * len(pre) if traces is None else traces
    for p, d, (vectors, filtered) in zip(pre, delta, start_traces, strict=True):

        def owed(row: int, vectors: dict[int, Array] = vectors) -> Array | float:
            """What the traces before the piece still contribute to a row, (batch, n_pre, n)."""
            return sum(xp.expand_dims(credited[j][row], axis=1) * eps for j, eps in vectors.items())

        def total(row: int, vectors: dict[int, Array] = vectors, p: Array = p, d: Array = d) -> Array:
            """The sum over time and batch that a row stands for, (n_pre, n)."""
            return outer_sum(xp, p, d[:, row]) + sum(
                xp.einsum("bn,bpn->pn", credited[j][row], eps) for j, eps in vectors.items()
            )

        # A product per row: compilers are slow at one contraction over an array of four axes.
        by_example = xp.permute_dims(p, (1, 2, 0))

        def each(row: int, by_example: Array = by_example, d: Array = d) -> Array:
            """What a row gathers within the piece for each sequence, (batch, n_pre, n)."""
            return by_example @ xp.permute_dims(d[:, row], (1, 0, 2))

        gradient = total(0)
        if filtered is not None:
            gradient = gradient + xp.einsum("bn,bpn->pn", credit.kappa * credit.reaching[0], filtered)
        weights.append(gradient)
        if credit.valid is not None:
            rates.append(each(1) + owed(1) if credit.per_sequence else total(1))
        if keep:
            grown = [each(row) for row in range(sums, len(rows))]
            if credit.kappa:
                before = 0.0 if filtered is None else float(powers[0]) * filtered
                filtered = grown[0] + owed(sums) + before
            vectors = {i: grown[first - sums + m] + owed(first + m) for m, i in enumerate(alive)}
        later.append(Traces(vectors, filtered))
    return LayerGradient(tuple(weights), tuple(rates), tuple(later))


def stepwise_gradient(
    xp: Any, local: Derivatives, pre: tuple[Array, ...], credit: Credit, traces: tuple[Traces, ...] | None, keep: bool
) -> LayerGradient:
    """The textbook recursion, one step after the other: the same numbers as `chunk_gradient`.

    The traces at the end come by themselves, whether or not one wants to `keep` them.
    """
    n = credit.signal.shape[-1]
    zeros = tuple(xp.zeros((p.shape[-1], n)) for p in pre)
    gathered = tuple(xp.zeros((p.shape[1], p.shape[-1], n)) for p in pre) if credit.per_sequence else zeros
    if traces is None:
        traces = initial_traces(xp, local, pre, n, credit.kappa)

    def step(carry: Any, xs: Any) -> tuple[Any, None]:
        columns, pre_t, signal, valid = xs
        now = local.at(columns)
        weights, rates, later = [], [], []
        for c, (w, r, old) in enumerate(zip(*carry, strict=True)):
            vectors, e = forward_vectors(xp, now, old.vectors, c, pre_t[c])
            filtered = None if old.filtered is None else credit.kappa * old.filtered + e
            weights.append(w + xp.einsum("bn,bpn->pn", signal, e if filtered is None else filtered))
            rates.append(r if valid is None else r + valid_sum(xp, valid, e, credit.per_sequence))
            later.append(Traces(vectors, filtered))
        return (tuple(weights), tuple(rates), tuple(later)), None

    xs = (local.xs, pre, credit.signal, credit.valid)
    (weights, rates, later), _ = xp.scan(step, (zeros, gathered, traces), xs)
    return LayerGradient(weights, rates if credit.valid is not None else (), later)


def valid_sum(xp: Any, valid: Array, e: Array, per_sequence: bool) -> Array:
    """``valid e``, summed over the batch unless each sequence is wanted by itself."""
    return xp.reshape(valid, (-1, 1, 1)) * e if per_sequence else xp.einsum("b,bpn->pn", valid, e)


def credited(xp: Any, error: Array, gathered: Array) -> Array:
    """The rate term (n_pre, n): the error (1, n) times a sum (n_pre, n), or of each sequence, (batch, n) and (batch,
    n_pre, n)."""
    return error * gathered if len(gathered.shape) == 2 else xp.einsum("bn,bpn->pn", error, gathered)


def forward_vectors(
    xp: Any, now: Local, vectors: dict[int, Array], current: int, pre: Array
) -> tuple[dict[int, Array], Array]:
    """``ε_t = A_t ε_{t-1} + b_t ⊗ pre_t`` for the weights onto one current, and ``e_t``, ε of the emission.

    `now` holds the derivatives of this step, (batch, n) each.
    """

    def grow(i: int) -> Array:
        owed = [(now.state[i][j], eps) for j, eps in vectors.items()]
        terms = [xp.expand_dims(a, axis=1) * eps for a, eps in owed if a is not None]
        b = now.current[i][current]
        if b is not None:
            terms.append(xp.expand_dims(pre, axis=2) * xp.expand_dims(b, axis=1))
        return sum(terms) if terms else xp.zeros_like(next(iter(vectors.values())))

    emission = len(now.state) - 1
    later = {i: grow(i) for i in vectors}
    return later, later[emission] if emission in later else grow(emission)
