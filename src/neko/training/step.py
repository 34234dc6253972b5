"""One update of the weights as a pure function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from neko.backend import parts
from neko.backend.update import Update, choose
from neko.errors import NonFiniteError
from neko.models.network import Params
from neko.objective import Batch
from neko.rules.base import Gradient, GradientRule
from neko.typing import Array
from neko.updates import clip_by_global_norm

LOSS = "loss"


class Weights(NamedTuple):
    """All that an update changes: parameters of the model, feedback weights of the rule, and the update's state."""

    params: Params
    feedback: Params
    update: Any


@dataclass(frozen=True, eq=False)
class Step:
    """The update from weights and a batch to new weights: gradient, clipping, update, decay, constraints.

    `clip_norm` is the largest L2 norm of the whole gradient, `chunk` the number of steps in a chunk if the gradient is
    computed in chunks; `carries` tells whether the next batch starts from the state at the end of the last one.
    """

    gradient: GradientRule
    update: Update
    clip_norm: float | None
    chunk: int | None
    carries: bool

    def look(
        self, params: Params, feedback: Params, carry: Any, number: Array, x: Any, y: Array, mask: Array | None
    ) -> Gradient:
        """The gradient of a batch as before update `number`, without the update."""
        batch = self.gradient.model.batch(x, y, mask)._replace(number=number)
        return self.differentiate(params, feedback, batch, carry)

    def differentiate(self, params: Params, feedback: Params, batch: Batch, carry: Any) -> Gradient:
        """The gradient of a batch with time leading, at once or in chunks."""
        if self.chunk is None:
            return self.gradient.differentiate(params, feedback, batch, carry)
        return self.gradient.in_chunks(params, feedback, batch, carry, self.chunk)

    def advance(
        self, weights: Weights, carry: Any, fault: Array, rate: Array, number: Array, *data: Any
    ) -> tuple[Weights, Any, dict[str, Any], Array]:
        """Weights, carry and measures after update `number`, and the first fault.

        A step whose loss, gradients or new weights are not finite changes nothing, nor does any later step. `fault`
        (2,) holds the number of that step and the index of the tensor (see `tensors`), -1 while there is none, so that
        nothing is copied to the host after every step.
        """
        xp, model = self.gradient.xp, self.gradient.model
        kept = self.update.kept(weights.update)
        params, feedback, state = self.stored(weights)
        if self.carries and carry is None:
            carry = self.gradient.initial_carry(int(data[0].shape[0]))
        batch = model.batch(*data)._replace(number=number)
        seen = self.read(Weights(params, feedback, state), number)
        result = self.differentiate(seen.params, seen.feedback, batch, carry)
        gradients = parts.means(xp, {**self.whole(result.gradients), LOSS: result.forward.loss})
        loss = gradients.pop(LOSS)
        names = sorted(gradients)
        found = [loss, *(gradients[name] for name in names)]
        if self.clip_norm is not None:
            gradients = clip_by_global_norm(xp, gradients, self.clip_norm)
        learnt = {name: params[name] if name in params else feedback[name] for name in names}
        updated, state = self.update.step(learnt, gradients, state, rate)
        learnt = dict(updated)
        for name, share in self.gradient.decay().items():
            learnt[name] = (1.0 - share) * learnt[name]
        learnt = {**learnt, **model.model.constrain({name: learnt[name] for name in params})}
        after = parted(learnt, weights, state)
        found += [learnt[name] for name in names]
        if any(learnt[name] is not updated[name] for name in names):
            after = self.stored(after)
        finite = xp.stack([xp.finite(a) for a in found])
        good = xp.logical_and(fault[0] < 0.0, xp.all(finite))
        if not xp.known(good):
            first = xp.astype(xp.argmax(1.0 - xp.astype(finite, xp.dtype), axis=0), xp.dtype)
            # The number is on the host, and comes to the device by the sum.
            found_now = xp.stack([number + 0.0 * first, first])
            fault = xp.where(xp.logical_or(good, fault[0] >= 0.0), fault, found_now)
        params, feedback = (choose(xp, good, after[i], weights[i]) for i in range(2))
        weights = Weights(params, feedback, self.update.chosen(xp, good, after.update, kept))
        carry = choose(xp, good, result.carry, carry) if self.carries or model.model.persistent else None
        return weights, carry, model.measure(result.forward, batch, seen.params) | (result.report or {}), fault

    def stored(self, weights: Weights) -> Weights:
        """The weights as the update stores those that were set from outside."""
        if not self.update.holds:
            return weights
        params, feedback, state = weights
        learnt, state = self.update.hold(self.learnt(params, feedback), state)
        return parted(learnt, weights, state)

    def read(self, weights: Weights, number: Array) -> Weights:
        """The weights as the forward pass before update `number` reads them."""
        if not self.update.holds:
            return weights
        params, feedback, state = weights
        return parted(self.update.read(self.learnt(params, feedback), state, number), weights, state)

    def elapse(self, weights: Weights, seconds: float) -> Weights:
        """The weights after a time without updates."""
        params, feedback, state = weights
        learnt, state = self.update.elapse(self.learnt(params, feedback), state, seconds)
        return parted(learnt, weights, state)

    def learnt(self, params: Params, feedback: Params) -> Params:
        """All weights that the update trains."""
        return {**params, **{name: feedback[name] for name in self.gradient.learnt_feedback()}}

    def whole(self, gradients: Params) -> Params:
        """The gradients of a rule; ValueError where it left out that of a parameter."""
        missing = sorted(self.gradient.model.params.keys() - gradients.keys())
        if missing:
            raise ValueError(
                f"{type(self.gradient).__name__}.differentiate gave no gradient of {missing!r}: expected one of every "
                "parameter, zeros where nothing is learnt"
            )
        return gradients

    def tensors(self) -> list[str]:
        """Names of the tensors that are checked, in the order of a fault's index."""
        names = sorted([*self.gradient.model.params, *self.gradient.learnt_feedback()])
        return [LOSS, *(f"gradient of {n}" for n in names), *(f"{n} after the update" for n in names)]


def parted(learnt: Params, weights: Weights, state: Any) -> Weights:
    """Learnt weights as parameters and feedback, fixed feedback as it was, with a new state of the update."""
    params = {name: learnt[name] for name in weights.params}
    feedback = {name: learnt.get(name, fixed) for name, fixed in weights.feedback.items()}
    return Weights(params, feedback, state)


def non_finite_error(step: int, tensor: str, *, rate: float, clipped: bool) -> NonFiniteError:
    """The error for a tensor that was not finite at an update with a learning rate."""
    bounds = "" if clipped else ", clip_norm=1.0"
    if tensor == LOSS:
        remedy = f"look at targets and inputs of this batch, or try smaller weights, a smaller learning_rate{bounds}"
    else:
        remedy = f"try a learning_rate below {rate:g}{bounds}, or a smaller dampening of the surrogate"
    return NonFiniteError(step, tensor, f"{remedy}; the model keeps its parameters from before the step")
