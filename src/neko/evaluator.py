"""A model, the objective it is trained for, and the metrics it is judged by."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from neko import adaptors, arguments, batches, checks, losses, metrics
from neko.errors import ActivityWarning
from neko.metrics import Context, Metric
from neko.network import Network
from neko.objective import Batch, FiringRate, Forward, Objective, spike_rates
from neko.trainable import Trainable
from neko.typing import Array

RATE = "rate of layer "
"""Prefix of the measures that watch over spiking layers and enter no history."""
SATURATED = 0.8
"""Share of the highest possible rate from which on a layer is called saturated."""
HIGHEST = 300.0
"""Mean rate of a layer in Hz that no population of neurons keeps up: the fastest ones of cortex, fast-spiking
interneurons, reach 215 to 450 Hz at their very maximum (Wang et al. 2016, doi:10.3389/fncel.2016.00239)."""


class Evaluator:
    """What "good" means for a model: one objective for every rule, and metrics beside it.

    Parameters
    ----------
    model : Model, torch.nn.Module or keras.Model
        The network, or your own module (see `neko.adaptors`), whose outputs are logits for the losses of
        classification.
    loss : str or callable
        A name of `neko.losses` or a function ``(xp, prediction, target) -> (…)`` that reduces the last axis.
    metrics : sequence of str or Metric
        Names of `neko.metrics` ('accuracy', 'firing_rate', …) or own metrics.
    target : {'every', 'last', 'mean'}
        Where a target without a time axis holds: at every step, the last, or for the mean output.
    reduction : {'mean', 'sum'}
        Of the loss over time; over the batch it is the mean.
    regularizer : FiringRate, optional
        Penalty on firing rates, in every rule's gradient.
    class_weights : sequence of float, optional
        One weight a class, which multiplies the loss of every example (or frame) of the class; means are over
        examples, not over weights. Of a soft target the weight is the mean by its probabilities.

    Examples
    --------
    >>> import neko
    >>> model = neko.Evaluator(neko.LIF(8, 2, "torch"), loss="categorical_crossentropy", metrics=["accuracy"])
    >>> sorted(model.evaluate([[[0.0]], [[1.0]]], [[1.0, 0.0], [0.0, 1.0]]))
    ['accuracy', 'loss']
    """

    def __init__(
        self,
        model: Any,
        loss: Any,
        metrics: Iterable[Any] = (),
        *,
        target: str = "every",
        reduction: str = "mean",
        regularizer: FiringRate | None = None,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        self.model: Trainable = model if isinstance(model, Trainable) else adaptors.adapt(model)
        judged = losses.resolve(loss)
        if class_weights is not None:
            judged = losses.class_weighted(judged, class_weights)
        self.objective = Objective(judged, target, reduction, regularizer)
        self.metrics: tuple[Metric, ...] = resolve_metrics(metrics)
        self._measure = self.xp.jit(self._measure_batch)
        self._predict = self.xp.jit(self._predict_batch)

    def __repr__(self) -> str:
        objective = self.objective
        parts = [repr(self.model), f"loss={objective.loss.name!r}"]
        parts += [f"metrics={[metric.name for metric in self.metrics]!r}"] if self.metrics else []
        for field in dataclasses.fields(objective):
            value = getattr(objective, field.name)
            parts += [f"{field.name}={value!r}"] if field.name != "loss" and value != field.default else []
        return f"Evaluator({', '.join(parts)})"

    @property
    def xp(self) -> Any:
        """The model's backend."""
        return self.model.xp

    @property
    def network(self) -> Network:
        """The model's network of cells; TypeError for a user's module, which has none."""
        if not self.model.cells:
            raise TypeError(f"{self.model!r} is no network of cells: rules that need only a gradient take it (BPTT)")
        return self.model.network  # type: ignore[attr-defined]

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        return self.model.outputs

    @property
    def params(self) -> dict[str, Array]:
        """The model's parameters."""
        return self.model.params

    @params.setter
    def params(self, params: dict[str, Array]) -> None:
        self.model.params = params

    def build(self, x: Any) -> None:
        """Draw the model's weights for inputs like `x`, if it has none."""
        self.model.prepare(batches.as_array("x", x))

    def clone(self) -> Evaluator:
        """The same evaluator of a clone of the model."""
        objective = self.objective
        return Evaluator(
            self.model.clone(),
            objective.loss,
            self.metrics,
            target=objective.target,
            reduction=objective.reduction,
            regularizer=objective.regularizer,
        )

    def identity(self) -> dict[str, Any]:
        """What a checkpoint must agree with to be of this model: names and numbers."""
        cells = [f"{type(cell).__name__}({cell.units})" for cell in self.model.cells]
        return {"backend": self.xp.name, "dtype": self.xp.dtype_name, "cells": cells, "loss": self.objective.loss.name}

    def batch(self, x: Array, y: Array, mask: Array | None) -> Batch:
        """A batch for `x`, `y` and `mask` with the batch axis first."""
        shape = self.model.shape(x) or (x.shape[0], 1)
        return self.objective.batch(self.xp, self.model.arrange(x), shape, y, mask)

    def arrays(self, x: Any, y: Any, mask: Any) -> tuple[Array, Array, Array | None]:
        """Input, target and mask as arrays of the backend, with their shapes and values checked."""
        self.check(x, y, mask)
        return self.convert(x, y, mask)

    def check(self, x: Any, y: Any, mask: Any) -> None:
        """ValueError or TypeError for data that do not fit the built model, are not finite, or have targets that the
        loss does not take."""
        x, y = self.model.native("x", x), self.model.native("y", y)
        mask = None if mask is None else self.model.native("mask", mask)
        shape = self.model.shape(x)
        self._check_target(np.shape(x)[:1] if shape is None else shape, tuple(np.shape(y)))
        self._check_mask(mask, shape)
        checks.finite("x", x)
        checks.finite("y", y)
        self._check_values(y, mask)

    def convert(self, x: Any, y: Any, mask: Any) -> tuple[Array, Array, Array | None]:
        """Input, target and mask as arrays of the backend, unchecked."""
        xp = self.xp
        x, y = self.model.native("x", x), self.model.native("y", y)
        mask = None if mask is None else self.model.native("mask", mask)
        if self.objective.loss.sparse and "int" not in str(y.dtype):
            y = checks.as_numpy("y", y).astype(np.int32)
        with xp.scope():
            return self.model.as_input(x), xp.asarray(y), None if mask is None else xp.asarray(mask)

    def _check_mask(self, mask: Any, shape: tuple[int, int] | None) -> None:
        if mask is None:
            return
        if shape is None or tuple(np.shape(mask)) != shape:
            expected = "none, since the outputs have no time axis" if shape is None else f"(batch, time) = {shape!r}"
            raise ValueError(f"mask has shape {tuple(np.shape(mask))!r}: expected {expected}")
        checks.mask(mask)

    def _check_values(self, y: Any, mask: Any) -> None:
        loss = self.objective.loss
        if loss.sparse:
            checks.classes(y, self.outputs)
        elif loss.distribution:
            timed = mask is not None and len(np.shape(y)) == 3
            checks.distribution(y, mask if timed else None, loss.name)

    def _check_target(self, shape: tuple[int, ...], y: tuple[int, ...]) -> None:
        outputs = () if self.objective.loss.sparse else (self.outputs,)
        held, timed = (shape[0], *outputs), (*shape, *outputs)
        if y not in (held, timed):
            hint = " (sparse_categorical_crossentropy takes class numbers)" if outputs and y == shape[: len(y)] else ""
            choice = "" if held == timed else f" or, for a target at every step, {timed!r}"
            raise ValueError(f"y has shape {y!r}: expected {held!r}{choice}{hint}")

    def measure(self, forward: Forward, batch: Batch) -> dict[str, Any]:
        """(total, weight) of the loss and every metric, from a forward pass that is already done."""
        xp = self.xp
        held = batch.pooling is not None
        size = batch.valid.shape[1]
        weight = xp.ones((size,)) if held else batch.valid
        target = batch.target[0] if held else batch.target
        context = Context(forward.prediction, target, weight, forward.rates, xp.sum(batch.valid), self.model.dt)
        share = self.share(batch)
        measures = {"loss": (forward.loss * share, share)}
        measures |= {metric.name: metric.measure(xp, context) for metric in self.metrics}
        for i, rate in enumerate(forward.rates):
            if rate is not None:
                measures[f"{RATE}{i}"] = (xp.mean(rate) * context.frames, context.frames)
        return measures

    def warn_of_activity(self, measures: dict[str, Any]) -> None:
        """Warn of spiking layers that were silent, fired nearly all the time, or faster than any neurons do, in these
        summed measures."""
        for i, cell in enumerate(self.model.cells):
            total, weight = measures.get(f"{RATE}{i}", (None, None))
            if total is None:
                continue
            rate = float(total) / float(weight)
            # A refractory neuron cannot do better than once in so many steps.
            highest = 1.0 / max(1, getattr(cell, "refractory_steps", 1))
            hertz = 1000.0 * rate / cell.dt
            name = f"layer {i} ({type(cell).__name__}, {cell.units} neurons)"
            if rate == 0.0:
                warnings.warn(
                    f"{name} was silent for an epoch: no spike in a frame that counts, so nothing is learnt; "
                    "scale the inputs up, lower the threshold (v_th) or add a FiringRate regularizer",
                    ActivityWarning,
                    stacklevel=4,
                )
            elif rate > SATURATED * highest:
                warnings.warn(
                    f"{name} was saturated for an epoch: {rate:.2f} spikes a step; scale the inputs or weights down, "
                    "raise the threshold (v_th) or add a FiringRate regularizer",
                    ActivityWarning,
                    stacklevel=4,
                )
            elif hertz > HIGHEST:
                warnings.warn(
                    f"{name} fired at {hertz:.0f} Hz on average for an epoch, with steps of {cell.dt:g} ms; no "
                    f"population of neurons keeps up {HIGHEST:.0f} Hz: draw the rate down with "
                    "Evaluator(…, regularizer=FiringRate(20.0)), or set dt where a step is longer",
                    ActivityWarning,
                    stacklevel=4,
                )

    def share(self, batch: Batch) -> Array:
        """Weight of a batch in the loss of a data set: its frames, or its sequences where steps add up or are
        pooled."""
        held = batch.pooling is not None
        by_frames = self.objective.reduction == "mean" and (not held or self.objective.target == "every")
        return self.xp.sum(batch.valid) if by_frames else self.xp.asarray(float(batch.valid.shape[1]))

    def finalise(self, measures: dict[str, Any]) -> dict[str, float]:
        """Floats from sums of (total, weight)."""
        finals = {metric.name: metric.finalise for metric in self.metrics}
        result = {}
        for name, (total, weight) in measures.items():
            if name.startswith(RATE):
                continue
            value = float(total) / float(weight)
            result[name] = finals[name](value) if name in finals else value
        return result

    def evaluate(self, x: Any, y: Any = None, mask: Any = None, *, batch_size: int = 500) -> dict[str, float]:
        """Loss and metrics of a data set, as floats.

        Parameters
        ----------
        x : array (examples, time, n_in) or iterable
            Inputs, or batches (x, y[, mask]) such as a DataLoader gives, without `y`.
        y : array (examples, …), optional
            Targets, see `Objective`.
        mask : array (examples, time), optional
            0 at padded frames.
        batch_size : int
            Examples per forward pass, of arrays.
        """
        totals: dict[str, Any] = {}
        source = batches.source(x, y, mask, batch_size=batch_size, shuffle=False)
        whole = self.check_whole(source)
        for batch in source.epoch(0):
            if whole:
                part = self.convert(*batch)
            else:
                self.build(batch[0])
                part = self.arrays(*batch)
            with self.xp.scope():
                found = self._measure(self.params, self.model.buffers, *part)
            for name, (total, weight) in found.items():
                before = totals.get(name, (0.0, 0.0))
                totals[name] = (before[0] + float(total), before[1] + float(weight))
        return self.finalise(totals)

    def check_whole(self, source: batches.Source) -> bool:
        """Check arrays as a whole, so that a wrong value is named by its place in them; False for other sources."""
        if not isinstance(source, batches.Arrays):
            return False
        self.build(source.parts[0])
        self.check(*source.parts)
        return True

    def predict(self, x: Any, mask: Any = None, *, batch_size: int = 500) -> np.ndarray:
        """What the metrics judge, with class probabilities for classification.

        The shape is (examples, outputs) for one target a sequence, the output of the last valid step or, with
        ``target='mean'``, of all steps.
        """
        arguments.check_integer("batch_size", batch_size)
        x = self.model.native("x", x)
        mask = None if mask is None else self.model.native("mask", mask)
        self.build(x)
        self._check_mask(mask, self.model.shape(x))
        checks.finite("x", x)
        xp, found = self.xp, []
        with xp.scope():
            for begin in range(0, len(x), batch_size):
                piece = slice(begin, begin + batch_size)
                part = (
                    self.model.as_input(x[piece]),
                    None if mask is None else xp.asarray(mask[piece]),
                )
                found.append(np.asarray(xp.to_numpy(self._predict(self.params, self.model.buffers, *part))))
        return np.concatenate(found)

    def _predict_batch(self, params: Any, carry: Any, x: Array, mask: Array | None) -> Array:
        xp = self.xp
        target = xp.zeros((x.shape[0],) if self.objective.loss.sparse else (x.shape[0], self.outputs))
        batch = self.batch(x, target, mask)
        outputs = self.model.forward(xp.forward_only(), params, batch.x, carry, training=False).outputs
        y = self.objective.prediction(xp, outputs, batch)
        return xp.exp(xp.log_softmax(y)) if self.model.task_type == "classification" else y

    def _measure_batch(self, params: Any, carry: Any, x: Array, y: Array, mask: Array | None) -> dict[str, Any]:
        xp, batch = self.xp, self.batch(x, y, mask)
        _, outputs, emissions, penalty = self.model.forward(xp.forward_only(), params, batch.x, carry, training=False)
        rates = spike_rates(xp, self.model.cells, emissions, batch.valid)
        loss = self.objective.value(xp, outputs, batch) + penalty
        return self.measure(Forward(loss, self.objective.prediction(xp, outputs, batch), rates), batch)


def resolve_metrics(names: Iterable[Any]) -> tuple[Metric, ...]:
    """Metrics by name or object."""
    return tuple(metrics.resolve(name) for name in arguments.as_list("metrics", names, "['accuracy']"))
