"""The devices of PyTorch."""

from __future__ import annotations

import torch

from neko.backend.foreign import unavailable


def find_device(device: str | None) -> torch.device:
    """The device of a name; ValueError where it does not exist."""
    if device is None:
        return torch.device("cpu")
    try:
        found = torch.device(device.replace("gpu", "cuda"))
        # Only creating an array shows whether the device exists; on 'meta' arrays have no values.
        torch.zeros(1, device=found)
    except Exception as error:
        raise unavailable("torch", torch.__version__, device, devices(), INSTALL) from error
    if found.type == "meta":
        raise unavailable("torch", torch.__version__, device, devices(), INSTALL)
    return found


INSTALL = "for 'cuda' install a PyTorch built with CUDA, see https://pytorch.org/get-started/locally"


def devices() -> list[str]:
    """The devices of this machine, as PyTorch calls them."""
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count())), *mps]
