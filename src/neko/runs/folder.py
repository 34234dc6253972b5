"""A run is a folder: its configuration, history, checkpoints and figures."""

from __future__ import annotations

import dataclasses
import functools
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from neko import backend as backends
from neko import datasets, plots
from neko.datasets import Dataset
from neko.distributed import World, join, start
from neko.errors import CheckpointError
from neko.io import checkpoint, console, files
from neko.registry import Registry
from neko.runs.config import Config
from neko.runs.record import CONFIG, HISTORY, read_config, warn_of_versions, write_config
from neko.training.callbacks import Callback, Checkpoints
from neko.training.loop import Loop
from neko.training.trainer import Trainer

CHECKPOINTS, FIGURES = "checkpoints", "figures"


class Run(ABC):
    """A configuration with its folder; a subclass defines what is trained, how, and the figures.

    Attributes
    ----------
    config : Config
        All options.
    folder : Path
        Where ``config.yaml``, ``history.csv``, ``checkpoints`` and ``figures`` are.
    epochs, seconds : int, float
        Number of epochs that `go` ran, and their duration.
    world : World
        The processes that train together.
    """

    def __init__(self, config: Any, folder: str | Path) -> None:
        self.config = config
        self.folder = Path(folder)
        self.epochs, self.seconds = 0, 0.0
        self.world = World()

    @functools.cached_property
    def data(self) -> Dataset:
        """The data set, with one-hot targets."""
        return datasets.load(self.config.data).one_hot()

    @functools.cached_property
    def trainer(self) -> Trainer:
        """The trainer that `go` made; otherwise one restored from the last checkpoint."""
        found = checkpoint.listed(self.folder / CHECKPOINTS)
        if not found:
            raise FileNotFoundError(f"{self.folder / CHECKPOINTS} has no checkpoint: expected a run with an epoch done")
        trainer = Trainer(self.learner())
        with checkpoint.expected(found[-1]):
            state = checkpoint.read(found[-1])
            for name, value in trainer.rule.identity().items():
                written = state["identity"].get(name)
                if written != value:
                    raise CheckpointError(
                        f"{found[-1]} was written with {name}={written!r}: {self.folder / CONFIG} says {value!r}"
                    )
            trainer.rule.load(state["learner"], [trainer.rule.model.examples(*batch) for batch in self.batches()])
            trainer.history.replace(state["history"])
        return trainer

    def batches(self) -> list[tuple[Any, Any, Any]]:
        """The batches that a learner needs to load a saved state; for most learners the first batch is enough."""
        parts = (self.data.x_train, self.data.y_train, self.data.mask_train)
        x, y, mask = (None if part is None else part[: self.config.batch_size] for part in parts)
        return [(x, y, mask)]

    @abstractmethod
    def learner(self) -> Any:
        """The learner that the configuration describes, before its first epoch."""

    @abstractmethod
    def title(self) -> str:
        """The line that is printed when the run begins."""

    def prepare(self, progress: bool) -> None:  # noqa: B027
        """Work before the first epoch, such as the pretraining of a sampler."""

    def options(self) -> dict[str, Any]:
        """More arguments of `Trainer.train`."""
        return {}

    def callbacks(self) -> list[Callback]:
        """Callbacks besides those that write the run's folder."""
        return []

    def measures(self) -> dict[str, float]:
        """The numbers that a run ended with, by name: those of the last epoch of its history."""
        return {name: values[-1] for name, values in self.trainer.history.items() if values}

    @abstractmethod
    def figures(self) -> dict[str, Figure]:
        """Figures by file name."""

    def go(self, *, resume: bool, changed: Sequence[str], progress: bool, distributed: bool = False) -> None:
        """Train in the folder; see `run`."""
        check_place(self.folder)
        files.check_inside(self.folder, CHECKPOINTS, FIGURES)
        if distributed:
            join(self.config.backend)
            self.world = start(backends.get(self.config.backend, device=self.config.processor))
        if self.world.writes and not resume and (self.folder / CONFIG).exists():
            remedy = f"neko {self.config.command} --resume"
            raise ValueError(f"{self.folder} holds a run: expected another folder, or to go on with it ({remedy})")
        if resume:
            warn_of_versions(self.folder, self.config.backend)
        data, config = self.data, self.config
        kept = Checkpoints(
            self.folder / CHECKPOINTS, every=config.checkpoint_every, keep=config.keep, resume=resume, changed=changed
        )
        self.prepare(progress)
        self.trainer = Trainer(self.learner())
        if progress and self.world.writes:
            console.tell(self.title())
        records, begin = Records(config, self.folder), time.perf_counter()
        self.trainer.train(
            data.x_train,
            data.y_train,
            data.mask_train,
            epochs=config.epochs,
            batch_size=config.batch_size,
            seed=config.seed,
            callbacks=[*self.callbacks(), kept, records],
            progress=progress,
            distributed=distributed,
            **self.options(),
        )
        self.epochs = self.trainer.history.epochs - records.first
        self.seconds = time.perf_counter() - begin
        if self.world.writes:
            self.draw()

    def draw(self) -> list[Path]:
        """Write the figures and return their paths."""
        return [plots.save(figure, self.folder / FIGURES / f"{name}.png") for name, figure in self.figures().items()]


