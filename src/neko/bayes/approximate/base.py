"""The base of approximate posteriors: learning rules that minimise a free energy, and draws at the end."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from neko import identity, tree, updates
from neko.arguments import check_integer
from neko.bayes import starts as starting
from neko.bayes.approximate.free_energy import FreeEnergy
from neko.bayes.began import Began, warn_of_change, warn_of_likelihood
from neko.bayes.inference import Inference
from neko.bayes.posterior import Posterior
from neko.bayes.sampling import build_drift
from neko.data import size
from neko.data.intake import Examples
from neko.data.sources import Batches, Source
from neko.errors import CheckpointError
from neko.evaluator import Evaluator
from neko.identity import fingerprint, representation
from neko.identity.fingerprint import DataSet
from neko.models.adapted import check_names
from neko.models.network import Params
from neko.rules.base import GradientRule
from neko.samplers import proposals
from neko.training.learner import Measures
from neko.training.learning_rule import LearningRule
from neko.typing import Array


class Approximation(Inference):
    """A learner of an approximate posterior of the weights, see `Inference`.

    One or several distributions are trained independently by a gradient rule with an update, which minimise their
    free energy (see `neko.bayes.approximate.free_energy`) from batches; weights are drawn from them at the end. The
    history has the loss and metrics of the training passes, a mean over distributions; after each epoch the model has
    the weights at the centre of the first distribution, with which it is validated.

    Every call of `Trainer.train` must have the same data set; the batches of the first epoch of a call are kept until
    it ends, to count its examples. Checkpoints are between epochs.

    Parameters
    ----------
    model : Evaluator
        Model and loss. The first distribution starts from its present parameters.
    drift : str, class or callable
        The gradient rule by its name or class, or a function from an evaluator to one, as in `Sampling`.
    chains : int
        Number of distributions that are trained, from the same batches. The second and later ones start from the first
        one's weights, shuffled within each tensor: independent, with the same distribution. Together they are an
        ensemble, whose predictions are the mean over all draws of all of them.
    starts : sequence of dict, optional
        Parameters from which they start, one dict of arrays of any framework for each, in place of `chains`.
    draws : int
        Number of draws from each distribution in the posterior.
    optimizer, learning_rate, clip_norm, jit
        As for `LearningRule`.
    **options
        See `Inference`: ``prior``, ``power``, ``temperature``, ``x_pred``, ``seed``.

    Raises
    ------
    TypeError, ValueError
        For a drift that is not a gradient rule, counts below 1, and starts that are not parameters of the model. In
        training for data, an objective or options that differ from those at the start.
    """

    def __init__(
        self,
        model: Evaluator,
        *,
        drift: Any = "bptt",
        chains: int = 1,
        starts: Sequence[Params] | None = None,
        draws: int = 100,
        optimizer: Any = "adam",
        learning_rate: Any = None,
        clip_norm: float | None = None,
        jit: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(model, **options)
        self.drift = build_drift(drift, model)
        self.starts = None if starts is None else proposals.check_starts(starts)
        self.n_chains = check_integer("chains", chains) if self.starts is None else len(self.starts)
        self.draws = check_integer("draws", draws)
        self.optimizer, self.learning_rate = optimizer, learning_rate
        self.schedule = updates.resolve(self.xp, optimizer, learning_rate)
        self.clip_norm = updates.check_clip_norm(clip_norm)
        self.rules: list[LearningRule] = []
        self.epochs = 0
        self.examples = 0
        self.share = 1.0
        self._jit = jit
        self._keys: list[Array] = []
        self._source: Source | None = None
        self._began: Began | None = None
        self._looked = False
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
        return {name: -g for name, g in self.logprior(params)[1].items()}

    def center(self, params: Params) -> Params:
        """The weights at the centre of a distribution, from its parameters."""
        return params

    def draw(self, rule: LearningRule, key: Array) -> Params:
        """Weights drawn from the distribution that a rule has trained; by default its centre."""
        return self.center(rule.model.params)

    def __repr__(self) -> str:
        options = representation.options(self, drift=self.drift.name)
        return f"{type(self).__name__}({', '.join([repr(self.model), *options])})"

    def attach(self, source: Source) -> None:
        self._source = source
        self._looked = False

    def items(self, batches: Iterable[Examples]) -> Iterable[Examples]:
        return self.look(batches)

    def learn(self, item: Examples) -> Measures:
        """A step of every distribution from a batch."""
        measures: Measures = {}
        for rule in self.rules:
            found = rule.learn(item)
            measures = found if not measures else tree.map(lambda a, b: a + b, measures, found)
        return measures

    def check(self) -> None:
        for rule in self.rules:
            rule.check()

    def finish(self, totals: Measures) -> dict[str, float]:
        self.epochs += 1
        self._posterior = None
        self.show(self.rules[0], self.center(self.rules[0].model.params))
        return self.rules[0].finish(totals)

    def show(self, rule: LearningRule, weights: Params) -> None:
        """Give the model these weights, and the buffers of a rule's passes."""
        self.model.params = weights
        if self.model.model.persistent:
            self.model.model.buffers = rule.model.model.buffers

    def look(self, batches: Iterable[Examples]) -> Iterable[Examples]:
        """The batches, unchanged. In the first epoch of a call the distributions start with these data, or their data
        are compared with these."""
        if self._looked:
            return batches
        batches = list(batches)
        arrays = [tuple(batch[:3]) for batch in batches]
        found = fingerprint.of_examples(tree.map(lambda a: np.asarray(self.xp.to_numpy(a)), arrays))
        data = self._source.data if isinstance(self._source, Batches) else None
        now = Began(found, size.examples(data, found.examples), self.fixed(), data)
        if self._began is None:
            self.examples = now.size
            self.begin(arrays, found)
            self._began = now
        else:
            check_names(self.model.model, self.priors)
            self._began.check(now, renewing=True)
            warn_of_change(self.xp, self.model.params, self.center(self.rules[0].model.params))
        self._looked = True
        return batches

    def begin(self, arrays: list[Any], found: DataSet) -> None:
        """Check the objective with the first batches, and create the learning rules at their starting points."""
        self.resolve_priors()
        with self.xp.scope():
            shapes = [self.model.batch(*batch) for batch in arrays]
            if self.model.objective.reduction == "mean":
                warn_of_likelihood(shapes)
            self.share = sum(float(self.model.objective.share(self.xp, batch)) for batch in shapes) / found.examples
            keys = self.xp.random.split(self.xp.random.key(self.seed), self.n_chains)
            starts = "model" if self.starts is None else self.starts
            given = (self.model.params, self.priors, starts, self.n_chains, self.seed)
            for weights, key in zip(starting.points(self.xp, *given), self.xp.unstack(keys), strict=True):
                training, drawing = self.xp.unstack(self.xp.random.split(key))
                self.rules.append(self.rule(weights, training))
                self._keys.append(drawing)

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

    def fixed(self) -> dict[str, Any]:
        """All that must not change during the training, by value; of a user's module only its construction."""
        found = self.identity()
        return {**found, "model": {name: value for name, value in found["model"].items() if name != "module"}}

    def options(self) -> dict[str, Any]:
        drift = {"rule": self.drift.name, **self.drift.options()}
        update = {"optimizer": self.schedule.update, "learning_rate": self.schedule.learning_rate}
        return super().options() | identity.describe({"chains": self.n_chains, "drift": drift, **update})

    def exported(self) -> dict[str, Any]:
        return {
            "rules": [rule.exported() for rule in self.rules],
            "epochs": self.epochs,
            "data": None if self._began is None else list(self._began.data),
        }

    def load(self, saved: dict[str, Any], batches: Iterable[Examples]) -> None:
        batches = self.look(batches)
        if self._began is not None and list(self._began.data) != saved["data"]:
            raise CheckpointError(f"it is of {DataSet(*saved['data'])}: this run has {self._began.data}")
        for rule, entry in zip(self.rules, saved["rules"], strict=True):
            rule.load(entry, batches)
        self.epochs = saved["epochs"]
        self._posterior = None
        self.show(self.rules[0], self.center(self.rules[0].model.params))

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
                    keys = self.xp.unstack(self.xp.random.split(key, self.draws))
                    weights = [self.draw(rule, own) for own in keys]
                draws.append([{name: np.array(self.xp.to_numpy(w)) for name, w in drawn.items()} for drawn in weights])
                predictions.append([self.predicted(rule, drawn) for drawn in weights if self.x_pred is not None])
        finally:
            self.show(self.rules[0], self.center(self.rules[0].model.params))
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
