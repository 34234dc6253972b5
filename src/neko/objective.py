"""The objective that every rule minimises: a loss with a weight for each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from neko.arguments import check_choice, check_number
from neko.backend import parts, recording
from neko.backend.protocol import Backend
from neko.losses import LOSSES, Loss
from neko.typing import Array

TARGETS = ("every", "last", "mean")
REDUCTIONS = ("mean", "sum")


class Batch(NamedTuple):
    """A mini-batch with time leading, and the weight of each step.

    ``x`` inputs as arranged for the model, (time, batch, n_in) for a network; ``target`` (time, batch, …) or, of a
    sequence-level target, (1, batch, …); ``valid`` (time, batch) with 0 at padded frames; ``weight`` (time, batch) of
    each step's loss, 1 / (all valid frames), or 1 / batch where steps add up; ``pooling`` (time, batch) of each step's
    output in the prediction of a sequence-level target, None for a target at every step; ``closing`` (batch,) is 1
    where the sequence ends in these frames: always for a whole sequence, and for the last chunk of a sequence;
    ``frames`` the number of valid frames, a mean over the processes that divide the batch; ``number`` that of the
    update, from which stochastic rules draw their noise, None outside of training.
    """

    x: Array
    target: Array
    valid: Array
    weight: Array
    pooling: Array | None
    closing: Array
    frames: Array
    number: Array | None = None

    def timed(self) -> tuple[Array | None, ...]:
        """The arrays with a time axis, None in place of a sequence-level target."""
        return self.x, None if self.pooling is not None else self.target, self.valid, self.weight, self.pooling

    def with_timed(self, chunk: tuple[Any, ...]) -> Batch:
        """A chunk of this batch, from a chunk of the arrays of `timed`."""
        x, target, valid, weight, pooling = chunk
        target = self.target if target is None else target
        return self._replace(x=x, target=target, valid=valid, weight=weight, pooling=pooling)


class Forward(NamedTuple):
    """The results of a forward pass for metrics.

    ``loss`` is the scalar without rate penalty; ``outputs`` (time, batch, n_out) or, for a sequence-level target, their
    pooling (batch, n_out); ``rates`` per layer the spikes per step and neuron (n,), None where a layer does not spike.
    """

    loss: Array
    outputs: Array
    rates: tuple[Array | None, ...]


@dataclass(frozen=True)
class FiringRate:
    r"""Quadratic penalty on each neuron's mean rate (Bellec et al. 2020, eq. 26).

    .. math::
        E_{reg} = \frac{c}{2} \sum_j (f_j - f_0)^2, \qquad \text{or} \qquad
        E_{reg} = \frac{c}{2 B} \sum_b \sum_j (f_{bj} - f_0)^2

    with ``f_j`` in spikes per step over the valid frames of the batch or, with `per_sequence`, ``f_bj`` over those of
    each of its B sequences. It enters every rule's gradient and no reported loss.

    Parameters
    ----------
    target : float
        f_0 in Hz.
    strength : float
        c.
    per_sequence : bool
        Whether the rate is taken in every sequence, as by NEST's e-prop synapses for the samples of a batch, and not
        over the whole batch.
    """

    target: float = 10.0
    strength: float = 1.0
    per_sequence: bool = False

    def __post_init__(self) -> None:
        for name in ("target", "strength"):
            object.__setattr__(self, name, check_number(f"FiringRate: {name}", getattr(self, name)))
        if not isinstance(self.per_sequence, bool):
            raise TypeError(f"FiringRate: per_sequence={self.per_sequence!r}: expected True or False")

    def frames(self, xp: Backend, valid: Array) -> Array:
        """Number of frames of each sequence's rate, (batch,): its own, or those of the whole batch."""
        own = xp.sum(valid, axis=0)
        # A chunk of a stream may have no valid frame of a sequence that has ended.
        return xp.maximum(own, 1.0) if self.per_sequence else xp.zeros_like(own) + parts.mean(xp.sum(own))

    def rates(self, xp: Backend, counts: Array, valid: Array) -> Array:
        """f in spikes per step, (batch, n) or (1, n), from the spikes of each sequence (batch, n)."""
        per_frame = counts / xp.expand_dims(self.frames(xp, valid), axis=-1)
        return per_frame if self.per_sequence else parts.mean(xp.sum(per_frame, axis=0, keepdims=True))

    def error(self, xp: Backend, counts: Array, valid: Array, dt: float) -> Array:
        """∂E/∂(spikes of each sequence), the same for every spike of it: (batch, n) or (1, n)."""
        rates = self.rates(xp, counts, valid)
        frames = xp.expand_dims(self.frames(xp, valid)[: rates.shape[0]], axis=-1)
        return self.strength * (rates - self.target * dt / 1000.0) / (frames * self.sequences(rates))

    def penalty(self, xp: Backend, counts: Array, valid: Array, dt: float) -> Array:
        """E_reg, a scalar."""
        rates = self.rates(xp, counts, valid)
        away = xp.square(rates - self.target * dt / 1000.0)
        return 0.5 * self.strength * xp.sum(away) / self.sequences(rates)

    def sequences(self, rates: Array) -> float:
        """Number of rates of a neuron whose penalties are averaged."""
        return parts.average(rates.shape[0]) if self.per_sequence else 1.0


