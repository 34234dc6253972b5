"""What all learning rules share: a gradient, an update, and the state between calls."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, NamedTuple

import numpy as np

from neko import containers, identity, updates
from neko.errors import NonFiniteError
from neko.evaluator import Evaluator
from neko.io import snapshot
from neko.models.adapted import check_names
from neko.models.network import Params
from neko.objective import Batch, Forward
from neko.training import activity
from neko.training import stream as streams
from neko.training.learner import Learner
from neko.training.programs import Programs


class Gradient(NamedTuple):
    """What a rule found: the forward pass it ran, a gradient per parameter, and what the next call starts from (the
    state of a stream, or the buffers of a user's module)."""

    forward: Forward
    gradients: Params
    carry: Any


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
        stream fed in pieces is learnt as one sequence; `reset` starts anew. Every piece holds the same sequences in the
        same order; one that has ended stays in it, masked. The loss of a piece is that of its own frames: under
        ``reduction='sum'`` the pieces' losses add up to the loss of the sequence, under 'mean' each is a mean of its
        own.
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
    pausable = True
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
        if stream and not model.model.cells:
            raise ValueError(f"stream=True: {model.model!r} has no state to carry on; only a network of cells has one")
        self.model = model
        self.xp = model.xp
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.update = updates.resolve(self.xp, optimizer, learning_rate)
        self.clip_norm = updates.check_clip_norm(clip_norm)
        self.stream = stream
        self.steps = 0
        self.feedback: Params = {}
        self._carry: Any = None
        self._sequences: int | None = None
        self._jit = jit
        self._programs = Programs(self.xp, jit)
        self.update_state: Any = None
        self.totals: dict[str, Any] = {}
        self._meanwhile: Callable[[], None] = nothing
        self._started = False
        self._known: list[str] = []
        self._compile()

    @property
    def name(self) -> str:
        """What figures and tables call the rule."""
        return type(self).__name__.lower()

    @property
    def ordered(self) -> bool:
        return self.stream

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
        self._check_pieces(arrays[1])
        result = self._look(self.model.model.buffers, arrays)
        return result.forward.loss, self._whole(result.gradients)

    def step(self, x: Any, y: Any, mask: Any = None) -> dict[str, float]:
        """One update from a batch; returns the loss and the metrics of the forward pass before it.

        A piece of a stream in which no frame counts changes nothing, and gives an empty dict.
        """
        return self.model.finalise(self.accumulate(x, y, mask))

    def accumulate(self, x: Any, y: Any, mask: Any = None) -> dict[str, Any]:
        """As `step`, but with each measure as (total, weight) on the device, to be summed over batches."""
        self.start(x)
        x, y, mask = self.model.arrays(x, y, mask, pieces=self.stream)
        self._check_pieces(y)
        if not self.stream:
            return self._advance(x, y, mask)
        valid = self._follow(x, mask)
        if not valid.any():
            self._read(x, y, mask)
            return {}
        return self._advance(x, y, mask, self.xp.asarray(valid, dtype=self.xp.dtype))

    def epoch(self, batches: Iterable[tuple[Any, Any, Any]], done: Callable[[], None]) -> dict[str, float]:
        self._meanwhile = getattr(batches, "fetch", nothing)
        try:
            for x, y, mask in batches:
                for name, (total, weight) in self.accumulate(x, y, mask).items():
                    before = self.totals.get(name)
                    self.totals[name] = (total, weight) if before is None else (before[0] + total, before[1] + weight)
                done()
        finally:
            totals, self.totals, self._meanwhile = self.totals, {}, nothing
        activity.warn(self.model.model.cells, totals)
        return self.model.finalise(totals) | self.update.report(self.update_state)

    def identity(self) -> dict[str, Any]:
        return {"rule": self.name, **self.options(), **self.model.identity()}

    def options(self) -> dict[str, Any]:
        """Every option of the rule by value, the defaults too."""
        return identity.options(self, optimizer=self.update.update, learning_rate=self.update.learning_rate)

    def state(self) -> dict[str, Any]:
        xp = self.xp
        with xp.scope():
            return {
                "params": snapshot.take(xp, self.model.params),
                "buffers": snapshot.take(xp, self.model.model.buffers),
                "feedback": snapshot.take(xp, self.feedback),
                "update": self.update.take(xp, self.update_state),
                "carry": snapshot.take(xp, self._carry),
                "sequences": self._sequences,
                "totals": snapshot.take(xp, self.totals),
                "steps": self.steps,
            }

    def restore(self, saved: dict[str, Any], batches: Iterable[tuple[Any, Any, Any]]) -> None:
        xp, model = self.xp, self.model
        x, y, mask = next(iter(batches))
        self.start(x)
        with xp.scope():
            template = None
            if saved["carry"] is not None:
                arrays = model.arrays(x, y, mask)
                template = self._differentiate(model.params, self.feedback, None, *arrays).carry
            params = snapshot.put(xp, model.params, saved["params"], "params")
            buffers = snapshot.put(xp, model.model.buffers, saved["buffers"], "buffers")
            feedback = snapshot.put(xp, self.feedback, saved["feedback"], "feedback")
            if saved["update"] is None:  # of an optimizer that was changed on purpose: it begins anew
                update = self.update.init({**params, **{name: feedback[name] for name in self.learnt_feedback()}})
            else:
                update = self.update.put(xp, self.update_state, saved["update"])
            carry = snapshot.put(xp, template, saved["carry"], "carry")
            totals = {name: tuple(xp.asarray(a) for a in pair) for name, pair in saved["totals"].items()}
        model.params, self.feedback, self.update_state = params, feedback, update
        if buffers is not None:
            model.model.buffers = buffers
        self._carry, self.totals, self.steps = carry, totals, saved["steps"]
        self._sequences = saved.get("sequences")

    def reset(self) -> None:
        """Forget the state of the stream; parameters stay."""
        self._carry = None
        self._sequences = None

    def _check_pieces(self, y: Any) -> None:
        """ValueError for a target that pieces of a stream cannot have."""
        if self.stream:
            streams.check_target(self.model.objective.target, self.model.objective.is_held(y))

    def _follow(self, x: Any, mask: Any) -> np.ndarray:
        """Which sequences have a frame in this piece of the stream, (batch,)."""
        self._sequences = streams.check_size(self._sequences, containers.count("x", x))
        return streams.present(self.xp, self._sequences, mask)

    def _read(self, x: Any, y: Any, mask: Any) -> None:
        """Go on through frames of which none counts: an update would be of nothing but the optimizer's momentum."""
        self._carry = self._look(self._carry, (x, y, mask)).carry

    def _look(self, start: Any, arrays: tuple[Any, Any, Any]) -> Gradient:
        """What the rule finds for a batch with the weights as the update holds them; nothing of it is applied."""
        with self.xp.scope():
            params, feedback, _ = self.held(self.model.params, self.feedback, self.update_state)
        return self._differentiate(params, feedback, start, *arrays)

    def _whole(self, gradients: Params) -> Params:
        """The gradients of a rule; ValueError where it left out that of a parameter."""
        missing = sorted(self.model.params.keys() - gradients.keys())
        if missing:
            raise ValueError(
                f"{type(self).__name__}.differentiate gave no gradient of {missing!r}: expected one of every "
                "parameter, zeros where nothing is learnt"
            )
        return gradients

    def _scoped(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """f as it is, in the backend's scope."""

        def run(*args: Any) -> Any:
            with self.xp.scope():
                return f(*args)

        return run

    def _compile(self) -> None:
        """The steps as the framework compiles them, with the objective of now in them."""
        compiled = self.xp.jit if self._jit else self._scoped
        self._train = compiled(self._train_step)
        self._differentiate = compiled(self._gradient)
        self._objective = self.model.objective

    def start(self, x: Any) -> None:
        """Build the model for inputs like `x`, the feedback and the update's state, if that is not done."""
        self.model.build(x)
        if self._objective is not self.model.objective:
            self._compile()
        if self._started:
            check_names(self.model.model, self._known)
        else:
            self._started, self._known = True, list(self.model.params)
            with self.xp.scope():
                self.feedback = self.initial_feedback()
                self.update_state = self.update.init({**self.model.params, **self.learnt_feedback()})
                if self.update.holds:
                    self.model.params, self.feedback, self.update_state = self.held(
                        self.model.params, self.feedback, self.update_state
                    )

    def held(self, params: Params, feedback: Params, update_state: Any) -> tuple[Params, Params, Any]:
        """Parameters, feedback and the update's state, as the update holds what was set from outside."""
        learnt = {**params, **{name: feedback[name] for name in self.learnt_feedback()}}
        learnt, update_state = self.update.hold(learnt, update_state)
        params = {name: learnt[name] for name in params}
        return params, {name: learnt.get(name, b) for name, b in feedback.items()}, update_state

    def learnt_feedback(self) -> Params:
        """The part of the feedback that the update trains; none unless a rule says so."""
        return {}

    def _advance(self, x: Any, y: Any, mask: Any, closing: Any = None) -> dict[str, Any]:
        self._programs.count((x, y, mask))
        with self.xp.scope():
            rate = self.xp.asarray(self.update_rate())
            buffers = self.model.model.buffers
            start = self._carry if buffers is None else buffers
            params, feedback, update_state, carry, measures, finite = self._train(
                self.model.params, self.feedback, self.update_state, start, rate, x, y, mask, closing
            )
            self._meanwhile()  # where the device works by itself, until its numbers are asked for
            self._check(self.xp.to_numpy(finite))
        self.model.params, self.feedback, self.update_state = params, feedback, update_state
        if buffers is None:
            self._carry = carry if self.carries else None
        else:
            self.model.model.buffers = carry
        self.steps += 1
        return measures

    def _check(self, finite: np.ndarray) -> None:
        """NonFiniteError unless loss, gradients and updated parameters (in this order) all are finite."""
        if finite.all():
            return
        names = sorted([*self.model.params, *self.learnt_feedback()])
        tensors = ["loss", *(f"gradient of {n}" for n in names), *(f"{n} after the update" for n in names)]
        first = int(np.argmin(finite))
        bounds = "" if self.clip_norm is not None else ", clip_norm=1.0"
        if first == 0:
            remedy = (
                f"look at targets and inputs of this batch, or try smaller weights, a smaller learning_rate{bounds}"
            )
        else:
            remedy = (
                f"try a learning_rate below {self.update_rate():g}{bounds}, or a smaller dampening of the surrogate"
            )
        raise NonFiniteError(
            self.steps, tensors[first], f"{remedy}; the model keeps its parameters from before the step"
        )

    def update_rate(self) -> float:
        """Learning rate of the coming update."""
        return self.update.rate(self.steps)

    def _gradient(self, params: Params, feedback: Params, carry: Any, x: Any, y: Any, mask: Any) -> Gradient:
        return self.differentiate(params, feedback, self.model.batch(x, y, mask), carry)

    def _train_step(
        self,
        params: Params,
        feedback: Params,
        update_state: Any,
        carry: Any,
        rate: Any,
        x: Any,
        y: Any,
        mask: Any,
        closing: Any,
    ) -> tuple[Params, Params, Any, Any, dict[str, Any], Any]:
        xp, batch = self.xp, self.model.batch(x, y, mask, closing)
        params, feedback, update_state = self.held(params, feedback, update_state)
        result = self.differentiate(params, feedback, batch, carry)
        gradients = self._whole(result.gradients)
        if self.clip_norm is not None:
            gradients = updates.clip_by_global_norm(xp, gradients, self.clip_norm)
        names = sorted(gradients)
        finite = xp.stack(
            [xp.all(xp.isfinite(a)) for a in (result.forward.loss, *(result.gradients[n] for n in names))]
        )
        if hasattr(self.update.update, "take"):
            # This update changes its state in place: nothing that is not finite may reach it.
            self._check(xp.to_numpy(finite))
        learnt = {name: params[name] if name in params else feedback[name] for name in names}
        learnt, update_state = self.update.step(learnt, gradients, update_state, rate)
        updated = learnt
        learnt = self.after_update(updated)
        learnt = {**learnt, **self.model.model.constrain({name: learnt[name] for name in params})}
        measures = self.model.measure(result.forward, batch)
        params = {name: learnt[name] for name in params}
        feedback = {name: learnt.get(name, b) for name, b in feedback.items()}
        finite = xp.concat([finite, xp.stack([xp.all(xp.isfinite(learnt[n])) for n in names])], axis=0)
        if any(learnt[name] is not updated[name] for name in names):
            params, feedback, update_state = self.held(params, feedback, update_state)
        return params, feedback, update_state, result.carry, measures, finite


def nothing() -> None:
    """What is done while the device is busy, where nothing is to be done."""
