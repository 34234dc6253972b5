"""The run of ``neko sample``: a posterior of the weights by any method."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from neko import bayes, plots
from neko.arguments import of_constructor
from neko.bayes.packages import scipy_stats
from neko.datasets import Dataset
from neko.evaluator import Evaluator
from neko.io import checkpoint, console
from neko.models.weights import load_weights
from neko.registry import called
from neko.runs.build import build_evaluator
from neko.runs.folder import RUNS, ConfigWriter, Run
from neko.training.callbacks import Checkpoints
from neko.training.pairs import resolve
from neko.training.trainer import BATCH_SIZE, Trainer
from neko.updates import Cosine

SHARED = ("drift", "power", "temperature", "warmup", "thinning", "step_size", "seed")
"""Options that have the same name in a configuration and in a method."""


@RUNS.register("sample")
class Sampling(Run):
    """The posterior of a network's weights; the checkpoints of Adam before warm chains are in ``adam-<chain>``."""

    @functools.cached_property
    def data(self) -> Dataset:
        scipy_stats()  # needed by the summary after the chains
        data = super().data
        if data.task_type != "classification" or data.y_train.ndim != 2 or data.mask_train is not None:
            name = self.config.data
            raise ValueError(f"data set {name!r}: expected one with a class for each whole sequence, such as 'mnist'")
        return data

    @functools.cached_property
    def kind(self) -> tuple[Any, dict[str, Any]]:
        """The class of the method, and the options behind its name."""
        name, options = called(self.config.method)
        return bayes.METHODS.get(name), options

    def batches(self) -> list[tuple[Any, Any, Any]]:
        """All batches: the posterior is that of the whole data set."""
        size, data = self.config.batch_size, self.data
        starts = range(0, len(data.x_train), size)
        return [(data.x_train[i : i + size], data.y_train[i : i + size], None) for i in starts]

    def adam(self, chain: int) -> Path:
        """Folder of the checkpoints of Adam before a chain."""
        return self.folder / f"adam-{chain}"

    @property
    def warm(self) -> int:
        """Number of chains that start from trained networks."""
        return min(self.config.warm, self.config.chains)

    def prepare(self, progress: bool) -> None:
        """Train by Adam before each warm chain, except where an earlier call has done so."""
        config, data = self.config, self.data
        _ = self.kind  # a wrong name raises before Adam
        for chain in range(self.warm):
            if progress:
                console.tell(f"Adam before chain {chain + 1} of {config.chains}: {config.pretrain} epochs")
            model = build_evaluator(config, data, chain=chain)
            rate = 1e-3 if config.learning_rate is None else config.learning_rate
            trainer = Trainer(resolve(config.drift)(model, learning_rate=rate))
            kept = Checkpoints(self.adam(chain), every=config.checkpoint_every, keep=1, resume=True)
            trainer.train(
                data.x_train,
                data.y_train,
                epochs=config.pretrain,
                batch_size=BATCH_SIZE,
                seed=config.seed,
                callbacks=[kept, ConfigWriter(config, self.folder)],
                progress=progress,
            )

    def start(self, chain: int) -> Evaluator:
        """The network of a chain, trained by Adam where the chain starts warm."""
        model = build_evaluator(self.config, self.data, chain=chain)
        model.build(self.data.x_train)
        if chain < self.warm:
            load_weights(model, checkpoint.listed(self.adam(chain))[-1])
        return model

    @functools.cached_property
    def starts(self) -> list[Evaluator]:
        """The network that each warm chain starts from."""
        return [self.start(chain) for chain in range(self.warm)]

    def learner(self) -> Any:
        config, (kind, options) = self.config, self.kind
        model = self.start(0)
        sampler = issubclass(kind, bayes.sampling.Sampling)
        given: dict[str, Any] = {
            **{name: getattr(config, name) for name in SHARED},
            "prior": fan_in_prior(model.params, config.prior),
            "x_pred": self.data.x_test,
            "chains": config.chains,
            "members": config.chains,
            "learning_rate": self.rate(),
            "starts": [start.params for start in self.starts] or ("prior" if sampler else None),
        }
        known = of_constructor(kind)
        if "members" in known:
            known.pop("chains", None)
        given = {name: value for name, value in given.items() if name in known and value is not None}
        return kind(model, **(given | options))

    def rate(self) -> float | Cosine | None:
        """The learning rate, or its schedule over all updates; None leaves it to the method."""
        config = self.config
        if config.schedule == "constant":
            return config.learning_rate
        if config.learning_rate is None:
            raise ValueError("schedule='cosine' without learning_rate: expected a rate to begin with")
        return Cosine(config.learning_rate, config.epochs * len(self.batches()))

    def title(self) -> str:
        config = self.config
        chains = f"{config.chains} chain{'s' if config.chains > 1 else ''}"
        warm = f", {config.warmup} of them warm-up" if config.warmup else ""
        return f"{config.method} with {chains}: {config.epochs} epochs{warm}"

    def options(self) -> dict[str, Any]:
        """Batches of one order for what needs the whole data set at once, a new order otherwise."""
        return {"shuffle": not issubclass(self.kind[0], bayes.full_data.FullData)}

    def measures(self) -> dict[str, float]:
        """Also those of the posterior on the test set, which begin with ``val_``."""
        found: bayes.Posterior = self.trainer.rule.posterior  # type: ignore[attr-defined]
        labels = self.data.y_test.argmax(axis=-1)
        names = ("accuracy", "negative_log_likelihood", "brier_score", "calibration_error")
        return super().measures() | {f"val_{name}": float(getattr(found, name)(labels)) for name in names}

    def figures(self) -> dict[str, Figure]:
        learner: Any = self.trainer.rule
        found, labels = learner.posterior, self.data.y_test.argmax(axis=-1)
        x = self.data.x_test.reshape(len(self.data.x_test), -1)
        drawn = {
            "posterior": plots.posterior(learner, x, labels),
            "reliability": plots.reliability(found, labels),
            "selective": plots.selective({self.config.method: found}, labels),
        }
        if isinstance(learner, bayes.sampling.Sampling):
            drawn |= {"chains": plots.chains(learner), "ranks": plots.ranks(found, labels)}
        return drawn


def fan_in_prior(params: dict[str, Any], scale: float) -> dict[str, float]:
    """Standard deviation of each parameter: ``scale / √(rows)`` for a matrix, `scale` for a bias."""
    return {name: scale / float(np.sqrt(w.shape[0])) if len(w.shape) == 2 else scale for name, w in params.items()}
