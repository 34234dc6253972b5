"""Reward-modulated spike-timing-dependent plasticity."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from neko.arguments import check_choice, check_number, is_real, plain
from neko.backend import parts
from neko.losses import Loss
from neko.models.network import Params
from neko.objective import Batch
from neko.rules.base import RULES, Gradient
from neko.rules.local.spike_timing import SpikeTiming
from neko.typing import Array

REWARDS = ("loss", "correct")
BASELINES = ("batch", "running")


@RULES.register("reward_stdp", oracle="rewarded pairs")
class RewardSTDP(SpikeTiming):
    r"""Spike-timing-dependent plasticity gated by a reward: R-STDP.

    Pairs of spikes change no weight by themselves; their change s by `STDP` is kept as an eligibility, and a global
    signal, the reward beyond what was expected, turns it into a change of weights:

    .. math::
        c_t = e^{-dt/τ_e} c_{t-1} + s_t, \qquad ΔW = \sum_t (r_t - \bar r)\, c_t

    averaged over the batch. A reward above expectation makes what the pairs did stronger, one below it undoes it.

    *When* a reward comes is decided by the objective: at every valid frame for targets at every step, and once, at the
    last valid frame, for a sequence-level target with ``target='last'`` or ``'mean'``. Its size does not depend on the
    number of frames, nor on the objective's reduction. The readout learns by its exact gradient, as in `STDP`.

    Parameters
    ----------
    model : Evaluator
        Model, loss and metrics; all its cells spike.
    reward : {'loss', 'correct'} or callable
        r of each example: minus its loss; +1 where the largest output is the target's class and -1 elsewhere; or a
        function ``(xp, outputs (…, C), target) -> (…)`` of the same form as a loss, larger for better outputs.
    baseline : {'batch', 'running'} or float
        The expected reward: the mean over the examples of the batch that are rewarded at the step (of a reward that
        comes once, over the batch); a running mean, learnt as ``baseline`` among the feedback weights with the rate of
        the update; or a number, 0 for the plain reward.
    tau_eligibility : float
        τ_e in ms: how long a pair waits for its reward.
    a_plus, a_minus, tau_plus, tau_minus, w_max
        As in `STDP`.

    Raises
    ------
    ValueError
        As `STDP`; for ``reward='correct'`` under a loss without classes; for ``baseline='batch'`` with one sequence,
        whose reward would be its own expectation, and in chunks where the rewards come once.

    Notes
    -----
    **Locality.** Local but for one number per example and step, the reward beyond expectation, which reaches all
    synapses alike.

    **Cost.** O(n n_pre) time per step. O(n + n_pre) memory per sequence where all of it is seen at once; in pieces an
    eligibility per synapse, O(n n_pre).

    **Limits.** Neurons are not told apart: credit comes from the correlation of reward and spikes over many examples,
    so that learning is slow and needs variability, as of noisy inputs. Without a baseline, the mean of the reward alone
    drives unsupervised STDP, which usually outweighs the correlation. With ``baseline='batch'`` nothing is learnt at a
    step at which one sequence alone is rewarded. The limits of `STDP` hold.

    References
    ----------
    Izhikevich (2007), doi:10.1093/cercor/bhl152; Florian (2007), doi:10.1162/neco.2007.19.6.1468; Frémaux & Gerstner
    (2016), doi:10.3389/fncir.2015.00085 (the reward's expectation).

    Examples
    --------
    >>> import numpy as np
    >>> import neko
    >>> model = neko.Evaluator(neko.LIF(8, 2, "torch"), loss="categorical_crossentropy", target="last")
    >>> x, y = np.ones((3, 20, 4)), np.eye(2)[[0, 1, 1]]
    >>> sorted(neko.RewardSTDP(model, reward="correct", optimizer="sgd").step(x, y))
    ['loss']
    """

    def __init__(
        self,
        model: Any,
        *,
        reward: str | Callable[[Any, Array, Array], Array] = "loss",
        baseline: str | float = "batch",
        tau_eligibility: float = 100.0,
        **options: Any,
    ) -> None:
        super().__init__(model, **options)
        if not callable(reward):
            check_choice("reward", reward, REWARDS)
        if not is_real(baseline):
            check_choice("baseline", baseline, BASELINES)
        self.reward, self.baseline = reward, plain(baseline)
        self.tau_eligibility = check_number("tau_eligibility", tau_eligibility, positive=True)
        self.eligibility_decay = math.exp(-self.model.network.readout.dt / self.tau_eligibility)
        loss = model.objective.loss
        if reward == "correct" and not (loss.sparse or loss.distribution):
            raise ValueError(f"reward='correct': the loss {loss.name!r} has no classes; use 'loss' or a function")

    def initial_feedback(self) -> Params:
        return {"baseline": self.xp.zeros(())} if self.baseline == "running" else {}

    def learnt_feedback(self) -> tuple[str, ...]:
        return ("baseline",) if self.baseline == "running" else ()

    def in_chunks(self, params: Params, feedback: Params, batch: Batch, carry: Any, length: int) -> Gradient:
        if self.baseline == "batch" and length < batch.x.shape[0] and self.once(batch):
            raise ValueError("baseline='batch' with rewards that come once needs whole sequences: leave out chunk")
        return super().in_chunks(params, feedback, batch, carry, length)

    def once(self, batch: Batch) -> bool:
        """Whether a sequence is rewarded at its end only."""
        return batch.pooling is not None and self.model.objective.target != "every"

    def modulator(self, feedback: Params, outputs: Array, batch: Batch) -> tuple[Array, Params]:
        """The reward beyond expectation at the frames at which it comes, and the error of the running mean."""
        xp, valid, once = self.xp, batch.valid, self.once(batch)
        comes = valid
        if once:
            end = xp.cumulative_sum(valid, axis=0) == xp.sum(valid, axis=0, keepdims=True)
            comes = valid * xp.astype(end, xp.dtype)
        r = xp.zeros_like(valid) + self.rewards(outputs, batch)
        if self.baseline == "running":
            away = r - feedback["baseline"]
            return comes * away, {"baseline": -xp.sum(batch.weight * away)}
        if self.baseline == "batch":
            if parts.total(valid.shape[1]) == 1:
                raise ValueError(
                    "baseline='batch' of one sequence is its own reward, so that nothing is learnt: expected two "
                    "sequences or more, baseline='running' or a number"
                )
            axis = None if once else 1
            total, count = (parts.mean(xp.sum(a, axis=axis, keepdims=True)) for a in (comes * r, comes))
            return comes * (r - total / xp.maximum(count, parts.TINY)), {}
        return comes * (r - self.baseline), {}

    def rewards(self, outputs: Array, batch: Batch) -> Array:
        """r of every example and frame, of shape (time, batch) or one that broadcasts to it."""
        xp, objective = self.xp, self.model.objective
        if not objective.additive(batch):
            outputs = xp.expand_dims(objective.pooled(xp, outputs, batch), axis=0)
        if callable(self.reward):
            return self.reward(xp, outputs, batch.target)
        if self.reward == "correct":
            return correct(xp, objective.loss, outputs, batch.target)
        return -objective.loss(xp, outputs, batch.target)

    def signal_rms(self, params: Params, feedback: Params, batch: Batch) -> Params:
        """Of the reward beyond expectation, divided by the batch, which all neurons share."""
        xp, (m, layers) = self.xp, self.modulated(params, feedback, batch)
        mean = xp.sum(batch.valid * xp.square(m)) / xp.maximum(xp.sum(batch.valid), xp.asarray(1.0))
        return {f"layers.{i}": xp.sqrt(mean) / batch.x.shape[1] for i, _ in enumerate(layers)}


def correct(xp: Any, loss: Loss, outputs: Array, target: Array) -> Array:
    """+1 where the largest output is the target's class, -1 elsewhere."""
    target = xp.one_hot(target, outputs.shape[-1]) if loss.sparse else target
    same = xp.argmax(outputs, axis=-1) == xp.argmax(target, axis=-1)
    return 2.0 * xp.astype(same, xp.dtype) - 1.0
