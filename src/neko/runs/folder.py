"""A run is a folder: its configuration, history, checkpoints and figures."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from neko import backend as backends
from neko import cells, datasets, devices, plots, rules
from neko.datasets import Dataset
from neko.errors import CheckpointError
from neko.evaluator import Evaluator
from neko.io import checkpoint, files
from neko.models import Model
from neko.objective import FiringRate
from neko.runs.config import CONFIG, Config, read_config, versions, warn_of_versions, write_config
from neko.training.callbacks import Callback, Checkpoints, EarlyStopping
from neko.training.history import History
from neko.training.loop import Loop
from neko.training.trainer import Trainer
from neko.updates import Manhattan

HISTORY, CHECKPOINTS, FIGURES = "history.csv", "checkpoints", "figures"


def evaluator_of(
    data: Dataset,
    cell: str,
    hidden: int,
    backend: Any,
    seed: int,
    *,
    recurrent: bool = True,
    target: str = "every",
    regularizer: FiringRate | None = None,
) -> Evaluator:
    """A layer of cells with a readout, judged by cross-entropy and accuracy or, for a regression, by squared error."""
    made: Any = cells.get(cell)
    if not recurrent and not hasattr(made, "recurrent"):
        raise ValueError(f"cell {cell!r} has no feed-forward form: expected lif or alif")
    layer = made(hidden, **({} if recurrent else {"recurrent": False}))
    model = Model(layer, data.outputs, backend, task_type=data.task_type, seed=seed)
    metrics = ["accuracy"] if data.task_type == "classification" else []
    metrics += ["firing_rate"] if made.spiking else []
    loss = "categorical_crossentropy" if data.task_type == "classification" else "mean_squared_error"
    return Evaluator(model, loss=loss, metrics=metrics, target=target, regularizer=regularizer)


def trainer_of(config: Config, data: Dataset) -> Trainer:
    """The trainer that a configuration describes."""
    backend = backends.get(config.backend, device=config.processor, dtype=config.dtype)
    regularizer = None if config.firing_rate is None else FiringRate(target=config.firing_rate)
    model = evaluator_of(
        data, config.cell, config.hidden, backend, config.seed, target=config.target, regularizer=regularizer
    )
    options = optimizer_options(config.optimizer, config.device, config.learning_rate)
    return Trainer(rules.resolve(config.rule)(model, clip_norm=config.clip_norm, **options))


def optimizer_options(optimizer: str, device: str | None, learning_rate: float) -> dict[str, Any]:
    """Options of a rule; a Manhattan rule without a device takes the rate as its step."""
    if device is not None and backends.is_processor(device):
        raise ValueError(
            f"device={device!r}: expected an analog device that holds the weights, one of {sorted(devices.DEVICES)!r}; "
            f"where it is computed is chosen by processor={device!r} (--processor {device})"
        )
    if optimizer != "manhattan":
        if device is not None:
            raise ValueError(f"device={device!r}: only the optimizer 'manhattan' writes into a device")
        return {"optimizer": optimizer, **({} if optimizer == "naive" else {"learning_rate": learning_rate})}
    if device is None:
        return {"optimizer": Manhattan(delta=learning_rate)}
    return {"optimizer": Manhattan(device=devices.get(device)())}


class Records(Callback):
    """Writes configuration and history into the folder, the first once it is known that the run can go on."""

    order = 2

    def __init__(self, config: Config, folder: Path) -> None:
        self.config = config
        self.folder = folder

    def begin(self, loop: Loop) -> None:
        files.clean(self.folder)
        write_config(self.config, self.folder)
        loop.history.save(self.folder / HISTORY)

    def epoch(self, loop: Loop) -> None:
        loop.history.save(self.folder / HISTORY)


def train(config: Config, folder: str | Path, *, resume: bool = False, progress: bool = True) -> Trainer:
    """Run a configuration in a folder, or go on with the run of that folder.

    Parameters
    ----------
    config : Config
        All options.
    folder : path
        Gets ``config.yaml``, ``history.csv``, ``checkpoints`` and ``figures``.
    resume : bool
        Go on from the folder's last checkpoint; with it the history is, bit for bit, that of an uninterrupted run.
    progress : bool
        Show a bar and a line an epoch.

    Raises
    ------
    ValueError, TypeError
        For options that do not fit; a folder that holds a run, without `resume`.
    OSError
        If the folder cannot be written, or data be had.
    NonFiniteError
        If numbers overflow; the checkpoints before stay.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file: expected a folder for the run")
    if not resume and (folder / CONFIG).exists():
        raise ValueError(f"{folder} holds a run: expected another folder, or to go on with it (neko train --resume)")
    stopping = [] if config.patience is None else [EarlyStopping("val_loss", patience=config.patience)]
    kept = Checkpoints(folder / CHECKPOINTS, every=config.checkpoint_every, keep=config.keep, resume=resume)
    data = datasets.load(config.data).one_hot()
    trainer = trainer_of(config, data)
    trainer.train(
        data.x_train,
        data.y_train,
        data.mask_train,
        epochs=config.epochs,
        batch_size=config.batch_size,
        seed=config.seed,
        validation=(data.x_test, data.y_test, data.mask_test),
        callbacks=[*stopping, kept, Records(config, folder)],
        progress=progress,
    )
    draw(folder)
    return trainer


