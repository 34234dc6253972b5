"""The run of ``neko sample``: chains of a sampler, each started from weights trained by Adam."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from neko import bayes, plots
from neko.bayes.packages import scipy_stats
from neko.datasets import Dataset
from neko.evaluator import Evaluator
from neko.io import checkpoint, console
from neko.models.weights import load_weights
from neko.runs.build import build_evaluator
from neko.runs.folder import RUNS, ConfigWriter, Run
from neko.training.callbacks import Checkpoints
from neko.training.pairs import resolve
from neko.training.trainer import Trainer


@RUNS.register("sample")
class Sampling(Run):
    """The posterior of a network's weights; Adam's checkpoints are in ``adam-<chain>``."""

    @functools.cached_property
    def data(self) -> Dataset:
        scipy_stats()  # needed by the summary after the chains
        data = super().data
        if data.task_type != "classification" or data.y_train.ndim != 2 or data.mask_train is not None:
            name = self.config.data
            raise ValueError(f"data set {name!r}: expected one with a class for each whole sequence, such as 'mnist'")
        return data

    def batches(self) -> list[tuple[Any, Any, Any]]:
        """All batches: the posterior is that of the whole data set."""
        size, data = self.config.batch_size, self.data
        starts = range(0, len(data.x_train), size)
        return [(data.x_train[i : i + size], data.y_train[i : i + size], None) for i in starts]

    def adam(self, chain: int) -> Path:
        """Folder of the checkpoints of Adam before a chain."""
        return self.folder / f"adam-{chain}"

    def prepare(self, progress: bool) -> None:
        """Train by Adam before each chain, except where an earlier call has done so."""
        config, data = self.config, self.data
        bayes.METHODS.get(config.method)  # a wrong name raises before Adam
        for chain in range(config.chains if config.pretrain else 0):
            if progress:
                console.tell(f"Adam before chain {chain + 1} of {config.chains}: {config.pretrain} epochs")
            model = build_evaluator(config, data, chain=chain)
            trainer = Trainer(resolve(config.drift)(model, learning_rate=config.learning_rate))
            kept = Checkpoints(self.adam(chain), every=config.checkpoint_every, keep=1, resume=True)
            trainer.train(
                data.x_train,
                data.y_train,
                epochs=config.pretrain,
                seed=config.seed,
                callbacks=[kept, ConfigWriter(config, self.folder)],
                progress=progress,
            )

    def start(self, chain: int) -> Evaluator:
        """The network that a chain starts from, trained by Adam."""
        model = build_evaluator(self.config, self.data, chain=chain)
        model.build(self.data.x_train)
        if self.config.pretrain:
            load_weights(model, checkpoint.listed(self.adam(chain))[-1])
        return model

    @functools.cached_property
    def starts(self) -> list[Evaluator]:
        """The network that each chain starts from."""
        return [self.start(chain) for chain in range(self.config.chains)]

    def learner(self) -> Any:
        config = self.config
        sampler: Any = bayes.METHODS.get(config.method)
        model = self.start(0)
        return sampler(
            model,
            drift=config.drift,
            prior=fan_in_prior(model.params, config.prior),
            starts=[start.params for start in self.starts],
            x_pred=self.data.x_test,
            warmup=config.warmup,
            thinning=config.thinning,
            step_size=config.step_size,
            seed=config.seed,
        )

    def title(self) -> str:
        config = self.config
        chains = f"{config.chains} chain{'s' if config.chains > 1 else ''}"
        return f"{config.method} with {chains}: {config.epochs} epochs, {config.warmup} of them warm-up"

    def options(self) -> dict[str, Any]:
        return {"shuffle": False}

    def figures(self) -> dict[str, Figure]:
        x = self.data.x_test.reshape(len(self.data.x_test), -1)
        return {"posterior": plots.posterior(self.trainer.rule, x, self.data.y_test.argmax(axis=-1))}


def fan_in_prior(params: dict[str, Any], scale: float) -> dict[str, float]:
    """Standard deviation of each parameter: ``scale / √(rows)`` for a matrix, `scale` for a bias."""
    return {name: scale / float(np.sqrt(w.shape[0])) if len(w.shape) == 2 else scale for name, w in params.items()}
