"""One step of an actor and critic, and its update, as pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from neko.backend.protocol import Backend
from neko.backend.update import Update, choose
from neko.models.network import Params
from neko.rules.local.reward_eprop import Memory, RewardEprop
from neko.typing import Array
from neko.updates import clip_by_global_norm


class Answer(NamedTuple):
    """The environments' answer: an observation as inputs (time, size, n_in), the reward of the last action, whether the
    observation is terminal, and whether it is the first of an episode, (size,) each, 0 or 1."""

    x: Array
    reward: Array
    terminated: Array
    begins: Array


class Carry(NamedTuple):
    """What one step leaves for the next: the rule's memory, the value of the last state (size,), and the sum of the
    gradients since the last update."""

    memory: Memory
    value: Array
    gradients: Params


@dataclass(frozen=True, eq=False)
class ActorCriticStep:
    """The functions of an agent that a backend compiles; its options are those of `neko.ActorCritic`."""

    xp: Backend
    rule: RewardEprop
    update: Update
    reward_scale: float
    value_weight: float
    clip_norm: float | None

    def act(
        self, params: Params, feedback: Params, carry: Carry, answer: Answer, key: Array, number: Array
    ) -> tuple[Carry, Array]:
        """The next carry, and the chosen actions (size, actions), one-hot, of step `number`."""
        xp, rule, value_before = self.xp, self.rule, carry.value
        seen = rule.advance(params, carry.memory, answer.x, answer.begins)
        logits, value = seen.outputs[:, :-1], seen.outputs[:, -1]
        target = self.reward_scale * answer.reward + rule.discount * (1.0 - answer.terminated) * value
        delta = (1.0 - answer.begins) * (target - value_before)
        found = rule.gradient(params, carry.memory, delta)
        chosen = sampled(xp, logits, xp.random.uniform(xp.random.fold(key, number), value.shape))
        actor = xp.exp(xp.log_softmax(logits)) - chosen
        critic = xp.zeros_like(logits[:, :1]) - self.value_weight
        memory = rule.credit(params, feedback, seen, xp.concat([actor, critic], axis=-1))
        return Carry(memory, value, {name: g + found[name] for name, g in carry.gradients.items()}), chosen

    def learn(self, params: Params, state: Any, total: Params, count: Array, rate: Array) -> tuple[Any, ...]:
        """Parameters, state and zero gradients after an update by the gradients ``total / count``, and whether each of
        these, then each new parameter, is finite: if one is not, no parameter changes."""
        xp, kept, names = self.xp, self.update.kept(state), sorted(total)
        gradients = {name: total[name] / count for name in names}
        if self.clip_norm is not None:
            gradients = clip_by_global_norm(xp, gradients, self.clip_norm)
        new, later = self.update.step(params, gradients, state, rate)
        finite = xp.stack([xp.finite(arrays[name]) for arrays in (gradients, new) for name in names])
        good = xp.all(finite)
        nothing = {name: xp.zeros_like(total[name]) for name in total}
        return choose(xp, good, new, params), self.update.chosen(xp, good, later, kept), nothing, finite


def sampled(xp: Backend, logits: Array, uniform: Array) -> Array:
    """One-hot draws (batch, n) from logits, by uniform numbers (batch,) in [0, 1)."""
    below = xp.cumulative_sum(xp.exp(xp.log_softmax(logits)), axis=-1)[:, :-1]
    reached = xp.astype(xp.expand_dims(uniform, axis=-1) < below, xp.dtype)
    none = xp.zeros_like(logits[:, :1])
    return xp.concat([reached, none + 1.0], axis=-1) - xp.concat([none, reached], axis=-1)
