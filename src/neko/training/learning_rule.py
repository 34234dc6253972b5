"""A learning rule: a gradient rule composed with an update."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from neko import identity, tree, updates
from neko.arguments import check_number
from neko.backend.programs import Programs, compiler
from neko.data.intake import Examples
from neko.identity import representation
from neko.io import snapshot
from neko.models.adapted import check_names
from neko.models.network import Params
from neko.rules.base import Gradient, GradientRule
from neko.training.learner import Learner, Measures
from neko.training.step import Step, Weights, non_finite_error
from neko.training.stream import Stream


class LearningRule(Learner):
    """A gradient rule composed with an update; a `Trainer` trains it.

    ``neko.Eprop(model, mode='random', optimizer='sgd')`` is short for ``LearningRule(rules.Eprop(model,
    mode='random'), 'sgd')``, and so for every rule.

    Parameters
    ----------
    gradient : GradientRule
        Computes the gradient.
    optimizer : str, object or update
        A name ('adam', 'sgd', …), an optimizer of the model's framework, 'naive', or any update.
    learning_rate : float or callable, optional
        Rate of a named optimizer, or a schedule ``step -> rate``; default 1e-3.
    clip_norm : float, optional
        Largest L2 norm of the whole gradient; a longer one is scaled down to it.
    chunk : int, optional
        Number of steps in a chunk, of a rule that streams. For BPTT this truncates the credit; other rules give the
        same numbers, with memory for one chunk besides inputs, outputs and one state of the network per chunk.
    online : bool
        Update the weights after every chunk (``chunk=1``: after every step) instead of at the end of a batch.
    stream : bool
        Carry the state of network and rule from one call to the next, so that a stream of any length is learnt as one
        sequence; `reset` forgets the state. Every batch has the same sequences in the same order; one that has ended
        stays in it, masked. The reported loss is that of the batch's own frames, summed with ``reduction='sum'``.
    jit : bool or 'xla'
        Compile the step; without it an error shows the line that raised it. 'xla' is for TensorFlow: by XLA.

    Attributes
    ----------
    feedback : dict of Array
        Feedback weights of the gradient rule; empty before the first batch, and for most rules.
    update_state : object
        State of the update, such as the conductances of devices; None before the first batch.

    Raises
    ------
    TypeError
        If `gradient` is not a gradient rule.
    ValueError
        For `online` without `chunk`, stream options for a rule that carries no state, and 'xla' on other backends; at
        the first step for one that XLA cannot compile.

    Examples
    --------
    >>> import numpy as np
    >>> import neko
    >>> model = neko.Evaluator(neko.ALIF(8, 2, "torch"), loss="categorical_crossentropy")
    >>> rule = neko.LearningRule(neko.rules.Eprop(model, mode="random"), "sgd", learning_rate=0.1)
    >>> sorted(rule.step(np.ones((3, 20, 4)), np.eye(2)[[0, 1, 1]]))
    ['loss']
    """

    pausable = True

    def __init__(
        self,
        gradient: GradientRule,
        optimizer: Any = "adam",
        *,
        learning_rate: Any = None,
        clip_norm: float | None = None,
        chunk: int | None = None,
        online: bool = False,
        stream: bool = False,
        jit: bool | str = True,
    ) -> None:
        if not isinstance(gradient, GradientRule):
            raise TypeError(f"gradient={gradient!r}: expected a gradient rule, for example neko.rules.Eprop(model)")
        self.gradient = gradient
        self.model = gradient.model
        self.xp = self.model.xp
        self._stream = Stream(gradient, chunk=chunk, online=online, stream=stream)
        self.chunk = self._stream.chunk
        self.online, self.stream = online, stream
        self.optimizer, self.learning_rate = optimizer, learning_rate
        self.schedule = updates.resolve(self.xp, optimizer, learning_rate)
        self.update = self.schedule.update
        self.clip_norm = updates.check_clip_norm(clip_norm)
        self.feedback: Params = {}
        self.update_state: Any = None
        self.steps = 0
        self._fault: Any = None
        self._compiler = compiler(self.xp, jit)
        self._programs = Programs(self.xp, jit)
        self._known: list[str] | None = None
        # The update as a pure function; an online rule cuts its chunks before the step.
        self.pure = Step(gradient, self.update, self.clip_norm, None if online else self.chunk, self._stream.carries)
        self._compile()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join([repr(self.gradient), *representation.options(self)])})"

    @property
    def name(self) -> str:
        """What figures and tables call the rule."""
        return self.gradient.name

    @property
    def ordered(self) -> bool:
        return self.stream

    def step(self, x: Any, y: Any, mask: Any = None) -> dict[str, float]:
        """One update from a batch; returns the loss and the metrics of the forward pass before it, or an empty dict for
        a chunk of a stream without valid frames, which changes no weight.

        Raises
        ------
        NonFiniteError
            When a loss, gradient or parameter is not finite; the model keeps its parameters from before the step.
        """
        measures = self.learn(self.model.examples(x, y, mask, chunks=self.stream))
        self.check()
        return self.model.finalise(measures)

    def gradients(self, x: Any, y: Any, mask: Any = None) -> tuple[Any, Params]:
        """Loss and gradients of a batch, without an update: a scalar and arrays by parameter name."""
        return self.gradients_of(self.model.examples(x, y, mask))

    def gradients_of(self, batch: Examples) -> tuple[Any, Params]:
        """As `gradients`, of prepared examples."""
        self._stream.check_target(batch)
        result = self._look(self.model.model.buffers, batch)
        return result.forward.loss, self.pure.whole(result.gradients)

    def elapse(self, seconds: float) -> None:
        """Let time pass without an update: weights in devices that drift or decay change, others do not."""
        with self.xp.scope():
            changed = self.pure.elapse(self.stored(), check_number("seconds", seconds))
        self.model.params, self.feedback, self.update_state = changed

    def traces(self, x: Any, y: Any, mask: Any = None) -> list[Any]:
        """Eligibility traces and learning signals of a batch at every step, per layer; see `neko.rules.observed`."""
        batch = self.model.examples(x, y, mask)
        self.start()
        with self.xp.scope():
            timed = self.model.batch(batch.x, batch.y, batch.mask)
            return self.gradient.traces(self.model.params, self.feedback, timed)

    def learn(self, item: Examples) -> Measures:
        self.start()
        self._stream.check_target(item)
        if not self._stream.carries:
            return self._advance(item)
        measures: Measures = {}
        try:
            for chunk, closing in self._stream.chunks(item):
                if closing is None:
                    self._stream.carry = self._look(self._stream.start(chunk.size), chunk).carry
                    continue  # without an update, which momentum alone would cause
                found = self._advance(chunk, closing)
                measures = found if not measures else tree.map(lambda a, b: a + b, measures, found)
        finally:
            if not self.stream:
                self.reset()
        return measures

    def check(self) -> None:
        if self._fault is None:
            return
        number, tensor = map(int, self.xp.to_numpy(self._fault))
        if number < 0:
            return
        self.update.rewind(self.update_state, self.steps - number)
        self.steps, self._fault = number, None
        rate, clipped = self.schedule.rate(number), self.clip_norm is not None
        raise non_finite_error(number, self.pure.tensors()[tensor], rate=rate, clipped=clipped)

    def finish(self, totals: Measures) -> dict[str, float]:
        return super().finish(totals) | self.update.report(self.update_state)

    def identity(self) -> dict[str, Any]:
        return {"rule": self.name, **self.options(), **self.model.identity()}

    def options(self) -> dict[str, Any]:
        """Every option of the rule by value, the defaults too."""
        own = identity.options(self, optimizer=self.update, learning_rate=self.schedule.learning_rate)
        return {**own, **self.gradient.options()}

    def exported(self) -> dict[str, Any]:
        self.check()
        xp = self.xp
        with xp.scope():
            return {
                "params": snapshot.exported(xp, self.model.params),
                "buffers": snapshot.exported(xp, self.model.model.buffers),
                "feedback": snapshot.exported(xp, self.feedback),
                "update": self.update.exported(xp, self.update_state),
                **self._stream.exported(),
                "steps": self.steps,
            }

    def load(self, saved: dict[str, Any], batches: Iterable[Examples]) -> None:
        next(iter(batches))  # builds the model
        self.start()
        xp, model = self.xp, self.model
        with xp.scope():
            self._stream.load(saved)
            params = snapshot.loaded(xp, model.params, saved["params"], "params")
            buffers = snapshot.loaded(xp, model.model.buffers, saved["buffers"], "buffers")
            feedback = snapshot.loaded(xp, self.feedback, saved["feedback"], "feedback")
            if saved["update"] is None:  # the optimizer was changed on purpose
                update = self.update.init(self.pure.learnt(params, feedback))
            else:
                update = self.update.loaded(xp, self.update_state, saved["update"])
        model.params, self.feedback, self.update_state = params, feedback, update
        if model.model.persistent:
            model.model.buffers = buffers
        self.steps, self._fault = snapshot.count("steps", saved["steps"]), None

    def stored(self) -> Weights:
        """The weights of the next gradient, as the update stores them."""
        self.start()
        with self.xp.scope():
            return self.pure.stored(self._weights())

    def reset(self) -> None:
        """Forget the state of the stream; parameters stay."""
        self._stream.reset()

    def start(self, x: Any = None) -> None:
        """Draw the feedback weights and the update's state at the first call; `x` builds the model."""
        if x is not None:
            self.model.prepare(x)
        if self._objective is not self.model.objective:
            self._compile()
        if self._known is not None:
            check_names(self.model.model, self._known)
            return
        self._known = list(self.model.params)
        with self.xp.scope():
            self.feedback = self.gradient.initial_feedback()
            self.update_state = self.update.init(self.pure.learnt(self.model.params, self.feedback))
            self.model.params, self.feedback, self.update_state = self.pure.stored(self._weights())

    def _weights(self) -> Weights:
        """The weights before the next update."""
        return Weights(self.model.params, self.feedback, self.update_state)

    def _compile(self) -> None:
        """Compile the steps with the present objective."""
        self._train, self._differentiate = self._compiler(self.pure.advance), self._compiler(self.pure.look)
        self._objective = self.model.objective

    def _look(self, start: Any, batch: Examples) -> Gradient:
        """The rule's gradient of a batch with the weights as the update stores them; no update."""
        with self.xp.scope():
            number = self.xp.scalar(float(self.steps))
            params, feedback, _ = self.pure.read(self.stored(), number)
        return self._differentiate(params, feedback, start, number, batch.x, batch.y, batch.mask)

    def _advance(self, batch: Examples, closing: np.ndarray | None = None) -> Measures:
        """An update; `closing` (batch,) marks the sequences that end in these frames."""
        xp, model = self.xp, self.model.model
        self._programs.count((batch.x, batch.y, batch.mask))
        with xp.scope():
            self._fault = xp.asarray(np.full(2, -1.0)) if self._fault is None else self._fault
            weights, carry, measures, self._fault = self._train(
                self._weights(),
                model.buffers if model.persistent else self._stream.carry,
                self._fault,
                xp.scalar(self.schedule.rate(self.steps)),
                xp.scalar(float(self.steps)),
                batch.x,
                batch.y,
                batch.mask,
                None if closing is None else xp.asarray(closing, dtype=xp.dtype),
            )
        self.model.params, self.feedback, self.update_state = weights
        if model.persistent:
            model.buffers = carry
        else:
            self._stream.carry = carry
        self.steps += 1
        return measures
