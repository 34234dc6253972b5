"""A model, the objective it is trained for, and the metrics it is judged by."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from neko import arguments, containers, identity, losses, metrics, tree
from neko import links as meaning
from neko.data import sources
from neko.data.intake import Intake
from neko.data.lengths import Lengths
from neko.metrics import Context, Metric
from neko.models import adapt
from neko.models.base import Trainable
from neko.models.network import Network
from neko.objective import Batch, FiringRate, Forward, Objective, mean_rates, spike_counts
from neko.training import activity
from neko.typing import Array


class Evaluator:
    """What "good" means for a model: one objective for every rule, and metrics beside it.

    The loss says what outputs are. Under a cross-entropy they are logits of classes and `predict` gives probabilities;
    under 'binary_crossentropy' logits of independent events; under 'poisson' logs of rates; under a squared error, and
    a loss of your own, they are taken as they are. A user's model that ends in softmax (or sigmoid) gives probabilities
    already: this is seen, and no second one is applied.

    Parameters
    ----------
    model : Model, torch.nn.Module or keras.Model
        The network, or your own module (see `neko.models.adapt`).
    loss : str, Loss or callable
        A name of `neko.losses`, a `neko.losses.Loss`, or a function ``(xp, outputs, target) -> (…)`` that reduces the
        last axis.
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
    from_logits : bool, optional
        Whether outputs are logits (True) or have passed the loss's link, as after a softmax (False); by default what
        the model is seen to end in decides.
    output : int, str or callable, optional
        Which part of what your own module returns is its output, where that is more than one array: a position, a key
        or a function of it. `torch.nn.LSTM` returns outputs and states: 0.

    Raises
    ------
    ValueError, TypeError
        For unknown names; for metrics that have no meaning under the loss, such as the accuracy of one number; for
        outputs that do not fit the loss (of a user's module when it meets its first batch).

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
        from_logits: bool | None = None,
        output: Any = None,
    ) -> None:
        if isinstance(model, Trainable) and output is not None:
            raise ValueError(f"output={output!r}: {model!r} has its outputs already; it is for a module of your own")
        self.model: Trainable = model if isinstance(model, Trainable) else adapt(model, output=output)
        judged = losses.resolve(loss)
        if class_weights is not None:
            judged = losses.class_weighted(judged, class_weights)
        if from_logits is not None and not isinstance(from_logits, bool):
            raise TypeError(f"from_logits={from_logits!r}: expected True, False or None")
        self.metrics: tuple[Metric, ...] = resolve_metrics(metrics)
        self.from_logits = from_logits
        self._timed: bool | None = None
        self.objective = Objective(judged, target, reduction, regularizer)

    @property
    def objective(self) -> Objective:
        """What is minimised; another one may be set, and holds from the next call on."""
        return self._objective

    @objective.setter
    def objective(self, objective: Objective) -> None:
        self._objective = objective
        self._settled = False
        # What is compiled has the objective in it.
        self._measure = self.xp.jit(self._measure_batch)
        self._predictors = {
            every: self.xp.jit(functools.partial(self._predict_batch, every)) for every in (False, True)
        }
        if self.model.cells:
            self._settle()

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

    def build(self, x: Any, *, batch_size: int | None = None) -> None:
        """Draw the model's weights for inputs like `x`, if it has none; see what its outputs mean to the loss.

        `batch_size` is how many of the examples a batch will have, where `x` is a whole data set.
        """
        self.model.prepare(self.model.receive(x), batch_size=batch_size)
        if not self._settled:
            self._settle()

    def _settle(self) -> None:
        """Once the outputs are known: what they mean to the loss, and whether every metric has a meaning."""
        loss = meaning.linked(self.objective.loss, self.model, self.from_logits)
        meaning.check_metrics(loss, self.metrics, self.outputs)
        self._objective = dataclasses.replace(self._objective, loss=loss)
        self._settled = True

    def clone(self) -> Evaluator:
        """The same evaluator of a clone of the model."""
        objective = self.objective
        other = Evaluator(
            self.model.clone(),
            objective.loss,
            self.metrics,
            target=objective.target,
            reduction=objective.reduction,
            regularizer=objective.regularizer,
            from_logits=self.from_logits,
        )
        other._timed = self._timed
        return other

    def identity(self) -> dict[str, Any]:
        """What a checkpoint must agree with to be of this evaluator, by value: backend, precision, model, objective and
        the names of the metrics."""
        # What the model ends in is the model's.
        objective = dataclasses.replace(self.objective, loss=dataclasses.replace(self.objective.loss, linked=False))
        return {
            "backend": self.xp.name,
            "dtype": self.xp.dtype_name,
            "model": self.model.identity(),
            "objective": identity.describe(objective),
            "from_logits": self.from_logits,
            "metrics": [metric.name for metric in self.metrics],
        }

    def batch(self, x: Any, y: Array, mask: Array | None, closing: Array | None = None) -> Batch:
        """A batch for `x`, `y` and `mask` with the batch axis first; `closing` as in `Batch`."""
        shape = self.model.shape(x) or (tree.leaves(x)[0].shape[0], 1)
        return self.objective.batch(self.xp, self.model.arrange(x), shape, y, mask, closing)

    @property
    def intake(self) -> Intake:
        """How data come to this model; after `build`."""
        return Intake(self.model, self.objective, self.metrics)

    def arrays(self, x: Any, y: Any, mask: Any, *, pieces: bool = False) -> tuple[Any, Array, Array | None]:
        """Input, target and mask as arrays of the backend, with their shapes and values checked; in `pieces` of longer
        sequences some may have no valid frame."""
        received = self.intake.receive(x, y, mask)
        self._timed = self.intake.check(*received, pieces=pieces)
        return self.intake.convert(*received)

    def measure(self, forward: Forward, batch: Batch) -> dict[str, Any]:
        """(total, weight) of the loss and every metric, from a forward pass that is already done."""
        xp, loss = self.xp, self.objective.loss
        held = batch.pooling is not None
        context = Context(
            loss.prediction(xp, forward.outputs),
            loss.unlinked(xp, forward.outputs),
            batch.target[0] if held else batch.target,
            batch.closing if held else batch.valid,
            forward.rates,
            xp.sum(batch.valid),
            self.model.dt,
            loss.link,
        )
        share = self.share(batch)
        judged = share if self._by_frames(batch) else xp.sum(batch.closing)
        measures = {"loss": (forward.loss * share, judged)}
        measures |= {metric.name: metric.measure(xp, context) for metric in self.metrics}
        for i, rate in enumerate(forward.rates):
            if rate is not None:
                measures[f"{activity.RATE}{i}"] = (xp.mean(rate) * context.frames, context.frames)
        return measures

    def share(self, batch: Batch) -> Array:
        """Weight of a batch in the loss of a data set: its frames, or its sequences where steps add up or are
        pooled."""
        if self._by_frames(batch):
            return self.xp.sum(batch.valid)
        return self.xp.asarray(float(batch.valid.shape[1]))

    def _by_frames(self, batch: Batch) -> bool:
        """Whether the loss of a data set is a mean over frames."""
        return self.objective.reduction == "mean" and (batch.pooling is None or self.objective.target == "every")

    def finalise(self, measures: dict[str, Any]) -> dict[str, float]:
        """Floats from sums of (total, weight)."""
        finals = {metric.name: metric.finalise for metric in self.metrics}
        result = {}
        for name, (total, weight) in measures.items():
            if name.startswith(activity.RATE):
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
        source = sources.source(
            x, y, mask, batch_size=batch_size, shuffle=False, receive=self.model.receive, lengths=self.lengths()
        )
        whole = self.check_whole(source)
        for batch in source.epoch(0):
            if whole:
                part = self.intake.convert(*self.intake.receive(*batch))
            else:
                self.build(batch[0])
                part = self.arrays(*batch)
            with self.xp.scope():
                found = self._measure(self.params, self.model.buffers, *part)
            for name, (total, weight) in found.items():
                before = totals.get(name, (0.0, 0.0))
                totals[name] = (before[0] + float(total), before[1] + float(weight))
        return self.finalise(totals)

    def lengths(self, steps: Sequence[int] | None = None) -> Lengths | None:
        """To which lengths a loader's sequences are padded: to `steps`, or powers of two where the framework compiles
        for every length; None where nothing is."""
        if steps is None and not (self.model.cells and self.xp.compiles):
            return None
        if not self.model.cells:
            raise ValueError(
                f"lengths={steps!r}: {self.model!r} would read the padding, which may change its outputs before it; "
                "expected a network of cells"
            )
        return Lengths(steps, sparse=self.objective.loss.sparse)

    def check_whole(self, source: sources.Source, *, pieces: bool = False) -> bool:
        """Check arrays as a whole, so that a wrong value is named by its place in them; False for other sources."""
        if not isinstance(source, sources.Arrays):
            return False
        self.build(source.parts[0], batch_size=source.batch_size)
        self._timed = self.intake.check(*self.intake.receive(*source.parts), pieces=pieces)
        return True

    def predict(self, x: Any, mask: Any = None, *, every_step: bool | None = None, batch_size: int = 500) -> np.ndarray:
        """What outputs predict, by the loss's link: class probabilities under a cross-entropy, say.

        Parameters
        ----------
        x : array (examples, time, n_in), or what a user's module takes
            Inputs.
        mask : array (examples, time), optional
            0 at padded frames.
        every_step : bool, optional
            Whether the prediction of every step is wanted; by default it is if the targets that this evaluator has seen
            last had a time axis.
        batch_size : int
            Examples per forward pass.

        Returns
        -------
        array
            (examples, time, outputs) for every step. Else (examples, outputs): of the last valid step or, with
            ``target='mean'``, of the mean output over all valid steps.
        """
        batch_size = arguments.check_integer("batch_size", batch_size)
        self.build(x, batch_size=batch_size)
        x, mask = self.intake.inputs(x, mask)
        every = self.model.shape(x) is not None and bool(self._timed if every_step is None else every_step)
        xp, found = self.xp, []
        with xp.scope():
            for begin in range(0, containers.count("x", x), batch_size):
                part = self.intake.tensors(*containers.rows((x, mask), slice(begin, begin + batch_size)))
                y = self._predictors[every](self.params, self.model.buffers, *part)
                found.append(np.asarray(xp.to_numpy(y)))
        return np.concatenate(found)

    def _predict_batch(self, every: bool, params: Any, carry: Any, x: Any, mask: Array | None) -> Array:
        xp, loss = self.xp, self.objective.loss
        outputs = self.model.forward(xp.forward_only(), params, self.model.arrange(x), carry, training=False).outputs
        if every:
            return loss.prediction(xp, xp.permute_dims(outputs, (1, 0, 2)))
        size = tree.leaves(x)[0].shape[0]
        held = xp.zeros((size,) if loss.sparse else (size, self.outputs))
        return loss.prediction(xp, self.objective.pooled(xp, outputs, self.batch(x, held, mask)))

    def _measure_batch(self, params: Any, carry: Any, x: Any, y: Array, mask: Array | None) -> dict[str, Any]:
        xp, batch = self.xp, self.batch(x, y, mask)
        _, outputs, emissions, penalty = self.model.forward(xp.forward_only(), params, batch.x, carry, training=False)
        counts = spike_counts(xp, self.model.cells, emissions, batch.valid)
        loss = self.objective.value(xp, outputs, batch) + penalty
        pooled, rates = self.objective.pooled(xp, outputs, batch), mean_rates(xp, counts, batch.valid)
        return self.measure(Forward(loss, pooled, rates), batch)


def resolve_metrics(names: Iterable[Any]) -> tuple[Metric, ...]:
    """Metrics by name or object."""
    return tuple(metrics.resolve(name) for name in arguments.as_list("metrics", names, "['accuracy']"))
