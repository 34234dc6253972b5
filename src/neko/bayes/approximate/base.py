"""The base of approximate posteriors: learning rules that minimise a free energy, and draws at the end."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from neko import identity, tree, updates
from neko.arguments import check_integer
from neko.bayes.approximate.free_energy import FreeEnergy
from neko.bayes.driven import Driven
from neko.bayes.posterior import Posterior
from neko.data.intake import Examples
from neko.evaluator import Evaluator
from neko.models.network import Params
from neko.rules.base import GradientRule
from neko.training.learner import Measures
from neko.training.learning_rule import LearningRule
from neko.typing import Array


class Approximation(Driven):
    """A learner of an approximate posterior of the weights, see `Inference`.

    One or several distributions are trained independently by a gradient rule with an update, which minimise their
    free energy (see `neko.bayes.approximate.free_energy`) from batches; weights are drawn from them at the end. The
    history has the loss and metrics of the training passes, a mean over distributions; after each epoch the model has
    the weights at the centre of the first distribution, with which it is validated.

    Checkpoints are between epochs.

    Parameters
    ----------
    model : Evaluator
        Model and loss.
    chains : int
        Number of distributions that are trained, from the same batches. Together they are an ensemble, whose
        predictions are the mean over all draws of all of them.
    draws : int
        Number of draws from each distribution in the posterior.
    optimizer, learning_rate, clip_norm, jit
        As for `LearningRule`.
    **options
        See `Driven` and `Inference`: ``drift``, ``starts``, ``prior``, ``power``, ``temperature``, ``x_pred``,
        ``seed``.
    """

    def __init__(
        self,
        model: Evaluator,
        *,
        starts: str | Sequence[Params] = "model",
        draws: int = 100,
        optimizer: Any = "adam",
        learning_rate: Any = None,
        clip_norm: float | None = None,
        jit: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(model, starts=starts, **options)
        self.draws = check_integer("draws", draws)
        self.optimizer, self.learning_rate = optimizer, learning_rate
        self.schedule = updates.resolve(self.xp, optimizer, learning_rate)
        self.clip_norm = updates.check_clip_norm(clip_norm)
        self.rules: list[LearningRule] = []
        self._jit = jit
        self._keys: list[Array] = []
        self._posterior: Posterior | None = None

    @abstractmethod
    def expected_loss(self, model: Evaluator, key: Array) -> GradientRule:
        """The gradient rule of the expected loss, of an evaluator that `evaluator` returned. Its noise is drawn from
        the key, folded with the number of the update."""

    def evaluator(self, weights: Params) -> Evaluator:
        """An evaluator whose parameters are those of a distribution that starts from these weights; by default they
        are the weights themselves."""
        other = self.model.clone()
        other.params = weights
        return other

    def complexity(self, params: Params, key: Array) -> Params:
        """The gradient of ``E_q[-log p(θ)] - T H(q)``; by default that of a distribution without width."""
        return {name: -g for name, g in self.target.prior(params)[1].items()}

    def center(self, params: Params) -> Params:
        """The weights at the centre of a distribution, from its parameters."""
        return params

    def draw(self, rule: LearningRule, key: Array) -> Params:
        """Weights drawn from the distribution that a rule has trained; by default its centre."""
        return self.center(rule.model.params)

    def items(self, batches: Iterable[Examples]) -> Iterable[Examples]:
        return self.look(batches)

    def learn(self, item: Examples) -> Measures:
        """A step of every distribution from a batch."""
        return self.step([item] * len(self.rules))

    def step(self, batches: Sequence[Examples]) -> Measures:
        """A step of every distribution from a batch of its own."""
        measures: Measures = {}
        for rule, batch in zip(self.rules, batches, strict=True):
            found = rule.learn(batch)
            measures = found if not measures else tree.map(lambda a, b: a + b, measures, found)
        return measures

    def check(self) -> None:
        for rule in self.rules:
            rule.check()

    def finish(self, totals: Measures) -> dict[str, float]:
        self.epochs += 1
        self._posterior = None
        self.show(self.rules[0], self.shown())
        return self.rules[0].finish(totals)

    def show(self, rule: LearningRule, weights: Params) -> None:
        """Give the model these weights, and the buffers of a rule's passes."""
        self.model.params = weights
        if self.model.model.persistent:
            self.model.model.buffers = rule.model.model.buffers

    def add(self, weights: Params, key: Array) -> None:
        training, drawing = self.xp.unstack(self.xp.random.split(key))
        self.rules.append(self.rule(weights, training))
        self._keys.append(drawing)

    def shown(self) -> Params:
        return self.center(self.rules[0].model.params)

    def rule(self, weights: Params, key: Array) -> LearningRule:
        """The learning rule of one distribution, which starts from these weights."""
        model = self.evaluator(weights)
        gradient = FreeEnergy(
            model,
            self.expected_loss(model, key),
            self.complexity,
            weight=1.0 / (self.power * self.examples),
            share=self.share,
            key=key,
        )
        rate = self.learning_rate
        return LearningRule(gradient, self.update(), learning_rate=rate, clip_norm=self.clip_norm, jit=self._jit)

    def update(self) -> Any:
        """The update of a distribution, by default the option `optimizer`."""
        return self.optimizer

    def options(self) -> dict[str, Any]:
        update = {"optimizer": self.schedule.update, "learning_rate": self.schedule.learning_rate}
        return super().options() | identity.describe(update)

    def exported(self) -> dict[str, Any]:
        return {
            "rules": [rule.exported() for rule in self.rules],
            "epochs": self.epochs,
            "data": self.seen(),
        }

    def load(self, saved: dict[str, Any], batches: Iterable[Examples]) -> None:
        batches = self.look(batches)
        self.check_data(saved)
        for rule, entry in zip(self.rules, saved["rules"], strict=True):
            rule.load(entry, batches)
        self.epochs = saved["epochs"]
        self._posterior = None
        self.show(self.rules[0], self.shown())

    @property
    def posterior(self) -> Posterior:
        """Draws from the distributions, (chains, draws, …), always the same ones; ValueError before the first epoch.

        Their log density is NaN, since it would cost a pass over the data for each; so are acceptance and step size,
        which do not exist.
        """
        if not self.epochs:
            raise ValueError("no posterior before the first epoch: train for one or more")
        if self._posterior is None:
            self._posterior = self.drawn()
        return self._posterior

    def drawn(self) -> Posterior:
        """The draws, and their predictions for `x_pred`."""
        draws, predictions = [], []
        try:
            for rule, key in zip(self.rules, self._keys, strict=True):
                with self.xp.scope():
                    keys = self.xp.random.split(key, self.draws)
                    # by way of the host: a compiling framework would compile the access to each entry
                    own = [self.xp.asarray(k, dtype=keys.dtype) for k in np.array(self.xp.to_numpy(keys))]
                    weights = [self.draw(rule, k) for k in own]
                draws.append([{name: np.array(self.xp.to_numpy(w)) for name, w in drawn.items()} for drawn in weights])
                predictions.append([self.predicted(rule, drawn) for drawn in weights if self.x_pred is not None])
        finally:
            self.show(self.rules[0], self.shown())
        unknown = np.full((self.n_chains, self.draws), np.nan)
        return Posterior(
            draws={name: np.stack([[drawn[name] for drawn in own] for own in draws]) for name in self.priors},
            logdensity=unknown,
            acceptance=unknown,
            step_size=np.full(self.n_chains, np.nan),
            predictions=None if self.x_pred is None else np.array(predictions),
            link=self.model.objective.loss.link,
            power=self.power,
            temperature=self.temperature,
            method=type(self).__name__,
        )

    def predicted(self, rule: LearningRule, weights: Params) -> np.ndarray:
        """The model's predictions for `x_pred` with these weights."""
        self.show(rule, weights)
        return self.model.predict(self.x_pred)
