"""The base of samplers as learning rules: chains over a network's weights, and their posterior."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from neko import identity, rules, tree
from neko.arguments import check_integer, check_number
from neko.bayes import starts as starting
from neko.bayes import thinning
from neko.bayes.began import Began, warn_of_change, warn_of_likelihood
from neko.bayes.chain import Chain
from neko.bayes.inference import Inference
from neko.bayes.posterior import Posterior
from neko.bayes.workers import Workers
from neko.data import size
from neko.data.intake import Examples
from neko.data.sources import Batches, Source
from neko.errors import CheckpointError
from neko.evaluator import Evaluator
from neko.identity import fingerprint, representation
from neko.identity.fingerprint import DataSet
from neko.io import snapshot
from neko.models.adapted import check_names
from neko.models.network import Params
from neko.rules.base import GradientRule
from neko.training.learner import Measures
from neko.training.learning_rule import LearningRule
from neko.typing import Array


class Sampling(Inference):
    """A learner that samples from the posterior of the weights, see `Inference`.

    For a target at every step the likelihood needs ``reduction='sum'``, the sum over a sequence's steps; with the mean,
    which causes a `SamplingWarning`, a sequence counts as much as one step.

    All chains sample one density: every call of `Trainer.train` must have the same examples (in any order and in
    batches of any size), with the same model, objective, prior and options. The chains have their own positions: a
    change of the model's parameters between two calls does not affect them and causes a `SamplingWarning`; after the
    next epoch the model has the first chain's position again.

    Parameters
    ----------
    model : Evaluator
        Model and loss. The first chain starts from its present parameters.
    drift : str, class or callable
        The gradient rule of the proposals by its name or class, or a function from an evaluator to one: for example
        ``'eprop:random'``, ``Eprop`` or ``functools.partial(Eprop, mode='random')``. It may be any deterministic
        function of the weights; feedback weights are drawn once and do not change.
    chains : int
        Number of chains.
    starts : {'both', 'model', 'prior'} or sequence of dict
        Where the chains start. With 'model' the first from the model's present weights and the others from these
        shuffled within each tensor: independent, with the same distribution. With 'prior' each from a draw of the
        prior. With 'both', half of them (one more if the number is odd) as with 'model' and the others as with 'prior',
        so that their agreement does not depend on where they start. A sequence has parameters for a chain each, dicts
        of arrays of any framework, for example of other trained networks, ``[other.params]``, or of draws,
        ``[{name: w[0, -1] for name, w in posterior.draws.items()}]``; with more `chains` the others start from draws of
        the prior.
    warmup : int
        Number of epochs at the beginning without draws.
    thinning : int
        Number of epochs between two draws.
    memory : float, optional
        MiB for the weights and predictions of the draws of all chains, see `Posterior.thin`: whenever there is no more
        room, every second draw is dropped and as many come from then on.
    workers : int
        Processes that make the transitions, each those of some chains, at most one a chain; with 0 this process makes
        them. The numbers are the same. It pays where a transition takes milliseconds and there are as many free cores.
        As everywhere in Python, a script that starts processes needs ``if __name__ == "__main__":``, and what the model
        is made of must be importable.
    jit : bool
        Compile the step where the framework compiles.
    **options
        See `Inference`: ``prior``, ``power``, ``temperature``, ``x_pred``, ``seed``.

    Raises
    ------
    TypeError, ValueError
        For a drift that is not a gradient rule, a penalty of a user's model (use a prior instead), counts below 1, and
        starts that are not parameters of the model. In training for data, an objective or options that differ from
        those at the start of the chains.
    """

    def __init__(
        self,
        model: Evaluator,
        *,
        drift: Any = "bptt",
        chains: int = 1,
        starts: str | Sequence[Params] = "both",
        warmup: int = 100,
        thinning: int = 1,
        memory: float | None = None,
        workers: int = 0,
        jit: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(model, **options)
        chains = check_integer("chains", chains)
        self.warmup = check_integer("warmup", warmup, least=0)
        self.thinning = check_integer("thinning", thinning)
        self.memory = None if memory is None else check_number("memory", memory, positive=True)
        self.drift = build_drift(drift, model)
        # The target must be deterministic: no dropout, and constant buffers.
        self.drift.training = False
        self.starts = starting.checked(starts)
        self.n_chains = starting.number(self.starts, chains)
        self.chains: list[Chain] = []
        self.epochs = 0
        self.drawn = 0
        self.room: int | None = None
        self.batches = 0
        self.examples = 0
        self.share = 1.0
        self.feedback: Params = {}
        self._source: Source | None = None
        self._began: Began | None = None
        self._looked = False
        self._workers = Workers(check_integer("workers", workers, least=0))
        self._jit = jit
        self.compile()

    def compile(self) -> None:
        """The functions of one chain, compiled where the framework compiles."""
        self._init = self.xp.jit(self.initial_state) if self._jit else self.initial_state
        self._transition = self.xp.jit(self.transition) if self._jit else self.transition

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_init", "_transition")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.compile()

    def __repr__(self) -> str:
        options = representation.options(self, drift=self.drift.name)
        return f"{type(self).__name__}({', '.join([repr(self.model), *options])})"

    @property
    def warming(self) -> bool:
        """Whether the chains are in their warm-up."""
        return self.epochs < self.warmup

    def draws_in(self, epoch: int) -> bool:
        """Whether an epoch, counted from 0, ends with a draw."""
        return epoch >= self.warmup and (epoch - self.warmup) % self.thinning == 0

    @property
    def stride(self) -> int:
        """There is memory for one draw in so many."""
        return 1 if self.room is None else thinning.stride(self.drawn, self.room)

    @abstractmethod
    def initial_state(self, position: Params, *arguments: Any) -> Any:
        """The state of a chain at a position; `arguments` are feedback, buffers and data."""

    @abstractmethod
    def transition(self, key: Array, state: Any, step_size: Any, *arguments: Any) -> Any:
        """One step of a chain: a key, a state and an info."""

    def advance(self, jobs: list[Any], arguments: Any) -> list[Any]:
        """A transition for each job, which is a key, a state and a step size: keys, states and infos.

        In this process it is the same program for each, so that the numbers of a chain do not depend on the others; a
        map over a further axis of all arrays, or a loop over chains in one program, gives other last bits. Nothing is
        read in between, so that a device has the next chain before it has finished one.
        """
        if self._workers.count:
            return self._workers.run(self, jobs, arguments)
        return [self._transition(*job, *arguments) for job in jobs]

    def alone(self) -> Any:
        """A copy that only makes transitions: without chains, data and inputs."""
        other = copy.copy(self)
        other.chains, other.x_pred, other._source, other._began, other._workers = [], None, None, None, Workers(0)
        return other

    @abstractmethod
    def step_sizes(self) -> list[float]:
        """The step size of every chain."""

    def attach(self, source: Source) -> None:
        self._source = source
        self._looked = False

    @abstractmethod
    def items(self, batches: Iterable[Examples]) -> Iterable[Any]:
        """The arguments of `learn`, each for one transition; a subclass passes the batches through `look`."""

    @abstractmethod
    def summary(self) -> dict[str, float]:
        """Measures for the history; afterwards `logdensity` and `acceptance` of every chain have a new entry."""

    def finish(self, totals: Measures) -> dict[str, float]:
        measures = self.summary()
        if self.draws_in(self.epochs):
            before = self.stride
            self.drawn += 1
            for chain in self.chains:
                if (self.drawn - 1) % before == 0:
                    self.keep(chain)
                if self.stride > before:
                    chain.thin(2)
        self.model.params = self.chains[0].position
        self.epochs += 1
        return measures

    def look(self, batches: Iterable[Examples]) -> Iterable[Examples]:
        """The batches, unchanged. In the first epoch of a call the chains start with these data, or their data are
        compared with these."""
        if self._looked:
            return batches
        batches = list(batches)
        self.batches = len(batches)
        arrays = [tuple(batch[:3]) for batch in batches]
        on_host = tree.map(lambda a: np.asarray(self.xp.to_numpy(a)), arrays)
        found = fingerprint.of_examples(on_host)
        data = self._source.data if isinstance(self._source, Batches) else None
        now = Began(found, size.examples(data, found.examples), self.fixed(), data)
        if self._began is None:
            self.examples = now.size
            self.begin(arrays, found)
            self._began = now
        else:
            check_names(self.model.model, self.chains[0].position)
            self._began.check(now, renewing=self.renewing)
            warn_of_change(self.xp, self.model.params, self.chains[0].position)
        self._looked = True
        return batches

    def begin(self, arrays: list[Any], found: DataSet) -> None:
        """Check the objective with the first batches, and create the chains at their starting points."""
        self.resolve_priors()
        with self.xp.scope():
            shapes = [self.model.batch(*batch) for batch in arrays]
            if self.model.objective.reduction == "mean":
                warn_of_likelihood(shapes)
            self.share = sum(float(self.model.objective.share(self.xp, batch)) for batch in shapes) / found.examples
            self.feedback = self.drift.initial_feedback()
            keys = self.xp.random.split(self.xp.random.key(self.seed), self.n_chains)
            given = (self.model.params, self.priors, self.starts, self.n_chains, self.seed)
            for position, key in zip(starting.points(self.xp, *given), self.xp.unstack(keys), strict=True):
                self.chains.append(Chain(position, key))
        if self.memory is not None:
            one = Chain(self.chains[0].position, None)
            self.keep(one)
            self.room = thinning.capacity(self.memory, self.n_chains, [*one.draws[0].values(), *one.predictions])

    renewing = False
    """Whether epochs may have different examples of one data set, because every step uses its batch only."""

    def fixed(self) -> dict[str, Any]:
        """All that must not change while the chains run, by value; of a user's module only its construction."""
        found = self.identity()
        model = {name: value for name, value in found["model"].items() if name != "module"}
        return {**found, "model": model}

    def options(self) -> dict[str, Any]:
        """Every option of the sampler by value, the defaults too."""
        drift = {"rule": self.drift.name, **self.drift.options()}
        return super().options() | identity.describe({"chains": self.n_chains, "drift": drift})

    def exported(self) -> dict[str, Any]:
        xp = self.xp
        with xp.scope():
            return {
                "params": snapshot.exported(xp, self.model.params),
                "buffers": snapshot.exported(xp, self.model.model.buffers),
                "feedback": snapshot.exported(xp, self.feedback),
                "chains": [chain.exported(xp) for chain in self.chains],
                "epochs": self.epochs,
                "data": None if self._began is None else list(self._began.data),
            }

    def load(self, saved: dict[str, Any], batches: Iterable[Examples]) -> None:
        xp = self.xp
        self.look(batches)
        if self._began is not None and list(self._began.data) != saved["data"]:
            raise CheckpointError(f"its chains are of {DataSet(*saved['data'])}: this run has {self._began.data}")
        with xp.scope():
            if self.model.model.persistent:
                self.model.model.buffers = snapshot.loaded(xp, self.model.model.buffers, saved["buffers"], "buffers")
            self.feedback = snapshot.loaded(xp, self.feedback, saved["feedback"], "feedback")
            for chain, entry in zip(self.chains, saved["chains"], strict=True):
                chain.load(xp, entry, None if entry["state"] is None else self.blank(chain), self.tuning())
        self.model.params = self.chains[0].position
        self.epochs = saved["epochs"]
        self.drawn = sum(map(self.draws_in, range(self.epochs)))

    def blank(self, chain: Chain) -> Any:
        """A state of the sampler as a template for loading; None for a sampler without one."""

    def tuning(self) -> Any:
        """The state of the adaptation before the first transition of a chain; None for a sampler without one."""

    def keep(self, chain: Chain) -> None:
        """Store a draw of a chain: its weights, and its predictions for `x_pred`."""
        chain.draws.append({name: np.array(self.xp.to_numpy(w)) for name, w in chain.position.items()})
        if self.x_pred is not None:
            self.model.params = chain.position
            chain.predictions.append(self.model.predict(self.x_pred))

    @property
    def posterior(self) -> Posterior:
        """The draws so far; ValueError before the first one."""
        if not self.chains or not self.chains[0].draws:
            raise ValueError(f"no draws after {self.epochs!r} epochs: train for more than warmup={self.warmup!r}")
        kept = [epoch for epoch in range(self.epochs) if self.draws_in(epoch)][:: self.stride]
        return Posterior(
            draws={name: np.stack([[d[name] for d in c.draws] for c in self.chains]) for name in self.priors},
            logdensity=np.array([chain.logdensity for chain in self.chains])[:, kept],
            acceptance=np.array([chain.acceptance for chain in self.chains])[:, kept],
            step_size=np.array(self.step_sizes()),
            predictions=None if self.x_pred is None else np.stack([chain.predictions for chain in self.chains]),
            link=self.model.objective.loss.link,
            power=self.power,
            temperature=self.temperature,
            method=type(self).__name__,
        )

    def batch_loss(self, position: Params, feedback: Params, buffers: Any, arrays: Any) -> tuple[Array, Params, Array]:
        """Loss of a batch times its weight in the data set, the drift rule's gradient of it, and the weight."""
        batch = self.model.batch(*arrays)
        result = self.drift.differentiate(position, feedback, batch, buffers)
        share = self.model.objective.share(self.xp, batch)
        return result.forward.loss * share, {name: share * result.gradients[name] for name in position}, share


def build_drift(drift: Any, model: Evaluator) -> GradientRule:
    """The gradient rule of a name, class or function; TypeError for anything else, and for a rule without a loss."""
    made = rules.resolve(drift)(model) if isinstance(drift, str) or callable(drift) else None
    found = made.gradient if isinstance(made, LearningRule) else made
    if not isinstance(found, GradientRule):
        raise TypeError(f"drift={drift!r}: expected a gradient rule such as BPTT or Eprop")
    if not found.has_objective:
        raise TypeError(f"drift={drift!r} does not follow the gradient of a loss: expected another rule, such as BPTT")
    return found
