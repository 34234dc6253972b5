"""What the samplers share as learning rules: chains over a network's weights, and the posterior they leave."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from neko import adaptors, describe, state, tree
from neko.arguments import check_integer, check_number, is_real
from neko.evaluator import Evaluator
from neko.network import Params
from neko.posterior import Posterior
from neko.rules.base import Learner, Rule
from neko.rules.bptt import BPTT
from neko.rules.chain import Chain
from neko.samplers import adaptation
from neko.samplers import prior as priors
from neko.typing import Array


class Sampling(Learner):
    r"""Learning as sampling from the posterior of the weights.

    .. math::
        \log π(θ) = -N \bar E(θ) + \log p(θ) + const

    with the loss :math:`\bar E` of the whole data set as the evaluator reports it, N sequences and the prior p. With
    a loss that is a negative log likelihood per sequence (cross-entropy, or 'half_squared_error' for unit noise) this
    is the Bayesian posterior.

    Parameters
    ----------
    model : Evaluator
        Model and loss. Its present parameters are where the first chain starts.
    drift : rule class, or what makes a rule from an evaluator
        Whose gradient drives the proposals, for example ``Eprop`` or ``functools.partial(Eprop, mode='random')``.
        It may be any deterministic function of the weights; feedback weights are drawn once and stay.
    prior : Prior, float or dict
        One for all parameters, or by name or pattern (``{'readout.*': Normal(0.3), '*': 1.0}``); a number is the
        standard deviation of a normal.
    x_pred : array (examples, …), optional
        Inputs whose predictions each draw leaves in the posterior.
    chains : int
        Number of chains, one after the other. The second and later ones start from the first one's weights shuffled
        within each tensor: as wide, and independent.
    starts : sequence of dict, optional
        Parameters where the chains start, one dict a chain, in place of `chains`.
    warmup : int
        Epochs at the beginning that leave no draw.
    thinning : int
        Epochs between two draws.
    seed : int
        Seed of proposals and starts.
    jit : bool
        Compile the step where the framework compiles.

    Raises
    ------
    TypeError, ValueError
        For a drift that is no rule, a regularizer (a penalty is not part of a posterior: give a prior), and counts
        below 1.
    """

    def __init__(
        self,
        model: Evaluator,
        *,
        drift: Any = BPTT,
        prior: Any = 1.0,
        x_pred: Any = None,
        chains: int = 1,
        starts: Sequence[Params] | None = None,
        warmup: int = 100,
        thinning: int = 1,
        seed: int = 0,
        jit: bool = True,
    ) -> None:
        if not isinstance(model, Evaluator):
            raise TypeError(f"model={model!r}: expected an Evaluator, for example Evaluator(model, loss='mse')")
        if model.objective.regularizer is not None:
            raise ValueError(f"{model.objective.regularizer!r} is not part of a posterior: give a prior instead")
        for name, value, least in (("chains", chains, 1), ("warmup", warmup, 0), ("thinning", thinning, 1)):
            check_integer(name, value, least=least)
        check_integer("seed", seed, least=0)
        self.model = model
        self.xp = model.xp
        made = drift(model) if callable(drift) else None
        if not isinstance(made, Rule):
            raise TypeError(f"drift={drift!r}: expected a gradient rule such as BPTT or Eprop")
        self.drift = made
        # A target must be a function: no dropout, and buffers that stay.
        self.drift.training = False
        self.prior = prior
        self.priors: dict[str, Any] = {}
        self.x_pred = x_pred
        self.starts = None if starts is None else list(starts)
        self.n_chains = chains if self.starts is None else len(self.starts)
        self.warmup = warmup
        self.thinning = thinning
        self.seed = seed
        self.chains: list[Chain] = []
        self.epochs = 0
        self.examples = 0
        self.compiled: Callable[..., Any] = self.xp.jit if jit else (lambda f: f)

    def __repr__(self) -> str:
        options = describe.options(self, drift=self.drift.name)
        return f"{type(self).__name__}({', '.join([repr(self.model), *options])})"

    @property
    def warming(self) -> bool:
        """Whether the chains are still in their warm-up."""
        return self.epochs < self.warmup

    @abstractmethod
    def advance(self, batches: Iterable[tuple[Any, Any, Any]], done: Callable[[], None]) -> dict[str, float]:
        """Move every chain on; what the history keeps. A chain's `logdensity` and `acceptance` get one entry each."""

    @abstractmethod
    def step_sizes(self) -> list[float]:
        """The step size of every chain."""

    def epoch(self, batches: Iterable[tuple[Any, Any, Any]], done: Callable[[], None]) -> dict[str, float]:
        measures = self.advance(self.begin(batches), done)
        if not self.warming and (self.epochs - self.warmup) % self.thinning == 0:
            for chain in self.chains:
                self.keep(chain)
        self.model.params = self.chains[0].position
        self.epochs += 1
        return measures

    def begin(self, batches: Iterable[tuple[Any, Any, Any]]) -> Iterable[tuple[Any, Any, Any]]:
        """On the first epoch count the examples, and put the chains where they start."""
        if self.chains:
            adaptors.check_names(self.model.model, self.chains[0].position)
            return batches
        batches = list(batches)
        self.examples = sum(len(x) for x, _, _ in batches)
        self.model.build(batches[0][0])
        self.priors = priors.resolve(self.prior, self.model.params)
        with self.xp.scope():
            self.drift.feedback = self.drift.initial_feedback()
            keys = self.xp.random.split(self.xp.random.key(self.seed), self.n_chains)
            for position, key in zip(self.positions(), self.xp.unstack(keys), strict=True):
                self.chains.append(Chain(position, key))
        return batches

    def identity(self) -> dict[str, Any]:
        own = {"sampler": type(self).__name__, "drift": self.drift.name, "chains": self.n_chains}
        return {**own, "warmup": self.warmup, "thinning": self.thinning, **self.model.identity()}

    def state(self) -> dict[str, Any]:
        xp = self.xp
        with xp.scope():
            return {
                "params": state.take(xp, self.model.params),
                "buffers": state.take(xp, self.model.model.buffers),
                "feedback": state.take(xp, self.drift.feedback),
                "chains": [chain.take(xp) for chain in self.chains],
                "epochs": self.epochs,
            }

    def restore(self, saved: dict[str, Any], batches: Iterable[tuple[Any, Any, Any]]) -> None:
        xp = self.xp
        self.hold(self.begin(batches))
        with xp.scope():
            if self.model.model.buffers is not None:
                self.model.model.buffers = state.put(xp, self.model.model.buffers, saved["buffers"], "buffers")
            self.drift.feedback = state.put(xp, self.drift.feedback, saved["feedback"], "feedback")
            for chain, entry in zip(self.chains, saved["chains"], strict=True):
                chain.put(xp, entry, None if entry["state"] is None else self.started(chain))
        self.model.params = self.chains[0].position
        self.epochs = saved["epochs"]

    def hold(self, batches: Iterable[tuple[Any, Any, Any]]) -> None:
        """Keep of the first epoch's batches what every epoch needs."""

    def started(self, chain: Chain) -> Any:
        """The sampler's state at the chain's position; None for a sampler without one."""

    def positions(self) -> list[Params]:
        """Where the chains start."""
        if self.starts is not None:
            return self.starts
        rng = np.random.default_rng(self.seed)

        def shuffled(w: Array) -> Array:
            w = np.asarray(self.xp.to_numpy(w))
            return self.xp.asarray(rng.permutation(w.ravel()).reshape(w.shape))

        first = self.model.params
        return [first] + [{name: shuffled(w) for name, w in first.items()} for _ in range(self.n_chains - 1)]

    def keep(self, chain: Chain) -> None:
        """A draw of a chain: its weights, and its predictions for `x_pred`."""
        chain.draws.append({name: np.array(self.xp.to_numpy(w)) for name, w in chain.position.items()})
        if self.x_pred is not None:
            self.model.params = chain.position
            chain.predictions.append(self.model.predict(self.x_pred))

    @property
    def posterior(self) -> Posterior:
        """The draws so far; ValueError before the first one."""
        kept = len(self.chains[0].draws) if self.chains else 0
        if not kept:
            raise ValueError(f"no draws after {self.epochs!r} epochs: train for more than warmup={self.warmup!r}")
        draws = {
            name: np.stack([[draw[name] for draw in chain.draws] for chain in self.chains])
            for name in self.chains[0].draws[0]
        }

        def traces(name: str) -> np.ndarray:
            after = slice(self.warmup, None, self.thinning)
            return np.array([getattr(chain, name)[after] for chain in self.chains])

        return Posterior(
            draws=draws,
            logdensity=traces("logdensity"),
            acceptance=traces("acceptance"),
            step_size=np.array(self.step_sizes()),
            predictions=None if self.x_pred is None else np.stack([chain.predictions for chain in self.chains]),
        )

    def logprior(self, position: Params) -> tuple[Array, Params]:
        """Log density of the prior and its gradient."""
        found = {name: self.priors[name].logdensity_and_gradient(self.xp, w) for name, w in position.items()}
        return sum(value for value, _ in found.values()), {name: g for name, (_, g) in found.items()}

    def batch_loss(self, position: Params, feedback: Params, buffers: Any, portion: Any) -> tuple[Array, Params, Array]:
        """Loss of a batch times its share in the data set, the drift rule's gradient of it, and the share."""
        batch = self.model.batch(*portion)
        result = self.drift.differentiate(position, feedback, batch, buffers)
        share = self.model.share(batch)
        return result.forward.loss * share, {name: share * result.gradients[name] for name in position}, share


