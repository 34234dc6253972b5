"""The state of the global random generators of Python, NumPy and PyTorch, which a user's loader or module may use."""

from __future__ import annotations

import random
import sys
from typing import Any

import numpy as np

from neko.errors import CheckpointError


def state(generator: Any = None) -> dict[str, Any]:
    """Their states, and that of a loader's own `torch.Generator`, as numbers and arrays.

    PyTorch's CPU generator is included if PyTorch is loaded.
    """
    version, words, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = np.random.get_state()
    torch = sys.modules.get("torch")
    return {
        "python": {"version": version, "words": np.array(words, dtype=np.uint64), "gauss": gauss},
        "numpy": {"kind": kind, "keys": keys, "position": position, "has_gauss": has_gauss, "cached": cached},
        "torch": None if torch is None else torch.get_rng_state().numpy(),
        "loader": None if generator is None else generator.get_state().numpy(),
    }


def restore(saved: dict[str, Any], generator: Any = None) -> None:
    """Set them to the states that `state` returned; CheckpointError for anything else."""
    try:
        set_states(saved, generator)
    except (ValueError, TypeError, LookupError, RuntimeError, OverflowError, AttributeError) as error:
        raise CheckpointError(f"the states of random generators are no such states: {error}") from error


def set_states(saved: dict[str, Any], generator: Any) -> None:
    python, legacy = saved["python"], saved["numpy"]
    random.setstate((python["version"], tuple(int(w) for w in python["words"]), python["gauss"]))
    np.random.set_state((legacy["kind"], legacy["keys"], legacy["position"], legacy["has_gauss"], legacy["cached"]))
    torch = sys.modules.get("torch")
    if torch is not None and saved["torch"] is not None:
        torch.set_rng_state(torch.from_numpy(saved["torch"].copy()))
    if torch is not None and generator is not None and saved["loader"] is not None:
        generator.set_state(torch.from_numpy(saved["loader"].copy()))
