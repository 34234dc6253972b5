"""The eligibility traces and learning signals of e-prop over time, for inspection."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from neko import tree
from neko.backend.protocol import Backend
from neko.evaluator import Evaluator
from neko.models.layer import LayerTrace
from neko.objective import Batch, spike_count
from neko.rules.eligibility import forward_vectors, initial_traces
from neko.rules.forward import Recorded
from neko.rules.jacobian import Jacobians
from neko.rules.signals import LearningSignal
from neko.rules.synapses import joined, presynaptic, weight_gradients
from neko.typing import Array


class LayerTraces(NamedTuple):
    r"""The factors of e-prop's gradient of one layer, as NumPy arrays.

    .. math::
        \frac{dE}{dW_{ij}} = \sum_{b,t} \left( L_{btj}\, ē_{btij} + R_{btj}\, e_{btij} \right)

    Attributes
    ----------
    eligibility : dict of array
        e by weight: ``w_in`` (batch, time, n_in, k n), ``w_rec`` (batch, time, n, k n) and, where the cell has a bias,
        ``b`` (batch, time, k n). For a cell with k currents the last axis has k blocks of n neurons.
    filtered : dict of array
        ē, filtered as the readout filters spikes: ``ē_t = κ ē_{t-1} + e_t``. In a stack with symmetric feedback the
        lower layers have κ = 0, thus ē = e.
    signal : array (batch, time, n)
        L, the learning signal of every neuron.
    rate_signal : array (batch, time, n)
        R, the signal of the firing-rate regularizer; zeros without one.
    """

    eligibility: dict[str, np.ndarray]
    filtered: dict[str, np.ndarray]
    signal: np.ndarray
    rate_signal: np.ndarray


def observed(
    xp: Backend, model: Evaluator, batch: Batch, recorded: Recorded, signals: list[LearningSignal]
) -> list[LayerTraces]:
    """The traces of every layer along a recorded forward pass from rest.

    Each layer has two traces of batch · time · n_pre · n numbers: 23 MB for one sequence of 100 steps onto 128
    recurrent neurons with 100 inputs. Use few examples.
    """
    rates = rate_signals(xp, model, batch, recorded.traces)
    layers = zip(model.network.cells, recorded.traces, recorded.jacobians, signals, rates, strict=True)
    return [layer_traces(xp, *layer) for layer in layers]


def layer_traces(
    xp: Backend, cell: Any, trace: LayerTrace, jacobians: Jacobians, signal: LearningSignal, rate_signal: Array
) -> LayerTraces:
    """The traces of one layer at every step, by the forward recursion."""
    pre = joined(xp, presynaptic(xp, cell, trace))

    def step(old: Any, xs: Any) -> tuple[Any, Any]:
        columns, pre_t = xs
        now, later, kept = jacobians.at(columns), [], []
        for c, (vectors, filtered) in enumerate(old):
            vectors, e = forward_vectors(xp, now, vectors, c, pre_t[c])
            smooth = e if filtered is None else signal.kappa * filtered + e
            later.append((vectors, None if filtered is None else smooth))
            kept.append((e, smooth))
        return tuple(later), tuple(kept)

    start = tuple(tuple(t) for t in initial_traces(xp, jacobians, pre, cell.units, signal.kappa))
    _, kept = xp.scan(step, start, (jacobians.xs, pre))
    eligibility, filtered = (
        weight_gradients(xp, cell, trace.x.shape[-1], tuple(pair[i] for pair in kept)) for i in range(2)
    )
    found = LayerTraces(eligibility, filtered, signal.signal, rate_signal)
    return tree.map(lambda a: np.asarray(xp.to_numpy(a)).swapaxes(0, 1), found)


def rate_signals(xp: Backend, model: Any, batch: Batch, traces: tuple[LayerTrace, ...]) -> list[Array]:
    """``valid_t c (f_av - f_0) / frames`` of every layer, (time, batch, n); zeros without a regularizer."""
    regularizer, valid = model.objective.regularizer, batch.valid
    found = []
    for cell, trace in zip(model.network.cells, traces, strict=True):
        signal = xp.zeros_like(trace.z)
        if regularizer is not None and cell.spiking:
            error = regularizer.error(xp, spike_count(xp, trace.z, valid), valid, model.model.dt)
            signal = signal + xp.expand_dims(valid, axis=-1) * error
        found.append(signal)
    return found