class FullData(Sampling):
    """A sampler with an accept test, which needs the whole data set: an epoch is one transition of every chain.

    The batches of the first epoch are kept; they are the portions in which the log posterior is summed, so choose
    `batch_size` as large as memory allows. During warm-up the step size of every chain is adapted to the acceptance
    that is wanted, then it is frozen.
    """

    sampler: Any
    """Module of `neko.samplers` with init and step."""

    def __init__(self, model: Evaluator, *, step_size: float, target_acceptance: float, **options: Any) -> None:
        super().__init__(model, **options)
        if not (is_real(target_acceptance) and 0.0 < target_acceptance < 1.0):
            raise ValueError(f"target_acceptance={target_acceptance!r}: expected a number between 0 and 1")
        self.target_acceptance = target_acceptance
        check_number("step_size", step_size, positive=True)
        self.step_size = float(step_size)
        self.data: Any = None
        self._init = self.compiled(self.initial_state)
        self._transition = self.compiled(self.transition)

    def settings(self) -> dict[str, Any]:
        """What else the sampler's step takes."""
        return {}

    def step_sizes(self) -> list[float]:
        return [self.chain_step_size(chain) for chain in self.chains]

    def chain_step_size(self, chain: Chain) -> float:
        """Step size of the coming transition of a chain."""
        return adaptation.current(chain.tuning) if self.warming else adaptation.final(chain.tuning)

    def advance(self, batches: Iterable[tuple[Any, Any, Any]], done: Callable[[], None]) -> dict[str, float]:
        xp, buffers = self.xp, self.model.model.buffers
        if self.data is None:
            self.hold(batches)
        arguments = (self.drift.feedback, buffers, self.data)
        with xp.scope():
            for chain in self.chains:
                if chain.state is None:
                    chain.state = self.started(chain)
                    chain.tuning = adaptation.init(self.step_size)
                    # From such a place no proposal would ever be accepted.
                    if not math.isfinite(chain.state.logdensity):
                        raise ValueError(
                            f"log density {float(chain.state.logdensity)!r} where a chain starts: expected a finite "
                            "number; look for inputs or parameters that are not"
                        )
                step_size = xp.asarray(self.chain_step_size(chain))
                chain.key, chain.state, info = self._transition(chain.key, chain.state, step_size, *arguments)
                chain.position = chain.state.position
                chain.logdensity.append(float(chain.state.logdensity))
                chain.acceptance.append(float(info.acceptance_probability))
                if self.warming:
                    chain.tuning = adaptation.update(chain.tuning, chain.acceptance[-1], self.target_acceptance)
                done()
        return {
            "logdensity": float(np.mean([chain.logdensity[-1] for chain in self.chains])),
            "acceptance": float(np.mean([chain.acceptance[-1] for chain in self.chains])),
            "step_size": float(np.mean(self.step_sizes())),
        }

    def hold(self, batches: Iterable[tuple[Any, Any, Any]]) -> None:
        self.data = self.portions([self.model.arrays(*batch) for batch in batches])

    def started(self, chain: Chain) -> Any:
        return self._init(chain.position, self.drift.feedback, self.model.model.buffers, self.data)

    def portions(self, batches: list[Any]) -> tuple[Any, Any]:
        """The equal batches stacked, and the last one if it is shorter."""
        odd = batches.pop() if len(batches) > 1 and batches[-1][0].shape[0] != batches[0][0].shape[0] else None
        if len({tuple(batch[0].shape) for batch in batches}) != 1:
            raise ValueError(f"batches of shapes {[tuple(b[0].shape) for b in batches]!r}: expected equal ones")
        return tree.map(lambda *parts: self.xp.stack(list(parts)), *batches), odd

    def logdensity_and_drift(self, position: Params, feedback: Params, buffers: Any, data: Any) -> tuple[Array, Params]:
        """log π of the full data, exact up to a constant, and the drift rule's word for its gradient."""
        xp = self.xp
        stacked, odd = data

        def add(carry: Any, portion: Any) -> tuple[Any, None]:
            return tree.map(lambda a, b: a + b, carry, self.batch_loss(position, feedback, buffers, portion)), None

        sums = (xp.zeros(()), tree.map(xp.zeros_like, position), xp.zeros(()))
        sums, _ = xp.scan(add, sums, stacked)
        if odd is not None:
            sums, _ = add(sums, odd)
        loss, gradients, share = sums
        value, drift = self.logprior(position)
        scale = self.examples / share
        return value - scale * loss, {name: g - scale * gradients[name] for name, g in drift.items()}

    def initial_state(self, position: Params, *arguments: Any) -> Any:
        """The sampler's state at a position."""
        return self.sampler.init(self.xp, position, lambda p: self.logdensity_and_drift(p, *arguments))

    def transition(self, key: Array, state: Any, step_size: Array, *arguments: Any) -> Any:
        """One step of the sampler: a key, a state and an info."""
        key, now = self.xp.unstack(self.xp.random.split(key))

        def target(position: Params) -> tuple[Array, Params]:
            return self.logdensity_and_drift(position, *arguments)

        return key, *self.sampler.step(self.xp, now, state, target, step_size, **self.settings())
