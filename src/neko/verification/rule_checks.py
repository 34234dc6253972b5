"""What can be held of any gradient rule on one network."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from neko import rules, tree
from neko.evaluator import Evaluator
from neko.objective import Batch
from neko.rules.base import Gradient, GradientRule
from neko.training.deviations import HIDDEN, READOUT, deviations
from neko.training.learning_rule import LearningRule
from neko.training.pairs import BPTT
from neko.verification import cases
from neko.verification.cases import EXACT, Gradients, max_relative_error
from neko.verification.form import LIVE, BrokenError
from neko.verification.runner import ExemptError

TIME = 11
LOSS = "loss"
"""Name of the loss among gradients that are compared."""


class Subject:
    """A rule on a network, with a batch of sequences of unequal length."""

    def __init__(
        self,
        evaluator: Evaluator,
        rule: GradientRule,
        build: Callable[[Evaluator], GradientRule],
        data: tuple[np.ndarray, np.ndarray],
        other: tuple[np.ndarray, np.ndarray],
        mask: np.ndarray,
    ) -> None:
        self.xp = evaluator.xp
        self.evaluator, self.rule, self.build = evaluator, rule, build
        self.data, self.other, self.mask = data, other, mask
        self.feedback = rule.initial_feedback()

    def batch(self, x: np.ndarray, y: np.ndarray) -> Batch:
        """A batch with the mask, as before update 0."""
        arrays = (self.xp.asarray(a) for a in (x, y, self.mask))
        return self.evaluator.batch(*arrays)._replace(number=self.xp.scalar(0.0))

    def call(self, *arguments: Any) -> Gradient:
        """The rule's `differentiate`; compiled on JAX, since on TensorFlow compilation takes longer than it saves."""
        found: Gradient = (self.compiled if self.xp.name == "jax" else self.rule.differentiate)(*arguments)
        return found

    @functools.cached_property
    def compiled(self) -> Callable[..., Gradient]:
        """The rule's function, compiled where the backend compiles."""
        return self.xp.jit(self.rule.differentiate)

    def differentiate(self, batch: Batch, carry: Any = None) -> Gradient:
        """The rule's gradient for the network's parameters."""
        return self.call(self.evaluator.params, self.feedback, batch, carry)

    def on_host(self, gradient: Gradient) -> Gradients:
        """The gradients and the loss as NumPy arrays."""
        return cases.on_host(self.xp, {LOSS: gradient.forward.loss, **gradient.gradients})

    @functools.cached_property
    def gradients(self) -> Gradients:
        """The gradients of the batch, and its loss."""
        return self.on_host(self.differentiate(self.batch(*self.data)))


def builder(rule: Any) -> Callable[[Evaluator], GradientRule]:
    """The function that builds a gradient rule from an evaluator; TypeError and ValueError as `neko.rules.resolve`."""
    made: Any = rules.resolve(rule) if isinstance(rule, str) or callable(rule) else None
    if made is None or (isinstance(made, type) and not issubclass(made, GradientRule | LearningRule)):
        raise TypeError(f"rule={rule!r}: expected the name or class of a gradient rule, or a function that builds one")

    def build(model: Evaluator) -> GradientRule:
        found = made(model)
        found = found.gradient if isinstance(found, LearningRule) else found
        if not isinstance(found, GradientRule):
            raise BrokenError(f"building it gave {type(found).__name__}: expected a GradientRule")
        return found

    return build


def activity(subject: Subject) -> float:
    """Spikes per step of the least active layer, of cells that do not spike the deviation of their emission."""
    model = subject.evaluator.model
    x = model.arrange(subject.xp.asarray(subject.data[0]))
    emissions = model.forward(subject.xp.forward_only(), model.params, x, None, training=False).emissions
    found = [subject.xp.to_numpy(z) for z in emissions]
    rates = [float(z.mean() if c.spiking else z.std()) for c, z in zip(model.cells, found, strict=True)]
    if any(c.spiking and not LIVE[0] <= rate <= LIVE[1] for c, rate in zip(model.cells, rates, strict=True)):
        raise BrokenError(f"layers spike {rates!r} times a step: expected {LIVE[0]} to {LIVE[1]}; use another seed")
    return min(rates)


def form_of_gradients(subject: Subject) -> float:
    """A finite gradient of every parameter, of its shape, not all zero; the largest entry."""
    found = dict(subject.gradients)
    loss = found.pop(LOSS)
    if loss.shape != () or not np.isfinite(loss):
        raise BrokenError(f"the loss is {loss!r}: expected a finite scalar in Gradient.forward")
    held = {**subject.evaluator.params, **{name: subject.feedback[name] for name in subject.rule.learnt_feedback()}}
    missing, more = sorted(held.keys() - found.keys()), sorted(found.keys() - held.keys())
    if missing:
        raise BrokenError(f"no gradient of {missing!r}: expected one of every parameter, zeros where nothing is learnt")
    if more:
        raise BrokenError(f"gradients of {more!r}: expected those of parameters, and of learnt_feedback()")
    for name, g in found.items():
        if g.shape != tuple(held[name].shape):
            raise BrokenError(f"the gradient of {name} has shape {g.shape}: expected {tuple(held[name].shape)}")
        if not np.isfinite(g).all():
            raise BrokenError(f"the gradient of {name} is not finite")
    largest = max(float(np.abs(g).max()) for g in found.values())
    if largest == 0.0:
        raise BrokenError("all gradients are zero")
    return largest


def deterministic(subject: Subject) -> float:
    """The same call again after another one, and the same of a second rule of the kind."""
    subject.differentiate(subject.batch(*subject.other))
    again = subject.on_host(subject.differentiate(subject.batch(*subject.data)))
    arguments = subject.evaluator, subject.build(subject.evaluator), subject.build
    second = Subject(*arguments, subject.data, subject.other, subject.mask)
    return max(max_relative_error(g, subject.gradients) for g in (again, second.gradients))


