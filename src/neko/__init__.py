"""Neko: a library for learning rules of the brain and of neuromorphic hardware."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Model": "models",
    "Evaluator": "evaluator",
    "FiringRate": "objective",
    "BPTT": "rules",
    "Eprop": "rules",
    "RTRL": "rules",
    "Langevin": "bayes",
    "HMC": "bayes",
    "SGLD": "bayes",
    "ManhattanRule": "rules",
    "ManhattanMaterialRule": "rules",
    "Manhattan": "updates",
    "GradientComparison": "training.comparison",
    "Trainer": "training.trainer",
    "Checkpoints": "training.callbacks",
    "EarlyStopping": "training.callbacks",
    "TensorBoard": "training.callbacks",
    "verify": "verification",
}
_MODULES = {
    "adaptors": "models",
    "backend": "backend",
    "bayes": "bayes",
    "callbacks": "training.callbacks",
    "cells": "cells",
    "checkpoint": "io.checkpoint",
    "compare": "training.comparison",
    "datasets": "datasets",
    "devices": "devices",
    "errors": "errors",
    "inference": "inference",
    "losses": "losses",
    "metrics": "metrics",
    "models": "models",
    "plots": "plots",
    "posterior": "bayes.posterior",
    "rules": "rules",
    "runs": "runs",
    "samplers": "samplers",
    "training": "training",
    "updates": "updates",
    "verification": "verification",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"neko.{_MODULES[name]}")
    if name in _PUBLIC:
        return getattr(importlib.import_module(f"neko.{_PUBLIC[name]}"), name)
    if name == "__all__":
        return ["__version__", *_PUBLIC, *importlib.import_module("neko.cells").classes()]
    if name[:1].isupper():  # the constructor of a cell: LIF, ALIF, …
        return getattr(importlib.import_module("neko.models"), name)
    raise AttributeError(f"module 'neko' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__getattr__("__all__"), *_MODULES])
