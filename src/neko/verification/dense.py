r"""An independent reference for forward rules: the influence of every weight on every state, as dense NumPy arrays.

The step of each layer, written in the plain loop of `neko.verification.reference`, is differentiated by automatic
differentiation, one row of its Jacobian at a time. Everything else is NumPy. For one layer

.. math::
    M_t = K(A_t) M_{t-1} + B_t ⊗ pre_t, \qquad F_t = κ F_{t-1} + c\, W_{out}^T M^z_t, \qquad
    \frac{dE}{dW} = \sum_t err_t F_t

where A_t is the Jacobian of all its states, through its recurrent weights too, and K is what a rule keeps of it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from neko.cells.learnable import learnt
from neko.verification.cases import Case, Gradients, on_host
from neko.verification.reference import constants_of, currents_of, with_constants


class DenseLayer(NamedTuple):
    """The derivatives of one layer's steps; its S state entries are its fields in order, the last the emission. The
    parameters of constants that learn are k' more of its k currents, after those of the cell.

    ``state`` A (time, batch, S, S) by its state before, through the recurrent weights too; ``local`` the same at
    constant currents; ``current`` B (time, batch, S, k n) by its currents; ``below`` U (time, batch, S, n_below) by the
    emission of the layer below in the same step; ``pre`` per current the presynaptic activity (time, batch, n_pre), in
    the order input, neurons, constant; ``z`` the emissions (time, batch, n).
    """

    state: np.ndarray
    local: np.ndarray
    current: np.ndarray
    below: np.ndarray
    pre: tuple[np.ndarray, ...]
    z: np.ndarray


class Dense(NamedTuple):
    """A network's layers, ``error`` ∂loss/∂outputs (time, batch, outputs), and per layer ``rate`` (time, batch, n), the
    error of the rate penalty at each emission."""

    layers: tuple[DenseLayer, ...]
    error: np.ndarray
    rate: tuple[np.ndarray, ...]


def record(case: Case, cells: Any = None) -> Dense:
    """The derivatives along the case's forward pass from rest; `cells` are copies that detach a path."""
    xp, evaluator = case.xp, case.evaluator
    network, params = evaluator.network, evaluator.params
    cells = network.cells if cells is None else cells
    batch = evaluator.batch(*(xp.asarray(a) for a in case.data))
    layers, x = [], [batch.x[t] for t in range(batch.x.shape[0])]
    for i, cell in enumerate(cells):
        layer, x = differentiated(xp, cell, params, i, x)
        layers.append(layer)
    readout, f, outputs = network.readout, 0.0, []
    for z in x:
        f = readout.kappa * f + readout.gain * (z @ params["readout.w_out"])
        outputs.append(f + params["readout.b_out"])
    error = xp.to_numpy(evaluator.objective.error(xp, xp.stack(outputs, axis=0), batch)[1])
    rates, valid = [], np.asarray(xp.to_numpy(batch.valid))
    for cell, layer in zip(cells, layers, strict=True):
        term, per_spike = evaluator.objective.regularizer, np.zeros((valid.shape[1], cell.units))
        if term is not None and cell.spiking:
            counts = np.einsum("tb,tbn->bn", valid, layer.z)
            frames = valid.sum(axis=0) if term.per_sequence else np.full(valid.shape[1], valid.sum())
            rate = counts / frames[:, None]
            rate, share = (rate, valid.shape[1]) if term.per_sequence else (rate.sum(axis=0)[None], 1)
            per_spike = per_spike + term.strength * (rate - term.target * readout.dt / 1000.0) / frames[:, None] / share
        rates.append(valid[:, :, None] * per_spike)
    return Dense(tuple(layers), np.asarray(error), tuple(rates))


def differentiated(xp: Any, cell: Any, params: Any, index: int, x: list[Any]) -> tuple[DenseLayer, list[Any]]:
    """One layer over time, from its inputs at each step; its emissions are the inputs of the next."""
    state, emissions, before, rows = cell.initial_state(xp, x[0].shape[0]), [], [], []
    used = [i for i, a in enumerate(state) if a is not None]
    constants, k = constants_of(params, index), cell.n_currents
    kicks = tuple(xp.zeros((x[0].shape[0], cell.units)) for _ in range(k + len(constants)))

    def filled(local: Any) -> Any:
        fields: list[Any] = [None] * len(state)
        for i, a in zip(used, local, strict=True):
            fields[i] = a
        return cell.State(*fields)

    def step(held: Any, local: Any, below: Any, kicks: Any) -> Any:
        """The next state; the emission `held`, if given, takes the place of the state's in the recurrent current."""
        h = filled(local)
        currents = currents_of(xp, cell, params, index, below, h[-1] if held is None else held)
        kicked = {name: params[name] + kick for name, kick in zip(constants, kicks[k:], strict=True)}
        valued = with_constants(xp, cell, kicked, index)
        after = valued.dynamics(xp, h, *(i + kick for i, kick in zip(currents, kicks[:k], strict=True)))
        return tuple(after[i] for i in used)

    def host(arrays: Any) -> np.ndarray:
        return np.concatenate([np.asarray(xp.to_numpy(a)) for a in arrays], axis=-1)

    for x_t in x:
        local = tuple(state[i] for i in used)
        after, pullback = xp.vjp(functools.partial(step, None), local, x_t, kicks)
        _, alone = xp.vjp(functools.partial(step, state[-1]), local, x_t, kicks)
        whole, held = ([pull(one) for one in units(xp, after)] for pull in (pullback, alone))
        kept = ([row[0] for row in whole], [row[0] for row in held], [row[2] for row in held])
        derivatives = [*kept, [(row[1],) for row in whole]]
        rows.append([np.stack([host(entry) for entry in entries], axis=1) for entries in derivatives])
        before.append(host([state[-1]]))
        state = filled(after)
        emissions.append(state[-1])
    whole_steps, own_steps, current, below = (np.stack(a) for a in zip(*rows, strict=True))
    fed, emitted, z = (np.stack(a) for a in ([host([a]) for a in x], before, [host([a]) for a in emissions]))
    pre = []
    for c in range(cell.n_currents):
        parts = [fed] if c in cell.input_currents else []
        parts += [emitted] if c in cell.recurrent_currents else []
        parts += [np.ones_like(emitted[..., :1])] if cell.bias else []
        pre.append(np.concatenate([emitted[..., :0], *parts], axis=-1))
    pre += [np.ones_like(emitted[..., :1])] * len(constants)
    return DenseLayer(whole_steps, own_steps, current, below, tuple(pre), z), emissions