RUNS: Registry[type[Run]] = Registry("command", "neko.runs")


class ConfigWriter(Callback):
    """Writes the configuration into the folder, after a checkpoint of it, if any, was found to be compatible."""

    order = 2
    everywhere = False

    def __init__(self, config: Config, folder: Path) -> None:
        self.config = config
        self.folder = folder

    def begin(self, loop: Loop) -> None:
        files.clean(self.folder)
        write_config(self.config, self.folder)


class Records(ConfigWriter):
    """Writes configuration and history into the folder; `first` is the number of the epoch that the call began with."""

    first = 0

    def begin(self, loop: Loop) -> None:
        super().begin(loop)
        self.first = loop.epoch
        self.epoch(loop)

    def epoch(self, loop: Loop) -> None:
        loop.history.save(self.folder / HISTORY)


def check_place(folder: Path) -> None:
    """OSError, before any work, for a folder that could not be created or written."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise NotADirectoryError(f"{there} is a file: expected a folder for the run")
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(f"{there} cannot be written: expected another folder for the run")


def of(config: Config, folder: str | Path) -> Run:
    """The `Run` of a configuration."""
    return RUNS.get(config.command)(config, folder)


def run(
    config: Config,
    folder: str | Path,
    *,
    resume: bool = False,
    changed: Sequence[str] = (),
    progress: bool = True,
    distributed: bool = False,
) -> Trainer:
    """Run a configuration in a folder, or resume the run of that folder.

    Parameters
    ----------
    config : Config
        All options: a `TrainConfig`, `SampleConfig` or `CompareConfig`.
    folder : path
        ``config.yaml``, ``history.csv``, ``checkpoints`` and ``figures`` are written there.
    resume : bool
        Continue from the folder's last checkpoint; the history then equals that of an uninterrupted run bit for bit.
    changed : sequence of str
        Intended changes of a resumed run, see `neko.Checkpoints`.
    progress : bool
        Show a progress bar, and a line per epoch.
    distributed : bool
        Train together with other processes or devices, see `Trainer.train`; process 0 writes the folder.

    Returns
    -------
    Trainer
        Its `rule` is the learner: a learning rule, a sampler, or a comparison of gradients.

    Raises
    ------
    ValueError, TypeError
        For incompatible options; for a folder that holds a run, without `resume`.
    OSError
        If the folder cannot be written, or the data cannot be found.
    NonFiniteError
        If numbers overflow; earlier checkpoints are kept.
    """
    found = of(config, folder)
    found.go(resume=resume, changed=changed, progress=progress, distributed=distributed)
    return found.trainer


def load(folder: str | Path, *, processor: str | None = None) -> Trainer:
    """The trainer of a run, restored from its last checkpoint.

    ``load('runs/one').rule.model`` is the trained `Evaluator` (``.predict``, ``.evaluate``, ``.params``), ``.model`` of
    that the network; ``.history`` is the run's, and `Trainer.train` goes on with rule and optimizer as they were. The
    rule of a sampler's run has the ``.posterior``.

    Parameters
    ----------
    folder : path
        Folder of a run, by `run` or the command line. Its data set is loaded, for the sizes of the network.
    processor : str, optional
        Processor to compute on, if not that of the run.

    Raises
    ------
    FileNotFoundError
        If the folder holds no run, or one without a checkpoint yet.
    CheckpointError, ValueError
        If its files are damaged, or the checkpoint was written with another configuration.
    """
    config = read_config(Path(folder) / CONFIG)
    if processor is not None:
        config = dataclasses.replace(config, processor=processor)
    return of(config, folder).trainer