def load(folder: str | Path, *, processor: str | None = None) -> Trainer:
    """The trainer of a run as its last checkpoint left it, with nothing typed again.

    ``load('runs/one').rule.model`` is the trained `Evaluator` (``.predict``, ``.evaluate``, ``.params``), ``.model`` of
    that the network; ``.history`` is the run's, and `Trainer.train` goes on with rule and optimizer as they were.

    Parameters
    ----------
    folder : path
        Folder of a run, by `train` or ``neko train``. Its data set is loaded, for the sizes of the network.
    processor : str, optional
        Where to compute, if not where the run did.

    Raises
    ------
    FileNotFoundError
        If the folder holds no run, or one without a checkpoint yet.
    CheckpointError, ValueError
        If its files are damaged, or the configuration is not the one that the checkpoint was written with.
    """
    folder = Path(folder)
    config = read_config(folder / CONFIG)
    found = checkpoint.listed(folder / CHECKPOINTS)
    if not found:
        raise FileNotFoundError(f"{folder / CHECKPOINTS} has no checkpoint: expected a run with an epoch done")
    if processor is not None:
        config = dataclasses.replace(config, processor=processor)
    data = datasets.load(config.data).one_hot()
    trainer = trainer_of(config, data)
    state = checkpoint.read(found[-1])
    for name, value in trainer.rule.identity().items():
        written = state["identity"].get(name)
        if written != value:
            raise CheckpointError(f"{found[-1]} was written with {name}={written!r}: {folder / CONFIG} says {value!r}")
    parts = (data.x_train, data.y_train, data.mask_train)
    x, y, mask = (None if part is None else part[: config.batch_size] for part in parts)
    trainer.rule.restore(state["learner"], [(x, y, mask)])
    trainer.history.update(state["history"])
    return trainer


def draw(folder: str | Path) -> list[Path]:
    """Draw the figures of a run's folder from its history and last checkpoint; their paths.

    Raises
    ------
    ValueError
        If the folder holds no run, or its files are damaged.
    """
    folder = Path(folder)
    config, history = read_config(folder / CONFIG), History.load(folder / HISTORY)
    if not history.epochs:
        raise ValueError(f"{folder} has no finished epoch to show: expected one at least")
    figure = Figure(figsize=(5, 3.6), layout="constrained")
    measure = "val_accuracy" if "val_accuracy" in history else "val_loss"
    plots.learning_curves(figure.subplots(), {config.rule: history}, measure)
    paths = [plots.save(figure, folder / FIGURES / "learning_curves.png")]
    pairs = conductances(folder)
    if pairs:
        paths.append(plots.save(plots.conductances(pairs), folder / FIGURES / "conductances.png"))
    return paths


def conductances(folder: Path) -> dict[str, tuple[Any, Any]]:
    """g⁺ and g⁻ by parameter of the last checkpoint; none where no device held the weights."""
    found = checkpoint.listed(folder / CHECKPOINTS)
    update = checkpoint.read(found[-1])["learner"]["update"] if found else None
    pairs = update.get("pairs") if isinstance(update, dict) else None
    return {name: (pair["plus"]["g"], pair["minus"]["g"]) for name, pair in (pairs or {}).items()}


__all__ = [
    "CHECKPOINTS",
    "CONFIG",
    "FIGURES",
    "HISTORY",
    "Config",
    "draw",
    "evaluator_of",
    "load",
    "optimizer_options",
    "read_config",
    "train",
    "trainer_of",
    "versions",
    "warn_of_versions",
    "write_config",
]
