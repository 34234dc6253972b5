"""Stochastic gradient Langevin dynamics as a learning rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from neko import tree
from neko.arguments import check_number
from neko.errors import NonFiniteError
from neko.evaluator import Evaluator
from neko.network import Params
from neko.rules.chain import Chain
from neko.rules.sampling import Sampling
from neko.samplers import sgld
from neko.typing import Array


class SGLD(Sampling):
    r"""Draw a network's weights by Langevin steps from mini-batches, without an accept test.

    .. math::
        θ' = θ + ε\, \hat g(θ) + \sqrt{2ε}\, ξ

    with the gradient of the log posterior estimated from a mini-batch and scaled to the full data. An epoch is a pass
    over the batches and leaves at most one draw a chain. Nothing corrects for the step size, for the noise of the
    mini-batches, or for a drift that is no gradient: the draws are biased, the less the smaller ε is.

    Parameters
    ----------
    model : Evaluator
        Model and loss.
    step_size : float
        ε.
    **options
        See `Sampling`: ``drift``, ``prior``, ``x_pred``, ``chains``, ``warmup``, ``thinning``, ``seed``. The
        posterior's log density is the mean over the last epoch's batches.

    References
    ----------
    Welling & Teh (2011), ICML.
    """

    def __init__(self, model: Evaluator, *, step_size: float = 1e-6, **options: Any) -> None:
        super().__init__(model, **options)
        check_number("step_size", step_size, positive=True)
        self.step_size = float(step_size)
        self._transition = self.compiled(self.transition)

    def step_sizes(self) -> list[float]:
        return [self.step_size] * len(self.chains)

    def advance(self, batches: Iterable[tuple[Any, Any, Any]], done: Callable[[], None]) -> dict[str, float]:
        xp = self.xp
        found: list[list[Array]] = [[] for _ in self.chains]
        with xp.scope():
            for batch in batches:
                arrays = self.model.arrays(*batch)
                for chain, values in zip(self.chains, found, strict=True):
                    values.append(self.move(chain, arrays))
                done()
        for number, (chain, values) in enumerate(zip(self.chains, found, strict=True)):
            chain.logdensity.append(float(np.mean([float(value) for value in values])))
            if not np.isfinite(chain.logdensity[-1]):
                raise NonFiniteError(
                    self.epochs, f"log density of chain {number}", f"try a step_size below {self.step_size:g}"
                )
            chain.acceptance.append(float("nan"))
        return {"logdensity": float(np.mean([chain.logdensity[-1] for chain in self.chains]))}

    def move(self, chain: Chain, arrays: Any) -> Array:
        """A step of a chain; the batch's estimate of the log density before it."""
        chain.key, chain.position, value = self._transition(
            chain.key, chain.position, self.drift.feedback, self.model.model.buffers, arrays
        )
        return value

    def transition(
        self, key: Array, position: Params, feedback: Params, buffers: Any, arrays: Any
    ) -> tuple[Array, Params, Array]:
        """A step from a batch, whose mean loss stands for that of the whole data set."""
        xp = self.xp
        loss, gradients, share = self.batch_loss(position, feedback, buffers, arrays)
        value, drift = self.logprior(position)
        scale = self.examples / share
        drift = tree.map(lambda g, e: g - scale * e, drift, gradients)
        key, now = xp.unstack(xp.random.split(key))
        state, _ = sgld.step(xp, now, sgld.init(xp, position), drift, self.step_size)
        return key, state.position, value - scale * loss
