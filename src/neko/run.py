"""A run is a folder: its configuration, history, checkpoints and figures."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import platform
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from matplotlib.figure import Figure

import neko
from neko import atomic, cells, checkpoint, datasets, devices, plots, rules
from neko.callbacks import Callback, Checkpoints, EarlyStopping
from neko.datasets import Dataset
from neko.evaluator import Evaluator
from neko.history import History
from neko.loop import Loop
from neko.models import Model
from neko.objective import FiringRate
from neko.trainer import Trainer
from neko.updates import Manhattan

CONFIG, HISTORY, CHECKPOINTS, FIGURES = "config.yaml", "history.csv", "checkpoints", "figures"
PACKAGES = {"torch": ("torch",), "jax": ("jax", "optax"), "tensorflow": ("tensorflow", "keras")}
"""What a run's numbers depend on, by backend."""


@dataclass(frozen=True)
class Config:
    """All options of a run, each with its default; equal configurations give equal histories on one machine.

    Parameters
    ----------
    data, cell, rule, optimizer, device, backend : str
        Names of `neko.datasets`, `neko.cells`, `neko.rules` (``'eprop:random'``), an optimizer or ``'manhattan'``, a
        device of `neko.devices` for the latter, and the framework.
    dtype : {'float32', 'float64'}
        Precision.
    hidden : int
        Number of neurons.
    target : {'every', 'last', 'mean'}
        Where a target without a time axis holds.
    firing_rate : float, optional
        Rate in Hz towards which a regularizer draws.
    epochs, batch_size, seed : int
        As for `Trainer.train`; the seed is of weights and of the order of examples.
    learning_rate : float
        Rate of the optimizer.
    clip_norm : float, optional
        L2 norm that gradients are scaled down to.
    patience : int, optional
        Epochs without a better validation loss after which the run stops.
    checkpoint_every, keep : int
        Epochs between two checkpoints, and how many stay.
    """

    data: str = "digits"
    cell: str = "alif"
    hidden: int = 128
    rule: str = "eprop"
    optimizer: str = "adam"
    device: str | None = None
    backend: str = "torch"
    dtype: str = "float32"
    target: str = "every"
    firing_rate: float | None = None
    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 1e-3
    clip_norm: float | None = None
    patience: int | None = None
    checkpoint_every: int = 1
    keep: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, typed(field.name, str(field.type), getattr(self, field.name)))
        for name in ("hidden", "epochs", "batch_size", "patience", "checkpoint_every", "keep"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}={value!r}: expected a positive integer")

    @classmethod
    def of(cls, options: Any) -> Config:
        """A configuration from a mapping; ValueError for names that are no options."""
        if not isinstance(options, dict):
            raise ValueError(f"options: {options!r}: expected names with values, for example 'data: mnist'")
        names = [field.name for field in dataclasses.fields(cls)]
        for name in options:
            if name not in names:
                raise ValueError(f"option {name!r}: expected one of {names}")
        return cls(**options)


def typed(name: str, kind: str, value: Any) -> Any:
    """A value of the kind that a field is annotated with; ValueError for any other."""
    wanted = kind.removesuffix(" | None")
    if value is None and wanted != kind:
        return None
    if wanted == "float" and isinstance(value, str | int) and not isinstance(value, bool):
        with contextlib.suppress(ValueError):
            value = float(value)  # YAML takes 1e-3 for a string
    if type(value).__name__ != wanted:
        raise ValueError(f"{name}={value!r}: expected {kind.replace('str', 'a name').replace(' | ', ' or ')}")
    return value


def read_config(path: str | Path) -> Config:
    """The configuration of a file like a run's `config.yaml`; of its sections only ``options`` counts.

    Raises
    ------
    ValueError
        For a file that is no YAML, has no options, or an unknown one.
    OSError
        If there is no such file.
    """
    try:
        found = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"no file {path}: expected the config.yaml of a run, or its folder") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict) or "options" not in found:
        raise ValueError(f"{path}: expected a section 'options' with names and values")
    try:
        return Config.of(found["options"])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def write_config(config: Config, folder: Path) -> None:
    """Write options and versions into a run's folder."""
    content = {"options": dataclasses.asdict(config), "versions": versions(config.backend)}
    atomic.write(folder / CONFIG, yaml.safe_dump(content, sort_keys=False).encode())


def versions(backend: str) -> dict[str, str]:
    """What a run was made with."""
    packages = ("numpy", *PACKAGES.get(backend, ()))
    own = {"neko": neko.__version__, "python": platform.python_version()}
    return own | {name: importlib.metadata.version(name) for name in packages}


def warn_of_versions(folder: Path, backend: str) -> None:
    """Say where a run was made with other versions than it goes on with."""
    then = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8")).get("versions") or {}
    changed = {name: (then[name], now) for name, now in versions(backend).items() if then.get(name, now) != now}
    if changed:
        told = ", ".join(f"{name} {a} then, {b} now" for name, (a, b) in changed.items())
        warnings.warn(f"other versions than the run began with ({told}): numbers may differ", stacklevel=2)


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
    backend = neko.backend.get(config.backend, dtype=config.dtype)
    regularizer = None if config.firing_rate is None else FiringRate(target=config.firing_rate)
    model = evaluator_of(
        data, config.cell, config.hidden, backend, config.seed, target=config.target, regularizer=regularizer
    )
    options = optimizer_options(config.optimizer, config.device, config.learning_rate)
    return Trainer(rules.resolve(config.rule)(model, clip_norm=config.clip_norm, **options))


def optimizer_options(optimizer: str, device: str | None, learning_rate: float) -> dict[str, Any]:
    """Options of a rule; a Manhattan rule without a device takes the rate as its step."""
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
        atomic.clean(self.folder)
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
    found = checkpoint.files(folder / CHECKPOINTS)
    update = checkpoint.read(found[-1])["learner"]["update"] if found else None
    pairs = update.get("pairs") if isinstance(update, dict) else None
    return {name: (pair["plus"]["g"], pair["minus"]["g"]) for name, pair in (pairs or {}).items()}
