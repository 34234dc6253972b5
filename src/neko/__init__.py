"""Neko: a library for learning rules of the brain and of neuromorphic hardware."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "ALIF": "models",
    "AdEx": "models",
    "Dendritic": "models",
    "GRU": "models",
    "LIF": "models",
    "LSTM": "models",
    "RNN": "models",
    "Model": "models",
    "Evaluator": "evaluator",
    "FiringRate": "objective",
    "BPTT": "rules",
    "Eprop": "rules",
    "RTRL": "rules",
    "Langevin": "rules",
    "HMC": "rules",
    "SGLD": "rules",
    "ManhattanRule": "rules",
    "ManhattanMaterialRule": "rules",
    "Manhattan": "updates",
    "GradientComparison": "compare",
    "Trainer": "trainer",
    "Checkpoints": "callbacks",
    "EarlyStopping": "callbacks",
    "TensorBoard": "callbacks",
    "verify": "verification",
}
_MODULES = (
    "adaptors",
    "backend",
    "callbacks",
    "cells",
    "checkpoint",
    "compare",
    "datasets",
    "devices",
    "inference",
    "losses",
    "metrics",
    "plots",
    "posterior",
    "rules",
    "run",
    "samplers",
    "updates",
    "verification",
)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"neko.{name}")
    if name in _PUBLIC:
        return getattr(importlib.import_module(f"neko.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module 'neko' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(["__version__", *_PUBLIC, *_MODULES])


__all__ = ["__version__", *_PUBLIC]  # noqa: PLE0604
