"""Learning signals: the readout's error as it reaches every neuron."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from neko.backend.protocol import Backend
from neko.cells.base import Cell
from neko.evaluator import Evaluator
from neko.models import initializers
from neko.models.layer import split
from neko.models.network import Params
from neko.objective import Batch, Objective
from neko.rules.forward import Recorded
from neko.rules.jacobian import Jacobians
from neko.typing import Array


class Product(NamedTuple):
    """A product ``multiply(a, w)`` of arrays (time, batch, m) and (m, n), computed when it is read."""

    multiply: Callable[[Array, Array], Array]
    a: Array
    w: Array


@dataclass(frozen=True)
class LearningSignal:
    """The learning signal of a layer, and the other weights of its traces.

    ``signal`` (time, batch, n) is L_t of step t; ``future`` (time, batch, n) the future credit ``L_t + κ L_{t+1} + …``
    of an emission. Both are computed when they are read, from ``now`` (None: the same as the future credit) and
    ``later``, since the gradient of a whole sequence needs only the latter. ``valid`` (time, batch) marks the frames
    that count in a firing rate, None without a rate term; ``per_sequence`` is True for rates of each sequence;
    ``kappa`` is the decay of the filtered trace ``ē_t = κ ē_{t-1} + e_t``.
    """

    now: Product | Array | None
    later: Product | Array
    valid: Array | None
    per_sequence: bool
    kappa: float

    @functools.cached_property
    def signal(self) -> Array:
        return self.future if self.now is None else multiplied(self.now)

    @functools.cached_property
    def future(self) -> Array:
        return multiplied(self.later)


def multiplied(a: Product | Array) -> Array:
    return a.multiply(a.a, a.w) if isinstance(a, Product) else a


def random_feedback(xp: Backend, model: Evaluator, seed: int) -> Params:
    """A matrix (outputs, n) from the readout's error to every layer, with the variance of ``w_out``, so that the signal
    has the size of symmetric feedback."""
    drawn = feedback_weights(xp, model.model.cells, model.outputs, seed)
    return dict(zip(feedback_names(model), drawn, strict=True))


def feedback_weights(xp: Backend, cells: tuple[Cell, ...], outputs: int, seed: int) -> list[Array]:
    """The matrices of `random_feedback`, one (outputs, n) for each layer."""
    rng = np.random.default_rng(seed)
    drawn = [initializers.fan_in_normal(rng, (cell.units, outputs)).T for cell in cells]
    # In the order in memory that loaded weights have: the last bit of a product can depend on it.
    return [xp.asarray(np.ascontiguousarray(w)) for w in drawn]


def feedback_names(model: Evaluator) -> tuple[str, ...]:
    """Names of the feedback weights of every layer, in the order of the model's cells."""
    layers = range(len(model.network.cells))
    return tuple(f"{direction.prefix}feedback.{i}" for direction in model.model.directions for i in layers)


def broadcast(
    xp: Backend, network: Any, objective: Objective, feedback: Params, batch: Batch, recorded: Recorded
) -> list[LearningSignal]:
    """The error through a separate feedback matrix of each layer, ``L_t = B c err_t``."""
    kappa, error = network.readout.kappa, network.readout.gain * recorded.error
    weights = [feedback[f"feedback.{i}"] for i in range(len(network.cells))]
    term = rate_term(objective, batch)
    return [
        LearningSignal(Product(operator.matmul, error, b), Product(xp.project, recorded.credit, b), *term, kappa)
        for b in weights
    ]


def symmetric(
    xp: Backend, network: Any, objective: Objective, params: Params, batch: Batch, recorded: Recorded
) -> list[LearningSignal]:
    """The error through the transposed readout; it reaches a lower layer by the instantaneous path of each step through
    the layers above, ``L^l_t = (L^{l+1}_t ∂z_t/∂I_t) W_in^T``."""
    result = [of_readout(xp, network, objective, params, batch, recorded)]
    for i in range(len(network.cells) - 1, 0, -1):
        instant = through(xp, network.cells[i], params[f"layers.{i}.w_in"], recorded.jacobians[i], result[0].signal)
        result.insert(0, LearningSignal(None, instant, *rate_term(objective, batch), 0.0))
    return result


def of_readout(
    xp: Backend, network: Any, objective: Objective, params: Params, batch: Batch, recorded: Recorded
) -> LearningSignal:
    """The error through the transposed readout, at the last layer."""
    w_out = xp.matrix_transpose(params["readout.w_out"])
    now = Product(operator.matmul, network.readout.gain * recorded.error, w_out)
    later = Product(xp.project, recorded.credit, w_out)
    return LearningSignal(now, later, *rate_term(objective, batch), network.readout.kappa)


def present(signal: LearningSignal) -> LearningSignal:
    """The signal without credit through the readout's filter: that of the present step alone."""
    present = signal.later if signal.now is None else signal.now
    return LearningSignal(None, present, signal.valid, signal.per_sequence, 0.0)


def rate_term(objective: Objective, batch: Batch) -> tuple[Array | None, bool]:
    """Valid frames, None without a regularizer, and whether rates are taken per sequence."""
    if objective.regularizer is None:
        return None, False
    return batch.valid, objective.regularizer.per_sequence


def through(xp: Backend, cell: Any, w_in: Array, jacobians: Jacobians, signal: Array) -> Array:
    """Signal at a layer's input in the same step: ``Σ_c (signal ∂z_t/∂I_t[c]) W_in[c]^T``."""
    total, slopes = None, jacobians.slopes()
    for current, weights in zip(cell.input_currents, split(w_in, len(cell.input_currents)), strict=True):
        slope = slopes[current]
        if slope is not None:
            term = (signal * slope) @ xp.matrix_transpose(weights)
            total = term if total is None else total + term
    return xp.zeros((*signal.shape[:-1], w_in.shape[0])) if total is None else total


def rms(xp: Backend, signal: LearningSignal, batch: Batch) -> Array:
    """Root mean square of L over valid frames, sequences and neurons, a scalar.

    Of a product ``L = a W`` it takes ``‖L_t‖² = a_t (W W^T) a_t^T``, without L.
    """
    each = signal.later if signal.now is None else signal.now
    if isinstance(each, Product):
        squares, n = (each.a @ (each.w @ xp.matrix_transpose(each.w))) * each.a, each.w.shape[-1]
    else:
        squares, n = xp.square(each), each.shape[-1]
    total = xp.maximum(xp.sum(xp.expand_dims(batch.valid, axis=-1) * squares), xp.asarray(0.0))
    return xp.sqrt(total / (n * xp.maximum(xp.sum(batch.valid), xp.asarray(1.0))))


def by_layer(rule: Any, params: Params, feedback: Params, batch: Batch) -> Params:
    """`rms` of the learning signals of a rule in every layer and direction, by the name of the layer; they may be those
    of the last layers only."""
    found: Params = {}
    for direction, own, recorded in rule.record_directions(params, batch):
        given = rule.learning_signals(direction.own(params), direction.own(feedback), own, recorded)
        first = len(recorded.traces) - len(given)
        rms_of = {f"layers.{i}": rms(rule.xp, signal, own) for i, signal in enumerate(given, start=first)}
        found |= direction.named(rms_of)
    return found
