"""What samplers and approximations share: a gradient rule, starting points, and one data set."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from neko import identity, rules, tree
from neko.arguments import check_integer
from neko.bayes import starts as starting
from neko.bayes.began import Began, warn_of_change, warn_of_likelihood
from neko.bayes.inference import Inference
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
from neko.training.learning_rule import LearningRule
from neko.typing import Array


class Driven(Inference):
    """A Bayesian learner whose chains, or distributions, follow a gradient rule on one data set.

    Every call of `Trainer.train` must have the same examples (in any order and in batches of any size), with the same
    model, objective, prior and options. The batches of the first epoch of a call are kept until it ends, to count its
    examples. A change of the model's parameters between two calls has no effect and causes a `SamplingWarning`.

    Parameters
    ----------
    model : Evaluator
        Model and loss.
    drift : str, class or callable
        The gradient rule by its name or class, or a function from an evaluator to one: for example ``'eprop:random'``,
        ``Eprop`` or ``functools.partial(Eprop, mode='random')``.
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
    **options
        See `Inference`: ``prior``, ``power``, ``temperature``, ``x_pred``, ``seed``.

    Raises
    ------
    TypeError, ValueError
        For a drift that is not a gradient rule, a penalty of a user's model (use a prior instead), counts below 1, and
        starts that are not parameters of the model. In training for data, an objective or options that differ from
        those at the start.
    """

    renewing: ClassVar[bool] = True
    """Whether epochs may have different examples of one data set, because every step uses its batch only."""

    def __init__(
        self, model: Evaluator, *, drift: Any = "bptt", chains: int = 1, starts: str | Sequence[Params], **options: Any
    ) -> None:
        super().__init__(model, **options)
        self.drift = build_drift(drift, model)
        self.starts = starting.checked(starts)
        self.n_chains = starting.number(self.starts, check_integer("chains", chains))
        self.epochs = 0
        self.examples = 0
        self.share = 1.0
        self.batches = 0
        self._source: Source | None = None
        self._began: Began | None = None
        self._looked = False

    def __repr__(self) -> str:
        options = representation.options(self, drift=self.drift.name)
        return f"{type(self).__name__}({', '.join([repr(self.model), *options])})"

    @abstractmethod
    def add(self, weights: Params, key: Array) -> None:
        """Add a chain that starts from these weights, with its own random key."""

    @abstractmethod
    def shown(self) -> Params:
        """The weights that the model has after an epoch."""

    def attach(self, source: Source) -> None:
        self._source = source
        self._looked = False

    def look(self, batches: Iterable[Examples]) -> Iterable[Examples]:
        """The batches, unchanged. In the first epoch of a call the chains start with these data, or their data are
        compared with these."""
        if self._looked:
            return batches
        batches = list(batches)
        self.batches = len(batches)
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
            self._began.check(now, renewing=self.renewing)
            warn_of_change(self.xp, self.model.params, self.shown())
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
            keys = self.xp.random.split(self.xp.random.key(self.seed), self.n_chains)
            given = (self.model.params, self.priors, self.starts, self.n_chains, self.seed)
            for weights, key in zip(starting.points(self.xp, *given), self.xp.unstack(keys), strict=True):
                self.add(weights, key)

    def check_data(self, saved: dict[str, Any]) -> None:
        """CheckpointError if a checkpoint is of other data than the chains."""
        if self._began is not None and list(self._began.data) != saved["data"]:
            raise CheckpointError(f"its chains are of {DataSet(*saved['data'])}: this run has {self._began.data}")

    def seen(self) -> list[Any] | None:
        """The data of the chains, for a checkpoint."""
        return None if self._began is None else list(self._began.data)

    def fixed(self) -> dict[str, Any]:
        """All that must not change while the chains run, by value; of a user's module only its construction."""
        found = self.identity()
        return {**found, "model": {name: value for name, value in found["model"].items() if name != "module"}}

    def options(self) -> dict[str, Any]:
        drift = {"rule": self.drift.name, **self.drift.options()}
        return super().options() | identity.describe({"chains": self.n_chains, "drift": drift})


def build_drift(drift: Any, model: Evaluator) -> GradientRule:
    """The gradient rule of a name, class or function; TypeError for anything else, and for a rule without a loss."""
    made = rules.resolve(drift)(model) if isinstance(drift, str) or callable(drift) else None
    found = made.gradient if isinstance(made, LearningRule) else made
    if not isinstance(found, GradientRule):
        raise TypeError(f"drift={drift!r}: expected a gradient rule such as BPTT or Eprop")
    if not found.has_objective:
        raise TypeError(f"drift={drift!r} does not follow the gradient of a loss: expected another rule, such as BPTT")
    return found
