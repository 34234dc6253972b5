"""Samplers with an accept test: every transition evaluates the whole data set."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from neko import tree
from neko.bayes.chain import Chain
from neko.bayes.sampling import Sampling
from neko.data.intake import Examples
from neko.evaluator import Evaluator
from neko.identity.fingerprint import DataSet
from neko.models.network import Params
from neko.training.learner import Measures
from neko.typing import Array


class FullData(Sampling):
    """A sampler with an accept test, which needs the whole data set: an epoch is one transition of every chain.

    The batches of the first epoch are stored, and the log posterior is summed over them: choose `batch_size` as large
    as memory allows. A loader must have every example exactly once, in any order.
    """

    renewing = False

    def __init__(self, model: Evaluator, **options: Any) -> None:
        super().__init__(model, **options)
        self.data: Any = None

    def alone(self) -> Any:
        other = super().alone()
        other.data = None
        return other

    @abstractmethod
    def settled(self, tuning: Any) -> Any:
        """The step size of the coming transition, from the state of the adaptation."""

    @abstractmethod
    def tuned(self, tuning: Any, state: Any, info: Any) -> Any:
        """The state of the adaptation after a transition of the warm-up, with the state and info that it gave."""

    def begin(self, arrays: list[Any], found: DataSet) -> None:
        if found.examples != self.examples:
            raise ValueError(
                f"an epoch has {found.examples} of the {self.examples} examples of the data set: expected all of them, "
                "once each, since the accept test needs the whole posterior; give a loader with drop_last=False "
                "(drop_remainder=False), or arrays, or use SGLD"
            )
        self.data = self.stacked(arrays)
        super().begin(arrays, found)

    def items(self, batches: Iterable[Examples]) -> Iterable[list[Chain]]:
        self.look(batches)
        return [self.chains]

    def learn(self, item: list[Chain]) -> Measures:
        """A transition of each of these chains."""
        xp = self.xp
        arguments = (self.feedback, self.model.model.buffers, self.data)
        with xp.scope():
            for chain in item:
                if chain.state is None:
                    self.start(chain, arguments)
            jobs = [(c.key, c.state, tree.map(self.number, self.settled(c.tuning))) for c in item]
            for chain, (key, state, info) in zip(item, self.advance(jobs, arguments), strict=True):
                chain.key, chain.state, chain.position, chain.info = key, state, state.position, info
                chain.logdensity.append(float(state.logdensity))
                chain.acceptance.append(float(info.acceptance_probability))
                if self.warming:
                    chain.tuning = self.tuned(chain.tuning, state, info)
        return {}

    def start(self, chain: Chain, arguments: Any) -> None:
        """The state of a chain at its starting point; ValueError where the density is not finite."""
        started = self._init(chain.position, *arguments)
        if not math.isfinite(started.logdensity):
            raise ValueError(
                f"log density {float(started.logdensity)!r} where a chain starts: expected a finite "
                "number; look for inputs or parameters that are not finite"
            )
        chain.state, chain.tuning = started, self.tuning()

    def number(self, x: Any) -> Array:
        """An array as it is, a number as one."""
        return self.xp.scalar(x) if isinstance(x, float) else x

    def summary(self) -> dict[str, float]:
        return {
            "logdensity": float(np.mean([chain.logdensity[-1] for chain in self.chains])),
            "acceptance": float(np.mean([chain.acceptance[-1] for chain in self.chains])),
        }

    def stacked(self, arrays: list[Any]) -> tuple[Any, Any]:
        """The batches of equal size, stacked, and the last one if it is shorter."""
        full = list(arrays)
        odd = full.pop() if len(full) > 1 and self.sizes(full[-1]) != self.sizes(full[0]) else None
        if any(self.sizes(batch) != self.sizes(full[0]) for batch in full):
            raise ValueError(f"batches of shapes {[self.sizes(batch)[0] for batch in full]!r}: expected equal ones")
        return tree.map(lambda *arrays: self.xp.stack(list(arrays)), *full), odd

    def sizes(self, batch: Any) -> list[tuple[int, ...]]:
        """Shapes of the arrays of a batch."""
        return [tuple(a.shape) for a in tree.leaves(batch)]

    def summed(self, of: Callable[[Any], Any], zero: Any, data: Any) -> Any:
        """The sum of the trees that `of` returns for the batches (x, y, mask), from `zero`."""
        stacked, odd = data
        if odd is None and tree.leaves(stacked)[0].shape[0] == 1:
            return of(tree.map(lambda a: a[0], stacked))

        def add(carry: Any, batch: Any) -> tuple[Any, None]:
            return tree.map(lambda a, b: a + b, carry, of(batch)), None

        sums, _ = self.xp.scan(add, zero, stacked)
        return sums if odd is None else add(sums, odd)[0]

    def likelihood(self, position: Params, feedback: Params, buffers: Any, data: Any) -> tuple[Array, Params]:
        """log L of the full data, exact, and the drift rule's gradient of it."""
        zero = (self.xp.zeros(()), tree.map(self.xp.zeros_like, position), self.xp.zeros(()))
        sums = self.summed(lambda batch: self.batch_loss(position, feedback, buffers, batch), zero, data)
        loss, gradients, share = sums
        scale = self.examples / share
        return -scale * loss, {name: -scale * g for name, g in gradients.items()}

    def loglikelihood(self, position: Params, buffers: Any, data: Any) -> Array:
        """log L of the full data from forward passes alone."""
        xp, model, objective = self.xp, self.model.model, self.model.objective

        def of(arrays: Any) -> tuple[Array, Array]:
            batch = self.model.batch(*arrays)
            found = model.masked(xp.forward_only(), position, batch.x, buffers, training=False, valid=batch.valid)
            share = objective.share(xp, batch)
            return share * objective.value(xp, found.outputs, batch), share

        loss, share = self.summed(of, (xp.zeros(()), xp.zeros(())), data)
        return -(self.examples / share) * loss

    def logdensity_and_drift(self, position: Params, feedback: Params, buffers: Any, data: Any) -> tuple[Array, Params]:
        """log π of the full data, exact up to a constant, and the drift rule's gradient."""
        return self.target.with_gradient(position, *self.likelihood(position, feedback, buffers, data))