@dataclass(frozen=True)
class Objective:
    """A loss at every step, at the last one, or for the mean output.

    Parameters
    ----------
    loss : Loss
        Value per example from prediction and target.
    target : {'every', 'last', 'mean'}
        Where a sequence-level target applies: at each valid step, at the last valid step, or to the mean output over
        the valid steps. Metrics use the output of the last valid step; for 'mean' the mean output.
    reduction : {'mean', 'sum'}
        Over time; over the batch it is always the mean. 'sum' adds up the steps of a sequence.
    regularizer : FiringRate or None
        Added for every spiking layer.
    """

    loss: Loss
    target: str = "every"
    reduction: str = "mean"
    regularizer: FiringRate | None = None

    def __post_init__(self) -> None:
        check_choice("target", self.target, TARGETS)
        check_choice("reduction", self.reduction, REDUCTIONS)
        if self.regularizer is not None and not isinstance(self.regularizer, FiringRate):
            raise TypeError(f"regularizer={self.regularizer!r}: expected a FiringRate or None")

    def batch(
        self,
        xp: Backend,
        x: Array,
        shape: tuple[int, int],
        target: Array,
        mask: Array | None,
        closing: Array | None = None,
    ) -> Batch:
        """A `Batch` from inputs as arranged for the model, the (batch, time) of its outputs, and a target and mask with
        the batch axis first; `mask` (batch, time) is 0 at padded frames, `closing` (batch,) as in `Batch`."""
        size, time = shape
        closing = xp.ones((size,)) if closing is None else closing
        if mask is None:
            valid, frames = xp.ones((time, size)), xp.asarray(time * parts.average(size))
        else:
            valid = xp.astype(xp.matrix_transpose(mask), xp.dtype)
            frames = parts.mean(xp.sum(valid))
        if self.reduction == "mean":
            every = valid / xp.maximum(frames, parts.TINY)
        else:
            every = valid * (1.0 / parts.average(size))
        if not self.is_sequence_level(target):
            target = xp.permute_dims(target, (1, 0, *range(2, len(target.shape))))
            return Batch(x, target, valid, every, None, closing, frames)
        steps = xp.sum(valid, axis=0, keepdims=True)
        last = valid * xp.astype(xp.cumulative_sum(valid, axis=0) == steps, xp.dtype)
        pooling = valid / steps if self.target == "mean" else last
        weight = last * (1.0 / parts.average(size)) if self.target == "last" else every
        return Batch(x, xp.expand_dims(target, axis=0), valid, weight, pooling, closing, frames)

    def is_sequence_level(self, target: Array) -> bool:
        """Whether a target (batch axis first) has no time axis."""
        return len(target.shape) == (1 if self.loss.sparse else 2)

    def additive(self, batch: Batch) -> bool:
        """Whether the loss is a sum over steps, so that a stream can be learnt chunk by chunk."""
        return batch.pooling is None or self.target != "mean"

    def by_frames(self, batch: Batch) -> bool:
        """Whether the loss of a data set is a mean over frames."""
        return self.reduction == "mean" and (batch.pooling is None or self.target == "every")

    def share(self, xp: Backend, batch: Batch) -> Array:
        """Weight of a batch in the loss of a data set: its frames, or sequences if steps are summed or pooled."""
        return batch.frames if self.by_frames(batch) else xp.asarray(parts.average(batch.valid.shape[1]))

    def value(self, xp: Backend, outputs: Array, batch: Batch) -> Array:
        """The scalar loss of `outputs` (time, batch, n_out)."""
        if not self.additive(batch):
            losses = self.loss(xp, self.pooled(xp, outputs, batch), batch.target[0])
            return xp.sum(losses) / parts.average(losses.shape[0])
        return xp.sum(self.loss(xp, outputs, batch.target) * batch.weight)

    def error(self, xp: Backend, outputs: Array, batch: Batch) -> tuple[Array, Array]:
        """The loss and ∂loss/∂outputs (time, batch, n_out), by automatic differentiation."""
        recorded = None if self.loss.name in LOSSES else self._watch
        return xp.value_and_grad(lambda y: self.value(xp, y, batch), recorded=recorded)(outputs)

    def _watch(self, found: bool) -> None:
        """GradientError for a user's own loss through which the framework records no gradient."""
        recording.check_any({"the outputs": found}, f"the loss {self.loss.name!r}")

    def pooled(self, xp: Backend, outputs: Array, batch: Batch) -> Array:
        """The outputs for the loss: at every step, or pooled over time for a sequence-level target."""
        if batch.pooling is None:
            return outputs
        return xp.weighted_sum(outputs, batch.pooling)

    def penalty(self, xp: Backend, counts: tuple[Array | None, ...], valid: Array, dt: float) -> Any:
        """Sum of the rate penalties of the spiking layers; 0.0 without a regularizer."""
        if self.regularizer is None:
            return 0.0
        return sum(self.regularizer.penalty(xp, count, valid, dt) for count in counts if count is not None)


def spike_count(xp: Backend, z: Array, valid: Array) -> Array:
    """Spikes of each neuron in each sequence over the valid frames, shape (batch, n)."""
    return xp.weighted_sum(z, valid)


def spike_counts(
    xp: Backend, cells: tuple[Any, ...], emissions: tuple[Array, ...], valid: Array
) -> tuple[Array | None, ...]:
    """`spike_count` of every spiking layer, None for the others."""
    pairs = zip(cells, emissions, strict=True)
    return tuple(spike_count(xp, z, valid) if cell.spiking else None for cell, z in pairs)


def mean_rates(xp: Backend, counts: tuple[Array | None, ...], valid: Array) -> tuple[Array | None, ...]:
    """Spikes per step and neuron over the valid frames, (n,) of every spiking layer, None for the others."""
    frames = xp.maximum(xp.sum(valid), 1.0)
    return tuple(None if count is None else xp.sum(count, axis=0) / frames for count in counts)