def units(xp: Any, after: Any) -> list[Any]:
    """A cotangent for each entry of the state, one for all examples."""
    batch, n = after[0].shape
    found = []
    for i in range(len(after)):
        for j in range(n):
            one = np.zeros((batch, n))
            one[:, j] = 1.0
            found.append(tuple(xp.asarray(one) if m == i else xp.zeros((batch, n)) for m in range(len(after))))
    return found


Keep = Callable[[DenseLayer], np.ndarray]
"""From a layer's derivatives to the Jacobian (time, batch, S, S) that carries the influence of its weights."""


def exact(layer: DenseLayer) -> np.ndarray:
    """All paths within the layer."""
    return layer.state


def influence_gradients(
    case: Case,
    dense: Dense,
    keep: Keep = exact,
    *,
    across: bool = True,
    filtered: bool = True,
    mask: Any = None,
    feedback: Any = None,
) -> Gradients:
    """The hidden gradients of a forward rule, by name.

    `keep` is the Jacobian that carries the influence of a layer's weights. With `across` the influence on the layers
    above is carried too; without it these pass credit within a step only, and the readout's filter carries that of
    the last layer alone, or with ``filtered=False`` of none. ``mask(i, m)``, an array (S, k, n), multiplies the
    influence of the weights onto the n neurons of layer m on the states of layer i. With `feedback`, an array
    (outputs, n) per layer, the error reaches each layer by its own matrix through the readout's filter.
    """
    readout = case.evaluator.network.readout
    w_out = on_host(case.xp, case.evaluator.params)["readout.w_out"]
    result: Gradients = {}
    for m, cell in enumerate(case.evaluator.network.cells):
        above = slice(m, m + 1 if feedback is not None else None)
        given = Dense(dense.layers[above], dense.error, dense.rate[above])
        memory = filtered and (across or len(given.layers) == 1)
        onto = readout.gain * (w_out if feedback is None else feedback[m].T)
        own = None if mask is None else [mask(m + i, m) for i in range(len(given.layers))]
        kappa = readout.kappa if memory else 0.0
        blocks = [block(given, c, keep, own, across, kappa, onto) for c in range(len(given.layers[0].pre))]
        result |= named(cell, m, blocks)
    return result


def block(dense: Dense, c: int, keep: Keep, mask: Any, across: bool, kappa: float, w_out: np.ndarray) -> np.ndarray:
    """The gradient (n_pre, n) of the weights onto current c of the first of the layers given."""
    first = dense.layers[0]
    pre, n = first.pre[c], first.z.shape[-1]
    batch, rows = pre.shape[1], pre.shape[2]
    carried = [np.zeros((batch, layer.state.shape[-1], rows, n)) for layer in dense.layers]
    output, total = np.zeros((batch, w_out.shape[1], rows, n)), np.zeros((rows, n))
    for t in range(len(pre)):
        z = np.zeros(0)
        for i, layer in enumerate(dense.layers):
            if i:
                fresh = np.einsum("bsz,bzpn->bspn", layer.below[t], z)
            else:
                fresh = layer.current[t][:, :, None, c * n : (c + 1) * n] * pre[t][:, None, :, None]
            if across or not i:
                fresh = fresh + np.einsum("bsr,brpn->bspn", keep(layer)[t], carried[i])
            carried[i] = fresh if mask is None else fresh * mask[i][:, None, c]
            z = carried[i][:, -layer.z.shape[-1] :]
            if across or not i:
                total += np.einsum("bz,bzpn->pn", dense.rate[i][t], z)
        output = kappa * output + np.einsum("zo,bzpn->bopn", w_out, z)
        total += np.einsum("bo,bopn->pn", dense.error[t], output)
    return total


def named(cell: Any, index: int, blocks: list[np.ndarray]) -> Gradients:
    """Blocks (n_pre, n) per current by the names of the layer's parameters; a constant that is shared has the sum."""
    n, constants = cell.units, learnt(cell)
    parts: dict[str, list[np.ndarray]] = {"w_in": [], "w_rec": [], "b": []}
    for c, block in enumerate(blocks[: cell.n_currents]):
        n_in = block.shape[0] - (n if c in cell.recurrent_currents else 0) - (1 if cell.bias else 0)
        if c in cell.input_currents:
            parts["w_in"].append(block[:n_in])
        if c in cell.recurrent_currents:
            others = 1.0 if cell.autapses else 1.0 - np.eye(n)
            parts["w_rec"].append(others * block[n_in : n_in + n])
        if cell.bias:
            parts["b"].append(block[-1])
    found = {name: np.concatenate(a, axis=-1) for name, a in parts.items() if a}
    for (name, constant), block in zip(constants.items(), blocks[cell.n_currents :], strict=True):
        found[f"constants.{name}"] = block[0] if constant.per_neuron else block.sum(axis=1)
    return {f"layers.{index}.{name}": a for name, a in found.items()}
