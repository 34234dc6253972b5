"""The base of samplers as learning rules: chains over a network's weights, and their posterior."""

from __future__ import annotations

import copy
import importlib.util
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from neko.arguments import check_integer, check_number
from neko.bayes import thinning
from neko.bayes.chain import Chain
from neko.bayes.diagnostics import diagnose
from neko.bayes.driven import Driven
from neko.bayes.posterior import Posterior
from neko.bayes.workers import Workers
from neko.data.intake import Examples
from neko.evaluator import Evaluator
from neko.identity.fingerprint import DataSet
from neko.io import snapshot
from neko.models.network import Params
from neko.training.learner import Measures
from neko.typing import Array


class Sampling(Driven):
    """A learner that samples from the posterior of the weights, see `Inference`.

    For a target at every step the likelihood needs ``reduction='sum'``, the sum over a sequence's steps; with the mean,
    which causes a `SamplingWarning`, a sequence counts as much as one step.

    All chains sample one density. They have their own positions; after an epoch the model has that of the first chain.

    Parameters
    ----------
    model, drift, chains, starts
        See `Driven`. The drift, of the proposals, may be any deterministic function of the weights; feedback weights
        are drawn once and do not change.
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
    """

    def __init__(
        self,
        model: Evaluator,
        *,
        starts: str | Sequence[Params] = "both",
        warmup: int = 100,
        thinning: int = 1,
        memory: float | None = None,
        workers: int = 0,
        jit: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(model, starts=starts, **options)
        self.warmup = check_integer("warmup", warmup, least=0)
        self.thinning = check_integer("thinning", thinning)
        self.memory = None if memory is None else check_number("memory", memory, positive=True)
        # The target must be deterministic: no dropout, and constant buffers.
        self.drift.training = False
        self.chains: list[Chain] = []
        self.drawn = 0
        self.room: int | None = None
        self.feedback: Params = {}
        self._effective = (0, np.nan)
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

    @property
    def warming(self) -> bool:
        """Whether the chains are in their warm-up."""
        return self.epochs < self.warmup

    def draws_in(self, epoch: int) -> bool:
        """Whether an epoch, counted from 0, ends with a draw."""
        return epoch >= self.warmup and (epoch - self.warmup) % self.thinning == 0

    def epochs_drawn(self) -> list[int]:
        """The epochs so far that ended with a draw."""
        return [epoch for epoch in range(self.epochs) if self.draws_in(epoch)]

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
        ess = self.effective()
        return measures if ess is None else {**measures, "ess": ess}

    def effective(self) -> float | None:
        """Effective sample size of the log density, of the last of 8, 9, 10, … 1.1^k draws, so that it costs little;
        None before, and without ArviZ."""
        reached = [n for k in range(22, 200) if (n := int(1.1**k)) <= self.drawn]
        if not reached or importlib.util.find_spec("arviz") is None:
            return None
        if self._effective[0] != reached[-1]:
            kept = self.epochs_drawn()[: reached[-1]]
            trace = np.array([chain.logdensity for chain in self.chains])[:, kept]
            self._effective = reached[-1], float(diagnose("ess", {"logdensity": trace})["logdensity"])
        return self._effective[1]

    def begin(self, arrays: list[Any], found: DataSet) -> None:
        super().begin(arrays, found)
        with self.xp.scope():
            self.feedback = self.drift.initial_feedback()
        if self.memory is not None:
            one = Chain(self.chains[0].position, None)
            self.keep(one)
            self.room = thinning.capacity(self.memory, self.n_chains, [*one.draws[0].values(), *one.predictions])

    def add(self, weights: Params, key: Array) -> None:
        self.chains.append(Chain(weights, key))

    def shown(self) -> Params:
        return self.chains[0].position

    def exported(self) -> dict[str, Any]:
        xp = self.xp
        with xp.scope():
            return {
                "params": snapshot.exported(xp, self.model.params),
                "buffers": snapshot.exported(xp, self.model.model.buffers),
                "feedback": snapshot.exported(xp, self.feedback),
                "chains": [chain.exported(xp) for chain in self.chains],
                "epochs": self.epochs,
                "data": self.seen(),
            }

    def load(self, saved: dict[str, Any], batches: Iterable[Examples]) -> None:
        xp = self.xp
        self.look(batches)
        self.check_data(saved)
        with xp.scope():
            if self.model.model.persistent:
                self.model.model.buffers = snapshot.loaded(xp, self.model.model.buffers, saved["buffers"], "buffers")
            self.feedback = snapshot.loaded(xp, self.feedback, saved["feedback"], "feedback")
            for chain, entry in zip(self.chains, saved["chains"], strict=True):
                chain.load(xp, entry, None if entry["state"] is None else self.blank(chain), self.tuning())
        self.model.params = self.chains[0].position
        self.epochs = saved["epochs"]
        self.drawn = len(self.epochs_drawn())

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
        kept = self.epochs_drawn()[:: self.stride]
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