def pure(subject: Subject) -> float:
    """Largest change of parameters, feedback and batch by a call."""
    given = dict(subject.evaluator.params), dict(subject.feedback), subject.batch(*subject.data)
    before = tree.leaves(given)
    values = [np.array(subject.xp.to_numpy(a)) for a in before]
    subject.call(*given, None)
    after = tree.leaves(given)
    if len(after) != len(before) or any(a is not b for a, b in zip(after, before, strict=True)):
        raise BrokenError("a dict of weights holds other arrays after the call: return gradients, and change nothing")
    pairs = zip(after, values, strict=True)
    return max(float(np.abs(np.asarray(subject.xp.to_numpy(a)) - v).max()) for a, v in pairs if v.size)


def padded(subject: Subject) -> float:
    """Deviation of the gradients where padded frames of inputs and targets have other values."""
    frames = subject.mask[..., None] > 0.0
    changed = (np.where(frames, a, b) for a, b in zip(subject.data, subject.other, strict=True))
    return max_relative_error(subject.on_host(subject.differentiate(subject.batch(*changed))), subject.gradients)


def zero_error(subject: Subject) -> float:
    """Largest gradient for targets that equal the outputs, relative to that of the batch; of the parameters alone."""
    if not subject.rule.has_objective:
        raise ExemptError("follows no loss: nothing is held of its change where targets equal outputs")
    outputs = subject.evaluator.predict(subject.data[0], every_step=True)
    found = subject.on_host(subject.differentiate(subject.batch(subject.data[0], outputs)))
    largest = {name: np.abs(g).max() for name, g in found.items()}
    names = subject.evaluator.params
    return max(float(largest[name] / max(np.abs(subject.gradients[name]).max(), 1e-300)) for name in names)


def in_pieces(subject: Subject, lengths: tuple[int, ...] = (1, 3, TIME)) -> float:
    """Pieces of each length, each from the carry of the one before, against `in_chunks` and the whole.

    Of the parameters alone: feedback may learn once an update, from something else than the sequence.
    """
    rule, xp = subject.rule, subject.xp
    if not rule.streams:
        raise ExemptError("carries no state from piece to piece")
    batch, deviation = subject.batch(*subject.data), 0.0
    size, time = int(batch.x.shape[1]), int(batch.x.shape[0])
    for length in lengths:
        carry, parts = rule.initial_carry(size), []
        for begin in range(0, time, length):
            piece = batch.with_timed(tree.map(lambda a, b=begin, n=length: a[b : b + n], batch.timed()))
            found = subject.differentiate(piece, carry)
            carry = found.carry
            parts.append(subject.on_host(found))
        names = (LOSS, *subject.evaluator.params)
        summed = {name: np.sum([part[name] for part in parts], axis=0) for name in names}
        in_chunks = functools.partial(rule.in_chunks, carry=None, length=length)
        in_chunks = xp.jit(in_chunks) if xp.name == "jax" else in_chunks
        expected = [subject.on_host(in_chunks(subject.evaluator.params, subject.feedback, batch))]
        expected += [] if rule.truncates and length < time else [subject.gradients]
        for whole in expected:
            deviation = max(deviation, max_relative_error(summed, {name: whole[name] for name in names}))
    return deviation


def compiled(subject: Subject) -> float:
    """The gradient of the compiled rule against that of its plain call."""
    arguments = subject.evaluator.params, subject.feedback, subject.batch(*subject.data), None
    return max_relative_error(subject.on_host(subject.compiled(*arguments)), subject.gradients)


def alignment(subject: Subject) -> tuple[float | None, str]:
    """Cosine with the gradient of BPTT over all hidden weights, None where one is zero; the ratio of norms in words."""
    reference = cases.gradients(cases.made(BPTT, subject.evaluator), (*subject.data, subject.mask))
    found = deviations({name: subject.gradients[name] for name in reference}, reference)
    hidden, readout = found[HIDDEN], found[READOUT]
    if not np.isfinite(hidden.cosine):
        return None, f"hidden weights have no gradient; readout: cosine {readout.cosine:.3g}"
    return hidden.cosine, f"cosine; norm ratio {hidden.norm_ratio:.3g}; readout: cosine {readout.cosine:.3g}"


class RuleCheck(NamedTuple):
    """A check, its upper limit, and the reason where it is exceeded."""

    name: str
    measure: Callable[..., float]
    limit: float
    wrong: str


CHECKS = (
    RuleCheck(
        "same call, same numbers",
        deterministic,
        0.0,
        "another call with the same arguments gave other numbers: keep no state in the rule (carry is for that), and "
        "draw noise from xp.random.fold(xp.random.key(seed), batch.number)",
    ),
    RuleCheck("nothing changed in place", pure, 0.0, "parameters or batch were changed: make new arrays"),
    RuleCheck(
        "padded frames",
        padded,
        1e-12,
        "values of padded frames change the gradient: multiply by batch.valid, or use errors of the objective, whose "
        "weight is 0 there",
    ),
    RuleCheck(
        "zero error, zero change",
        zero_error,
        EXACT,
        "weights move although targets equal outputs; for a rule that follows no loss set has_objective = False",
    ),
    RuleCheck(
        "pieces = whole",
        in_pieces,
        EXACT,
        "pieces of a sequence, each from the carry of the one before, do not add up to the whole: carry all that later "
        "steps depend on, or set truncates = True where pieces cut credit",
    ),
)
"""The checks that a limit is known for, in order."""
