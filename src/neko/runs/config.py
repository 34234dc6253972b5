"""The options of a run, and the versions that it was made with."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import importlib.metadata
import platform
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from neko import __version__
from neko import backend as backends
from neko.arguments import plain
from neko.io import files

CONFIG = "config.yaml"
PACKAGES = {"torch": ("torch",), "jax": ("jax", "optax"), "tensorflow": ("tensorflow", "keras")}
"""What a run's numbers depend on, by backend."""


@dataclass(frozen=True)
class Config:
    """All options of a run, each with its default; equal configurations give equal histories on one machine.

    Parameters
    ----------
    data, cell, rule, optimizer : str
        Names of `neko.datasets`, `neko.cells`, `neko.rules` (``'eprop:random'``), an optimizer or ``'manhattan'``.
    device : str, optional
        Analog device that holds the weights, of `neko.devices`, for the optimizer ``'manhattan'``.
    backend : str
        The framework; by default the first of torch, jax and tensorflow that is installed.
    processor : str, optional
        Where it is computed, see `neko.backend.get`: ``'cpu'``, ``'cuda'``, …
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
    backend: str = dataclasses.field(default_factory=backends.default)
    processor: str | None = None
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
        """A configuration from a mapping; ValueError for names that are no options, with the nearest ones."""
        if not isinstance(options, dict):
            raise ValueError(f"options: {options!r}: expected names with values, for example 'data: mnist'")
        names = [field.name for field in dataclasses.fields(cls)]
        unknown = [name for name in options if name not in names]
        if unknown:
            near = [found for name in unknown for found in difflib.get_close_matches(str(name), names, 1)]
            hint = f"; did you mean {' and '.join(map(repr, near))}?" if near else ""
            told = ", ".join(map(repr, unknown))
            raise ValueError(f"option{'s' if len(unknown) > 1 else ''} {told}: expected one of {names}{hint}")
        return cls(**options)


def typed(name: str, kind: str, value: Any) -> Any:
    """A value of the kind that a field is annotated with; ValueError for any other."""
    wanted, value = kind.removesuffix(" | None"), plain(value)
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
    files.write(folder / CONFIG, yaml.safe_dump(content, sort_keys=False).encode())


def versions(backend: str) -> dict[str, str]:
    """What a run was made with."""
    packages = ("numpy", *PACKAGES.get(backend, ()))
    own = {"neko": __version__, "python": platform.python_version()}
    return own | {name: version(name) for name in packages}


def version(package: str) -> str:
    """The version of a package, which may be installed under another name (tensorflow-cpu)."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        (name, *_) = importlib.metadata.packages_distributions()[package]
        return importlib.metadata.version(name)


def warn_of_versions(folder: Path, backend: str) -> None:
    """Say where a run was made with other versions than it goes on with."""
    then = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8")).get("versions") or {}
    changed = {name: (then[name], now) for name, now in versions(backend).items() if then.get(name, now) != now}
    if changed:
        told = ", ".join(f"{name} {a} then, {b} now" for name, (a, b) in changed.items())
        warnings.warn(f"other versions than the run began with ({told}): numbers may differ", stacklevel=2)
