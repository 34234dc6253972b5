"""Samplers with an accept test: every transition evaluates the whole data set."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from neko import tree
from neko.arguments import check_number, is_real
from neko.bayes.chain import Chain
from neko.bayes.sampling import Sampling
from neko.data.intake import Examples
from neko.evaluator import Evaluator
from neko.identity.fingerprint import DataSet
from neko.models.network import Params
from neko.samplers import adaptation, proposals
from neko.training.learner import Measures
from neko.typing import Array


class FullData(Sampling):
    """A sampler with an accept test, which needs the whole data set: an epoch is one transition of every chain.

    The batches of the first epoch are stored, and the log posterior is summed over them: choose `batch_size` as large
    as memory allows. A loader must have every example exactly once, in any order. During warm-up the step size of every
    chain is adapted to the target acceptance; then it is fixed.
    """

    sampler: Any
    """Module of `neko.samplers` with a State, `init` and `step`."""

    def __init__(self, model: Evaluator, *, step_size: float, target_acceptance: float, **options: Any) -> None:
        super().__init__(model, **options)
        if not (is_real(target_acceptance) and 0.0 < target_acceptance < 1.0):
            raise ValueError(f"target_acceptance={target_acceptance!r}: expected a number between 0 and 1")
        self.target_acceptance = float(target_acceptance)
        self.step_size = float(check_number("step_size", step_size, positive=True))
        self.data: Any = None
        self._init = self.compiled(self.initial_state)
        self._transition = self.compiled(self.transition)

    def settings(self) -> dict[str, Any]:
        """Further arguments of the sampler's step; dicts are by parameter."""
        return {}

    def step_sizes(self) -> list[float]:
        return [self.settled(chain.tuning) for chain in self.chains]

    def tuning(self) -> Any:
        """The state of the adaptation before the first transition of a chain."""
        return adaptation.init(self.step_size)

    def settled(self, tuning: Any) -> Any:
        """The step size of the coming transition, from the state of the adaptation."""
        return adaptation.current(tuning) if self.warming else adaptation.final(tuning)

    def tuned(self, tuning: Any, info: Any) -> Any:
        """The state of the adaptation after a transition of the warm-up."""
        return adaptation.update(tuning, float(info.acceptance_probability), self.target_acceptance)

    def begin(self, arrays: list[Any], found: DataSet) -> None:
        if found.examples != self.examples:
            raise ValueError(
                f"an epoch has {found.examples} of the {self.examples} examples of the data set: expected all of them, "
                "once each, since the accept test needs the whole posterior; give a loader with drop_last=False "
                "(drop_remainder=False), or arrays, or use SGLD"
            )
        for name, given in self.settings().items():
            if isinstance(given, Mapping):
                proposals.check_names(name, given, self.model.params)
        self.data = self.stacked(arrays)
        super().begin(arrays, found)

    def items(self, batches: Iterable[Examples]) -> Iterable[Chain]:
        self.look(batches)
        return self.chains

    def learn(self, item: Chain) -> Measures:
        """A transition of a chain."""
        xp, chain = self.xp, item
        arguments = (self.feedback, self.model.model.buffers, self.data)
        with xp.scope():
            if chain.state is None:
                started = self._init(chain.position, *arguments)
                if not math.isfinite(started.logdensity):
                    raise ValueError(
                        f"log density {float(started.logdensity)!r} where a chain starts: expected a finite "
                        "number; look for inputs or parameters that are not finite"
                    )
                chain.state, chain.tuning = started, self.tuning()
            step_size = tree.map(xp.asarray, self.settled(chain.tuning))
            chain.key, chain.state, info = self._transition(chain.key, chain.state, step_size, *arguments)
            chain.position = chain.state.position
            chain.logdensity.append(float(chain.state.logdensity))
            chain.acceptance.append(float(info.acceptance_probability))
            if self.warming:
                chain.tuning = self.tuned(chain.tuning, info)
        return {}

    def summary(self) -> dict[str, float]:
        return {
            "logdensity": float(np.mean([chain.logdensity[-1] for chain in self.chains])),
            "acceptance": float(np.mean([chain.acceptance[-1] for chain in self.chains])),
            "step_size": float(np.mean(self.step_sizes())),
        }

    def blank(self, chain: Chain) -> Any:
        return self.sampler.init(self.xp, chain.position, lambda position: (self.xp.zeros(()), position))

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

    def logdensity_and_drift(self, position: Params, feedback: Params, buffers: Any, data: Any) -> tuple[Array, Params]:
        """log π of the full data, exact up to a constant, and the drift rule's gradient."""
        xp = self.xp
        stacked, odd = data

        def add(carry: Any, batch: Any) -> tuple[Any, None]:
            return tree.map(lambda a, b: a + b, carry, self.batch_loss(position, feedback, buffers, batch)), None

        sums = (xp.zeros(()), tree.map(xp.zeros_like, position), xp.zeros(()))
        sums, _ = xp.scan(add, sums, stacked)
        if odd is not None:
            sums, _ = add(sums, odd)
        loss, gradients, share = sums
        scale = self.examples / share
        return self.density(position, -scale * loss, {name: -scale * g for name, g in gradients.items()})

    def initial_state(self, position: Params, *arguments: Any) -> Any:
        """The sampler's state at a position."""
        return self.sampler.init(self.xp, position, lambda p: self.logdensity_and_drift(p, *arguments))

    def transition(self, key: Array, state: Any, step_size: Array, *arguments: Any) -> Any:
        """One step of the sampler: a key, a state and an info."""
        key, now = self.xp.unstack(self.xp.random.split(key))

        def target(position: Params) -> tuple[Array, Params]:
            return self.logdensity_and_drift(position, *arguments)

        return key, *self.sampler.step(self.xp, now, state, target, step_size, **self.settings())
