"""Deep ensembles: independent networks, or independent approximations of any kind."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from neko.arguments import check_integer
from neko.bayes.approximate.base import Approximation
from neko.bayes.inference import METHODS, Inference
from neko.bayes.posterior import Posterior
from neko.data.intake import Examples
from neko.data.sources import Source
from neko.evaluator import Evaluator
from neko.identity import representation
from neko.models.model import Model
from neko.models.network import Params
from neko.training.learner import Measures


@METHODS.register("ensemble")
class Ensemble(Inference):
    r"""Train several networks from independent initial weights; their predictions are averaged.

    .. math::
        \bar p(x) = \frac{1}{M} \sum_{m=1}^M p(x \mid \hat θ_m)

    Member m of a network of cells starts from the weights that its model has with the seed ``seed + m``, and where
    arrays are shuffled it sees their batches in the order of the trainer's seed plus m: it becomes, bit for bit, what
    an independent run with these seeds becomes. Weights that were changed since
    they were drawn are those of the first member only; give `starts` for others. A user's module cannot be drawn
    anew: its further members start from its weights shuffled within each tensor, or from given `starts`. With another
    method in place of the point estimate the members are approximations of their own, and the posterior is the mixture
    of them, one chain a member. From a loader all members see the same batches. The differences of members come from
    their initial weights and orders (and the noise of the method) alone, and do not estimate the posterior's width.

    Parameters
    ----------
    model : Evaluator
        Model and loss. The first member starts from its present parameters.
    of : str
        Name of an approximation in `METHODS`: 'point', 'mean_field', 'dropout', …
    members : int
        M.
    starts : sequence of dict, optional
        Parameters from which the members start, in place of `members`.
    **options
        Those of the method: ``drift``, ``optimizer``, ``learning_rate``, ``prior``, …

    Raises
    ------
    TypeError, ValueError
        For a method that is no approximation (a sampler has ``chains``), and as the method.

    References
    ----------
    Lakshminarayanan et al. (2017), "Simple and scalable predictive uncertainty estimation using deep ensembles", NIPS.
    """

    def __init__(
        self,
        model: Evaluator,
        *,
        of: str = "point",
        members: int = 5,
        starts: str | Sequence[Params] = "model",
        **options: Any,
    ) -> None:
        kind: Any = METHODS.get(of)
        if not issubclass(kind, Approximation):
            raise TypeError(f"of={of!r}: expected an approximation such as 'point' (a sampler has chains of its own)")
        if "chains" in options:
            raise TypeError(f"chains={options['chains']!r}: expected members")
        self.of = of
        members = check_integer("members", members)
        self.method: Approximation = kind(model, chains=members, starts=starts, **options)
        self.members = self.method.n_chains
        self.starts = starts
        own = self.method
        super().__init__(
            model, prior=own.prior, power=own.power, temperature=own.temperature, x_pred=own.x_pred, seed=own.seed
        )

    def __repr__(self) -> str:
        own = representation.options(self.method, drift=self.method.drift.name, starts=self.starts)
        options = dict.fromkeys([*representation.options(self), *own])
        return f"{type(self).__name__}({', '.join([repr(self.model), *options])})"

    def attach(self, source: Source) -> None:
        self.method.attach(source)
        self._source = source

    def items(self, batches: Iterable[Examples]) -> Iterator[list[Examples]]:
        """A batch for each member."""
        others: list[Iterator[Examples] | None] = []
        for number, batch in enumerate(self.method.items(self.begun(batches))):
            if number == 0:
                others = [self._source.reordered(member) for member in range(1, self.members)]
            yield [batch, *(batch if other is None else next(other) for other in others)]

    def learn(self, item: list[Examples]) -> Measures:
        return self.method.step(item)

    def check(self) -> None:
        self.method.check()

    def finish(self, totals: Measures) -> dict[str, float]:
        return self.method.finish(totals)

    def begun(self, batches: Iterable[Examples]) -> Iterable[Examples]:
        """The batches, unchanged. Before the first training the members get their starting points; the model has its
        weights once there is a batch."""
        if self.method.rules or self.starts != "model" or not isinstance(self.model.model, Model):
            return batches
        batches = list(batches)
        self.method.starts = [drawn(self.model.model, member) for member in range(self.members)]
        return batches

    def options(self) -> dict[str, Any]:
        own = {name: value for name, value in self.method.options().items() if name != "chains"}
        return {**own, **super().options()}

    def exported(self) -> dict[str, Any]:
        return self.method.exported()

    def load(self, saved: dict[str, Any], batches: Iterable[Examples]) -> None:
        self.method.load(saved, self.begun(batches))

    @property
    def posterior(self) -> Posterior:
        return dataclasses.replace(self.method.posterior, method=type(self).__name__)


def drawn(model: Model, number: int) -> dict[str, np.ndarray]:
    """The initial weights that a built model has with its seed plus a number; its own weights for 0."""
    other = model.clone()
    if number:
        other.seed, other.params = model.seed + number, {}
        other.build(model.n_in)
    return {name: np.array(model.xp.to_numpy(w)) for name, w in other.params.items()}
