"""A model with its objective and metrics."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from neko import arguments, containers, encoders, identity, links, losses, tree
from neko import metrics as registry
from neko.backend import parts
from neko.data import sources
from neko.data.intake import Examples, Intake
from neko.measures import add, finalise, measure
from neko.metrics import Metric
from neko.models import adapt
from neko.models.base import Pass, Trainable
from neko.models.network import Network
from neko.objective import Batch, FiringRate, Forward, Objective, mean_rates, spike_counts
from neko.typing import Array


class Evaluator:
    """A model with the objective that every rule minimises, and metrics.

    The loss determines the meaning of outputs. Under a cross-entropy they are logits of classes and `predict` returns
    probabilities; under 'binary_crossentropy' logits of independent events; under 'poisson' logs of rates; under a
    squared error, and a loss of your own, the prediction itself. A user's model that ends in softmax (or sigmoid)
    is recognised, and no second one is applied.

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
        Where a sequence-level target applies: at every step, at the last, or to the mean output.
    reduction : {'mean', 'sum'}
        Of the loss over time; over the batch it is the mean.
    regularizer : FiringRate, optional
        Penalty on firing rates, in every rule's gradient.
    class_weights : sequence of float, optional
        One weight per class, which multiplies the loss of every example (or frame) of the class; means are over
        examples, not over weights. For a soft target the weight is the mean by its probabilities.
    from_logits : bool, optional
        Whether outputs are logits (True) or have passed the loss's link, as after a softmax (False); by default it is
        decided by the end of the model.
    encoder : str or Encoder, optional
        Makes spikes of all inputs, which are then signals (batch, time, channels): a name of `neko.encoders`, with
        options such as ``'step_forward(threshold=0.05)'``, or an object with a method ``encode(signal)``.
    output : int, str or callable, optional
        Selects the output of a module of your own that returns more than one array: a position, a key or a function of
        the returned object. `torch.nn.LSTM` returns outputs and states: 0.

    Raises
    ------
    ValueError, TypeError
        For unknown names; for metrics that are not defined under the loss, such as the accuracy of one number; for
        outputs that do not fit the loss (of a user's module at its first batch).

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
        encoder: Any = None,
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
        names = arguments.as_list("metrics", metrics, "['accuracy']")
        self.metrics: tuple[Metric, ...] = tuple(registry.resolve(name) for name in names)
        self.from_logits = from_logits
        self.encoder = None if encoder is None else encoders.resolve(encoder)
        self.intake = Intake(self)
        self.objective = Objective(judged, target, reduction, regularizer)

    @property
    def objective(self) -> Objective:
        """The objective that is minimised; another one may be set, and is used from the next call on."""
        return self._objective

    @objective.setter
    def objective(self, objective: Objective) -> None:
        self._objective = objective
        self._settled = False
        # Compiled functions contain the objective.
        self._measure = self.xp.jit(self._measure_batch)
        predictors = (functools.partial(self._predict_batch, every) for every in (False, True))
        self._predictors = [self.xp.jit(predictor) for predictor in predictors]
        if self.model.cells:
            self._settle()

    def __repr__(self) -> str:
        objective = self.objective
        options = [repr(self.model), f"loss={objective.loss.name!r}"]
        options += [f"metrics={[metric.name for metric in self.metrics]!r}"] if self.metrics else []
        options += [] if self.encoder is None else [f"encoder={self.encoder!r}"]
        for field in dataclasses.fields(objective):
            value = getattr(objective, field.name)
            options += [f"{field.name}={value!r}"] if field.name != "loss" and value != field.default else []
        return f"Evaluator({', '.join(options)})"

    @property
    def xp(self) -> Any:
        """The model's backend."""
        return self.model.xp

    @property
    def network(self) -> Network:
        """The model's network of cells; TypeError for a user's module, which has none."""
        if not self.model.cells:
            raise TypeError(f"{self.model!r} is no network of cells: use a rule that needs only a gradient (BPTT)")
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
        """Draw the model's weights for inputs like `x`, if it has none, and determine whether outputs have passed the
        loss's link. `batch_size` is the number of examples of a batch, where `x` is a whole data set."""
        self.prepare(self.intake.coded(x, None, None)[0], batch_size=batch_size)

    def prepare(self, x: Any, *, batch_size: int | None = None) -> None:
        """As `build`, for inputs as they are after the encoder, if any."""
        self.model.prepare(self.model.receive(x), batch_size=batch_size)
        if not self._settled:
            self._settle()

    def _settle(self) -> None:
        """Once the outputs are known, link the loss to them and check the metrics."""
        loss = links.linked(self.objective.loss, self.model, self.from_logits)
        links.check_metrics(loss, self.metrics, self.outputs)
        self._objective = dataclasses.replace(self._objective, loss=loss)
        self._settled = True

    def clone(self) -> Evaluator:
        """The same evaluator of a clone of the model."""
        other = copy.copy(self)
        other.model, other.intake = self.model.clone(), Intake(other)
        other.intake.timed = self.intake.timed
        other.objective = self.objective  # compiles for the clone
        return other

    def identity(self) -> dict[str, Any]:
        """All with which a checkpoint must agree, by value: backend, precision, model, objective, metrics."""
        # `linked` follows from the model.
        objective = dataclasses.replace(self.objective, loss=dataclasses.replace(self.objective.loss, linked=False))
        return {
            "backend": self.xp.name,
            "dtype": self.xp.dtype_name,
            "products": self.xp.products,
            "model": self.model.identity(),
            "objective": identity.describe(objective),
            "from_logits": self.from_logits,
            "metrics": [metric.name for metric in self.metrics],
            "encoder": identity.describe(self.encoder),
        }

    def batch(self, x: Any, y: Array, mask: Array | None, closing: Array | None = None) -> Batch:
        """A batch for `x`, `y` and `mask` with the batch axis first; `closing` as in `Batch`."""
        shape = self.model.shape(x) or (tree.leaves(x)[0].shape[0], 1)
        return self.objective.batch(self.xp, self.model.arrange(x), shape, y, mask, closing)

    def examples(self, x: Any, y: Any, mask: Any = None, *, chunks: bool = False) -> Examples:
        """A checked and converted batch; with `chunks` a sequence may have no valid frame."""
        return self.intake.prepare(*self.intake.coded(x, y, mask), chunks=chunks)

    def measure(self, forward: Forward, batch: Batch, params: dict[str, Array]) -> dict[str, Any]:
        """(total, weight) of the loss and every metric, from a finished forward pass with these parameters."""
        return measure(self.xp, self.objective, self.metrics, self.model, forward, batch, params)

    def finalise(self, measures: dict[str, Any]) -> dict[str, float]:
        """Floats from sums of (total, weight)."""
        return finalise(self.metrics, measures)

    def evaluate(self, x: Any, y: Any = None, mask: Any = None, *, batch_size: int = 500) -> dict[str, float]:
        """Loss and metrics of a data set, as floats.

        Parameters
        ----------
        x : array (examples, time, n_in) or iterable
            Inputs; or, without `y`, an iterable of batches (x, y[, mask]) such as a DataLoader.
        y : array (examples, …), optional
            Targets, see `Objective`.
        mask : array (examples, time), optional
            0 at padded frames.
        batch_size : int
            Examples per forward pass, of arrays.
        """
        return self.evaluate_source(self.source(x, y, mask, batch_size=batch_size))

    def source(self, x: Any, y: Any = None, mask: Any = None, *, batch_size: int = 500) -> sources.Source:
        """The source of batches for `evaluate`; arrays are checked here, and only once."""
        return sources.source(self.intake, x, y, mask, batch_size=batch_size, lengths=self.intake.lengths())

    def evaluate_source(self, source: sources.Source) -> dict[str, float]:
        """As `evaluate`, for one epoch of a source."""
        found = []
        for batch in source.epoch(0):
            with self.xp.scope(), parts.within(batch.part):
                measured = self._measure(self.params, self.model.buffers, batch.x, batch.y, batch.mask)
            if source.world.counts(batch.part):
                found.append(measured)
        totals: dict[str, Any] = {}
        for measures in found:
            totals = add(totals, tree.map(float, measures))
        return self.finalise(source.world.total(totals))

    def predict(self, x: Any, mask: Any = None, *, every_step: bool | None = None, batch_size: int = 500) -> np.ndarray:
        """Predictions by the loss's link, such as class probabilities under a cross-entropy.

        Parameters
        ----------
        x : array (examples, time, n_in), or the inputs of a user's module
            Inputs.
        mask : array (examples, time), optional
            0 at padded frames.
        every_step : bool, optional
            Whether to return the prediction of every step; by default if the last targets of this evaluator had a time
            axis.
        batch_size : int
            Examples per forward pass.

        Returns
        -------
        array
            (examples, time, outputs) for every step. Otherwise (examples, outputs): of the last valid step or, with
            ``target='mean'``, of the mean output over all valid steps.
        """
        batch_size = arguments.check_integer("batch_size", batch_size)
        x, mask = self.intake.inputs(x, mask, batch_size)
        every = self.model.shape(x) is not None and bool(self.intake.timed if every_step is None else every_step)
        xp, found = self.xp, []
        with xp.scope():
            for begin in range(0, containers.count("x", x), batch_size):
                batch = self.intake.tensors(*containers.rows((x, mask), slice(begin, begin + batch_size)))
                y = self._predictors[every](self.params, self.model.buffers, *batch)
                found.append(np.asarray(xp.to_numpy(y)))
        return np.concatenate(found)

    def _forward(self, params: Any, x: Any, carry: Any, valid: Array | None) -> Pass:
        return self.model.masked(self.xp.forward_only(), params, x, carry, training=False, valid=valid)

    def _predict_batch(self, every: bool, params: Any, carry: Any, x: Any, mask: Array | None) -> Array:
        xp, loss = self.xp, self.objective.loss
        valid = None if mask is None else xp.matrix_transpose(mask)
        outputs = self._forward(params, self.model.arrange(x), carry, valid).outputs
        if every:
            return loss.prediction(xp, xp.permute_dims(outputs, (1, 0, 2)))
        size = tree.leaves(x)[0].shape[0]
        target = xp.zeros((size,) if loss.sparse else (size, self.outputs))
        return loss.prediction(xp, self.objective.pooled(xp, outputs, self.batch(x, target, mask)))

    def _measure_batch(self, params: Any, carry: Any, x: Any, y: Array, mask: Array | None) -> dict[str, Any]:
        xp, batch = self.xp, self.batch(x, y, mask)
        _, outputs, emissions, penalty = self._forward(params, batch.x, carry, batch.valid)
        counts = spike_counts(xp, self.model.cells, emissions, batch.valid)
        loss = self.objective.value(xp, outputs, batch) + penalty
        pooled, rates = self.objective.pooled(xp, outputs, batch), mean_rates(xp, counts, batch.valid)
        return self.measure(Forward(loss, pooled, rates), batch, params)
