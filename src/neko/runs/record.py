"""``config.yaml``: the options of a run, and the versions of the packages it used."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
import warnings
from pathlib import Path
from typing import Any

import yaml

from neko import __version__
from neko.arguments import check_choice
from neko.io import files, plain
from neko.runs.config import COMMANDS, Config

CONFIG, HISTORY = "config.yaml", "history.csv"
PACKAGES = {"torch": ("torch",), "jax": ("jax", "optax"), "tensorflow": ("tensorflow", "keras")}
"""Packages that the numbers of a run depend on, by backend."""


def read_config(path: str | Path) -> Config:
    """The configuration of a file like a run's `config.yaml`: its ``command``, train if it has none, and ``options``.

    Raises
    ------
    ValueError
        For a file that is no YAML, has no options, an unknown one, or an unknown command.
    OSError
        If there is no such file.
    """
    return config_of(path, contents(path))


def config_of(path: str | Path, found: dict[str, Any]) -> Config:
    """The configuration in the sections of a file."""
    try:
        command = found.get("command", "train")
        check_choice("command", command, tuple(COMMANDS))
        return COMMANDS[command].of(found["options"])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def contents(path: str | Path) -> dict[str, Any]:
    """The sections of a run's `config.yaml`."""
    try:
        found = plain.read_yaml(Path(path))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"no file {path}: expected the config.yaml of a run, or its folder") from error
    if not isinstance(found, dict) or "options" not in found:
        raise ValueError(f"{path}: expected a section 'options' with names and values")
    return found


def write_config(config: Config, folder: Path) -> None:
    """Write command, options and versions into a run's folder."""
    content = {"command": config.command, "options": dataclasses.asdict(config), "versions": versions(config.backend)}
    files.write(folder / CONFIG, yaml.safe_dump(content, sort_keys=False).encode())


def versions(backend: str) -> dict[str, str]:
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
    """Warn if the versions differ from those that the run began with."""
    then = contents(folder / CONFIG).get("versions") or {}
    if not isinstance(then, dict):
        raise ValueError(f"{folder / CONFIG}: versions={then!r}: expected packages with their versions")
    changed = {name: (then[name], now) for name, now in versions(backend).items() if then.get(name, now) != now}
    if changed:
        told = ", ".join(f"{name} {a} then, {b} now" for name, (a, b) in changed.items())
        warnings.warn(f"other versions than the run began with ({told}): numbers may differ", stacklevel=2)
