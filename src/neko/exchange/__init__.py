"""Networks to and from other libraries and hardware, with a report of what is kept and what is lost."""

from typing import Any

from neko.errors import ExchangeError
from neko.exchange.fixed_point import to_loihi
from neko.exchange.network import load_network, save_network
from neko.exchange.nir import from_nir, to_nir
from neko.exchange.report import Entry, Report


def __getattr__(name: str) -> Any:  # these import PyTorch
    if name in ("Exported", "to_torch"):
        from neko.exchange import torch_module

        return getattr(torch_module, name)
    if name == "to_onnx":
        from neko.exchange.onnx import to_onnx

        return to_onnx
    if name in ("load_pretrained", "save_pretrained"):  # and this the evaluator
        from neko.exchange import pretrained

        return getattr(pretrained, name)
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
