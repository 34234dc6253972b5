"""Stochastic gradient Langevin dynamics as a learning rule."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from neko.arguments import check_number
from neko.bayes.inference import METHODS
from neko.bayes.sampling import Sampling
from neko.data.intake import Examples
from neko.errors import NonFiniteError
from neko.evaluator import Evaluator
from neko.models.network import Params
from neko.samplers import sgld
from neko.training.learner import Measures
from neko.typing import Array


@METHODS.register("sgld")
class SGLD(Sampling):
    r"""Draw a network's weights by Langevin steps from mini-batches, without an accept test.

    .. math::
        θ' = θ + ε\, \hat g(θ) + \sqrt{2ε}\, ξ

    with the gradient of the log posterior estimated from a mini-batch B of a data set of N sequences,

    .. math::
        \hat g(θ) = ∇ \log p(θ) - \frac{N}{|B|} \frac{N}{S} \sum_{i ∈ B} ∇ L_i(θ), \qquad S = \sum_{i=1}^N s_i

    where a sequence has the loss L_i with the weight s_i: the number of its valid frames where the loss is the mean
    over frames, 1 where it is the sum. The mean of ĝ over all mini-batches of a size is the gradient of the log
    posterior, for sequences of any lengths. An epoch is a pass over the batches and gives at most one draw per chain.
    There is no correction for the step size, for the noise of the mini-batches, or for a drift that is not a gradient:
    the draws are biased, less so for smaller ε. For a loader that drops examples S/N is estimated in its first epoch.

    Parameters
    ----------
    model : Evaluator
        Model and loss.
    step_size : float
        ε.
    **options
        See `Sampling`: ``drift``, ``chains``, ``warmup``, … The
        posterior's log density is the mean over the last epoch's batches.

    References
    ----------
    Welling & Teh (2011), ICML.
    """

    def __init__(self, model: Evaluator, *, step_size: float = 1e-6, **options: Any) -> None:
        super().__init__(model, **options)
        self.step_size = float(check_number("step_size", step_size, positive=True))
        self._transition = self.compiled(self.transition)

    renewing = True

    def step_sizes(self) -> list[float]:
        return [self.step_size] * len(self.chains)

    def items(self, batches: Iterable[Examples]) -> Iterable[Examples]:
        batches = self.look(batches)
        self._estimates: list[list[Array]] = [[] for _ in self.chains]
        return batches

    def learn(self, item: Examples) -> Measures:
        """A step of every chain from a batch."""
        arguments = (self.feedback, self.model.model.buffers, tuple(item[:3]))
        with self.xp.scope():
            for chain, values in zip(self.chains, self._estimates, strict=True):
                chain.key, chain.position, value = self._transition(chain.key, chain.position, *arguments)
                values.append(value)
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

    def transition(self, key: Array, position: Params, *arguments: Any) -> tuple[Array, Params, Array]:
        """A step from a batch, and the batch's estimate of the log density before it."""
        xp = self.xp
        key, now = xp.unstack(xp.random.split(key))

        def target(position: Params) -> tuple[Array, Params]:
            return self.estimate(position, *arguments)

        state, info = sgld.step(xp, now, sgld.init(xp, position, target), target, self.step_size)
        return key, state.position, info.logdensity

    def estimate(self, position: Params, feedback: Params, buffers: Any, arrays: Any) -> tuple[Array, Params]:
        """Unbiased estimates of the log posterior and of its gradient from a batch, scaled to the data set."""
        loss, gradients, _ = self.batch_loss(position, feedback, buffers, arrays)
        scale = self.examples / (arrays[1].shape[0] * self.share)
        return self.density(position, -scale * loss, {name: -scale * g for name, g in gradients.items()})
