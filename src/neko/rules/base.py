"""What all learning rules share: a gradient, an update, and the state between calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, NamedTuple

from neko import updates
from neko.evaluator import Evaluator
from neko.network import Params
from neko.objective import Batch, Forward


class Gradient(NamedTuple):
    """What a rule found: the forward pass it ran, a gradient per parameter, and what the next call starts from (the
    state of a stream, or the buffers of a user's module)."""

    forward: Forward
    gradients: Params
    carry: Any


class Learner(ABC):
    """What a trainer trains: something that learns from the batches of an epoch.

    Attributes
    ----------
    model : Evaluator
        Model, loss and metrics.
    """

    model: Evaluator

    @abstractmethod
    def epoch(self, batches: Iterable[tuple[Any, Any, Any]], done: Callable[[], None]) -> dict[str, float]:
        """Learn from every batch (x, y, mask) in turn, calling `done` after each; what the history keeps."""


class Rule(Learner):
    """A gradient rule composed with an update; a subclass writes `differentiate` and nothing else.

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics.
    optimizer : str, object or update
        A name ('adam', 'sgd', …), an optimizer of the model's framework, 'naive', or any update.
    learning_rate : float or callable, optional
        Rate of a named optimizer, or a schedule ``step -> rate``; default 1e-3.
    clip_norm : float, optional
        Scale the whole gradient down to this L2 norm where it is longer.
    stream : bool
        Carry the network's and the rule's state from one call to the next, so that an endless
        stream fed in pieces is learnt as one sequence; `reset` starts anew.
    jit : bool
        Compile the step where the framework compiles; without it errors point to the line that made them.

    Attributes
    ----------
    update_state : object
        The state of the update, such as the conductances of devices; None before the first batch.
    local : bool
        Whether the rule looks into the cells of a network; if not, it takes a user's module too.
    training : bool
        Whether forward passes are training passes (dropout, batch statistics), where a model knows the difference.
    """

    local: ClassVar[bool] = True
    training = True

    def __init__(
        self,
        model: Evaluator,
        *,
        optimizer: Any = "adam",
        learning_rate: Any = None,
        clip_norm: float | None = None,
        stream: bool = False,
        jit: bool = True,
    ) -> None:
        if not isinstance(model, Evaluator):
            raise TypeError(f"model={model!r}: expected an Evaluator, for example Evaluator(model, loss='mse')")
        if self.local and not model.model.cells:
            raise TypeError(
                f"{type(self).__name__} reads the cells of a network, and {model.model!r} has none: "
                "use BPTT, or a sampler with drift=BPTT"
            )
        self.model = model
        self.xp = model.xp
        self.update = updates.resolve(self.xp, optimizer, learning_rate)
        self.clip_norm = updates.check_clip_norm(clip_norm)
        self.stream = stream
        self.steps = 0
        self.feedback: Params = {}
        self._carry: Any = None
        self.update_state: Any = None
        self._started = False
        compiled = self.xp.jit if jit else self._scoped
        self._train = compiled(self._train_step)
        self._differentiate = compiled(self._gradient)

    @property
    def name(self) -> str:
        """What figures and tables call the rule."""
        return type(self).__name__.lower()

    @property
    def carries(self) -> bool:
        """Whether the state after an update is where the next one starts."""
        return self.stream

    @abstractmethod
    def differentiate(self, params: Params, feedback: Params, batch: Batch, carry: Any) -> Gradient:
        """Loss and gradients of a batch, a pure function.

        `carry` is None at the start of a sequence, else the last call's `Gradient.carry` (or a module's buffers).
        """

    def initial_feedback(self) -> Params:
        """Backward weights of the rule, by name; most rules have none."""
        return {}

    def after_update(self, params: Params) -> Params:
        """A last word on the updated parameters, such as the decay of weights."""
        return params

    def gradients(self, x: Any, y: Any, mask: Any = None) -> tuple[Any, Params]:
        """Loss and gradients of a batch, without an update: a scalar and arrays by parameter name."""
        self.start(x)
        arrays = self.model.arrays(x, y, mask)
        result = self._differentiate(self.model.params, self.feedback, self.model.model.buffers, *arrays)
        return result.forward.loss, result.gradients

    def step(self, x: Any, y: Any, mask: Any = None) -> dict[str, float]:
        """One update from a batch; returns the loss and the metrics of the forward pass before it."""
        return self.model.finalise(self.accumulate(x, y, mask))

    def accumulate(self, x: Any, y: Any, mask: Any = None) -> dict[str, Any]:
        """As `step`, but with each measure as (total, weight) on the device, to be summed over batches."""
        self.start(x)
        return self._advance(*self.model.arrays(x, y, mask))

    def epoch(self, batches: Iterable[tuple[Any, Any, Any]], done: Callable[[], None]) -> dict[str, float]:
        totals: dict[str, Any] = {}
        for x, y, mask in batches:
            for name, (total, weight) in self.accumulate(x, y, mask).items():
                before = totals.get(name)
                totals[name] = (total, weight) if before is None else (before[0] + total, before[1] + weight)
            done()
        return self.model.finalise(totals) | self.update.report(self.update_state)

    def reset(self) -> None:
        """Forget the state of the stream; parameters stay."""
        self._carry = None

    def _scoped(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """f as it is, in the backend's scope."""

        def run(*args: Any) -> Any:
            with self.xp.scope():
                return f(*args)

        return run

    def start(self, x: Any) -> None:
        """Build the model for inputs like `x`, the feedback and the update's state, if that is not done."""
        self.model.build(x)
        if not self._started:
            self._started = True
            with self.xp.scope():
                self.feedback = self.initial_feedback()
                self.update_state = self.update.init({**self.model.params, **self.learnt_feedback()})

    def learnt_feedback(self) -> Params:
        """The part of the feedback that the update trains; none unless a rule says so."""
        return {}

    def _advance(self, x: Any, y: Any, mask: Any) -> dict[str, Any]:
        with self.xp.scope():
            rate = self.xp.asarray(self.update_rate())
            buffers = self.model.model.buffers
            start = self._carry if buffers is None else buffers
            self.model.params, self.feedback, self.update_state, carry, measures = self._train(
                self.model.params, self.feedback, self.update_state, start, rate, x, y, mask
            )
        if buffers is None:
            self._carry = carry if self.carries else None
        else:
            self.model.model.buffers = carry
        self.steps += 1
        return measures

    def update_rate(self) -> float:
        """Learning rate of the coming update."""
        return self.update.rate(self.steps)

    def _gradient(self, params: Params, feedback: Params, carry: Any, x: Any, y: Any, mask: Any) -> Gradient:
        return self.differentiate(params, feedback, self.model.batch(x, y, mask), carry)

    def _train_step(
        self, params: Params, feedback: Params, state: Any, carry: Any, rate: Any, x: Any, y: Any, mask: Any
    ) -> tuple[Params, Params, Any, Any, dict[str, Any]]:
        batch = self.model.batch(x, y, mask)
        result = self.differentiate(params, feedback, batch, carry)
        gradients = result.gradients
        if self.clip_norm is not None:
            gradients = updates.clip_by_global_norm(self.xp, gradients, self.clip_norm)
        learnt = {name: params[name] if name in params else feedback[name] for name in gradients}
        learnt, state = self.update.step(learnt, gradients, state, rate)
        learnt = self.after_update(learnt)
        measures = self.model.measure(result.forward, batch)
        params = {name: learnt[name] for name in params}
        feedback = {name: learnt.get(name, b) for name, b in feedback.items()}
        return params, feedback, state, result.carry, measures
