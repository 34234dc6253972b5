"""Samplers without an accept test: every transition takes a mini-batch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from neko.arguments import check_number
from neko.bayes.chain import Chain
from neko.bayes.sampling import Sampling
from neko.data.intake import Examples
from neko.errors import NonFiniteError
from neko.evaluator import Evaluator
from neko.models.network import Params
from neko.training.learner import Measures
from neko.typing import Array


class MiniBatch(Sampling):
    r"""A sampler without an accept test, which needs a mini-batch: an epoch is a transition of every chain per batch.

    The gradient of the log posterior is estimated from a mini-batch B of a data set of N sequences,

    .. math::
        \hat g(θ) = \frac1T \Big[∇ \log p(θ) - λ \frac{N}{|B|} \frac{N}{S} \sum_{i ∈ B} s_i ∇ L_i(θ)\Big], \qquad
        S = \sum_{i=1}^N s_i

    where a sequence has the loss L_i with the weight s_i: the number of its valid frames where the loss is the mean
    over frames, 1 where it is the sum. The mean of ĝ over all mini-batches of a size is the gradient of the log
    posterior, for sequences of any lengths. An epoch is a pass over the batches and gives at most one draw per chain.
    There is no correction for the step size, for the noise of the mini-batches, or for a drift that is not a gradient:
    the draws are biased, less so for smaller ε. For a loader that drops examples S/N is estimated in its first epoch.
    The posterior's log density is the mean over an epoch's batches, its acceptance NaN.
    """

    sampler: Any
    """Module of `neko.samplers` with a State, an Info with the log density, `init` and `step`."""

    def __init__(self, model: Evaluator, *, step_size: float, **options: Any) -> None:
        super().__init__(model, **options)
        self.step_size = float(check_number("step_size", step_size, positive=True))
        self._estimates: list[list[Array]] = []

    def settings(self) -> dict[str, Any]:
        """Further arguments of the sampler's step."""
        return {}

    def pace(self, batch: int) -> tuple[float, float]:
        """Step size and factor of the noise for a batch of the present epoch, counted from 0."""
        return self.step_size, 1.0

    def step_sizes(self) -> list[float]:
        return [self.step_size] * len(self.chains)

    def items(self, batches: Iterable[Examples]) -> Iterable[Examples]:
        batches = self.look(batches)
        self._estimates = [[] for _ in self.chains]
        return batches

    def learn(self, item: Examples) -> Measures:
        """A step of every chain from a batch."""
        arguments = (self.feedback, self.model.model.buffers, tuple(item[:3]))
        pace = tuple(map(self.xp.scalar, self.pace(len(self._estimates[0]))))
        with self.xp.scope():
            for chain in self.chains:
                if chain.state is None:
                    chain.state = self._init(chain.position, *arguments)
            moved = self.advance([(chain.key, chain.state, pace) for chain in self.chains], arguments)
            for chain, values, (key, state, info) in zip(self.chains, self._estimates, moved, strict=True):
                chain.key, chain.state, chain.position = key, state, state.position
                values.append(info.logdensity)
        return {}

    def summary(self) -> dict[str, float]:
        for number, (chain, values) in enumerate(zip(self.chains, self._estimates, strict=True)):
            chain.logdensity.append(float(np.mean([float(value) for value in values])))
            if not np.isfinite(chain.logdensity[-1]):
                raise NonFiniteError(
                    self.epochs, f"log density of chain {number}", f"try a step_size below {self.step_size:g}"
                )
            chain.acceptance.append(float("nan"))
        return {"logdensity": float(np.mean([chain.logdensity[-1] for chain in self.chains]))}

    def blank(self, chain: Chain) -> Any:
        return self.sampler.init(self.xp, chain.position, lambda position: (self.xp.zeros(()), position))

    def initial_state(self, position: Params, *arguments: Any) -> Any:
        return self.sampler.init(self.xp, position, lambda p: self.estimate(p, *arguments))

    def transition(self, key: Array, state: Any, step_size: tuple[Array, Array], *arguments: Any) -> Any:
        """One step of the sampler, with a step size and the factor of the noise: a key, a state and an info."""
        size, noise = step_size
        key, now = self.xp.unstack(self.xp.random.split(key))

        def target(position: Params) -> tuple[Array, Params]:
            return self.estimate(position, *arguments)

        return key, *self.sampler.step(self.xp, now, state, target, size, noise=noise, **self.settings())

    def estimate(self, position: Params, feedback: Params, buffers: Any, arrays: Any) -> tuple[Array, Params]:
        """Unbiased estimates of the log posterior and of its gradient from a batch, scaled to the data set."""
        loss, gradients, _ = self.batch_loss(position, feedback, buffers, arrays)
        scale = self.examples / (arrays[1].shape[0] * self.share)
        return self.target.with_gradient(position, -scale * loss, {name: -scale * g for name, g in gradients.items()})
