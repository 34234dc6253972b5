"""Neko: a library for learning rules of the brain and of neuromorphic hardware."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Model": "models",
    "ActorCritic": "agents",
    "Evaluator": "evaluator",
    "Learnable": "cells",
    "Converters": "models",
    "Quantiser": "cells",
    "FiringRate": "objective",
    "Langevin": "bayes",
    "HMC": "bayes",
    "SGLD": "bayes",
    "SGHMC": "bayes",
    "PSGLD": "bayes",
    "CyclicalSGLD": "bayes",
    "CyclicalSGHMC": "bayes",
    "RandomWalk": "bayes",
    "BlockGibbs": "bayes",
    "PointEstimate": "bayes",
    "Ensemble": "bayes",
    "MeanField": "bayes",
    "IVON": "bayes",
    "Dropout": "bayes",
    "SWAG": "bayes",
    "LastLayerLaplace": "bayes",
    "TemperatureScaling": "bayes",
    "ManhattanRule": "training.manhattan",
    "ManhattanMaterialRule": "training.manhattan",
    "GradientRule": "rules",
    "LearningRule": "training.learning_rule",
    "Manhattan": "updates",
    "MixedPrecision": "updates",
    "ProbabilisticPulses": "updates",
    "Coincidences": "updates",
    "TikiTaka": "updates",
    "GradientComparison": "training.comparison",
    "History": "training.history",
    "Trainer": "training.trainer",
    "Checkpoints": "training.callbacks",
    "EarlyStopping": "training.callbacks",
    "TensorBoard": "training.callbacks",
    "verify": "verification",
    "load_pretrained": "exchange",
    "save_pretrained": "exchange",
}
_MODULES = {
    "adaptors": "models",
    "agents": "agents",
    "backend": "backend",
    "bayes": "bayes",
    "callbacks": "training.callbacks",
    "cells": "cells",
    "checkpoint": "models.weights",
    "compare": "training.comparison",
    "datasets": "datasets",
    "devices": "devices",
    "distributed": "distributed",
    "encoders": "encoders",
    "environments": "environments",
    "errors": "errors",
    "exchange": "exchange",
    "experiments": "experiments",
    "inference": "inference",
    "losses": "losses",
    "metrics": "metrics",
    "models": "models",
    "plots": "plots",
    "posterior": "bayes.posterior",
    "rules": "rules",
    "runs": "runs",
    "samplers": "samplers",
    "sweeps": "sweeps",
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
        return ["__version__", *_PUBLIC, *_rules(), *importlib.import_module("neko.cells").classes()]
    if name[:1].isupper():  # a learning rule, or the constructor of a network of cells
        door = "training.pairs" if name in _rules() else "models"
        return getattr(importlib.import_module(f"neko.{door}"), name)
    raise AttributeError(f"module 'neko' has no attribute {name!r}")


def _rules() -> list[str]:
    """The learning rules, by the names of their classes."""
    rules = importlib.import_module("neko.rules").RULES
    return [rule.__name__ for rule in rules.values()]


def __dir__() -> list[str]:
    return sorted([*__getattr__("__all__"), *_MODULES])
