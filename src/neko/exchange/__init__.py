"""Networks to and from other libraries and hardware, with a report of what is kept and what is lost."""

import importlib
from typing import Any

from neko import backend
from neko.errors import ExchangeError
from neko.exchange.fixed_point import to_loihi
from neko.exchange.network import load_network, save_network
from neko.exchange.nir import from_nir, to_nir
from neko.exchange.report import Entry, Report

PLACES = {"Exported": "torch_module", "to_torch": "torch_module", "to_onnx": "onnx"}
"""What imports PyTorch."""


def __getattr__(name: str) -> Any:
    if name in PLACES:
        backend.get("torch")  # where it is missing, this says what to install
        return getattr(importlib.import_module(f"neko.exchange.{PLACES[name]}"), name)
    if name in ("load_pretrained", "save_pretrained"):  # which import the evaluator
        return getattr(importlib.import_module("neko.exchange.pretrained"), name)
    raise AttributeError(f"module 'neko.exchange' has no attribute {name!r}")


__all__ = [
    "Entry",
    "ExchangeError",
    "Exported",
    "Report",
    "from_nir",
    "load_network",
    "load_pretrained",
    "save_network",
    "save_pretrained",
    "to_loihi",
    "to_nir",
    "to_onnx",
    "to_torch",
]
