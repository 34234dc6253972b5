"""What e-prop keeps of a piece of a sequence, and what it hands on to the next."""

from __future__ import annotations

from typing import NamedTuple

from neko.models.network import LayerTrace, NetworkState, Params
from neko.rules.eligibility import Derivatives, Traces
from neko.typing import Array


class Carry(NamedTuple):
    """What e-prop carries forward in time: its memory does not grow with the sequence.

    ``traces`` per layer and current, None at the start; ``filtered`` per layer the κ-filtered emission (batch, n),
    from which the readout (and a feedback that learns like it) gets its gradient.
    """

    state: NetworkState
    traces: tuple[tuple[Traces, ...], ...] | None
    filtered: tuple[Array, ...]


class Recorded(NamedTuple):
    """A forward pass with all that the backward pass reads."""

    loss: Array
    outputs: Array
    error: Array
    credit: Array
    traces: tuple[LayerTrace, ...]
    local: tuple[Derivatives, ...]


class Piece(NamedTuple):
    """What one piece of a sequence adds: loss, outputs, spike counts (batch, n), gradients, and for the rate term the
    sums of eligibility vectors per layer and current."""

    loss: Array
    outputs: Array
    counts: tuple[Array, ...]
    gradients: Params
    rates: tuple[tuple[Array, ...], ...]
