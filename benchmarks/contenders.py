"""Who is measured: a name, the environment, and the function that gives its training step."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.peers import PEERS
from benchmarks.shapes import Steps

FRAMEWORKS = ("torch", "jax", "tensorflow")
NO_KERNELS = {"NEKO_KERNELS": "off"}


@dataclass(frozen=True)
class Contender:
    """One way to compute a training step.

    Parameters
    ----------
    module, function : str
        ``benchmarks.<module>.<function>(shape, v_th, **options)`` gives the `Steps`.
    options : mapping
        Further arguments of the function.
    variables : mapping
        Environment variables of its process.
    peer : str or None
        The peer in whose environment it runs, None for that of the library.
    network : str
        Contenders of one network compute the same losses, and are given the same threshold.
    """

    module: str
    function: str = "training"
    options: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    peer: str | None = None
    network: str = "alif"

    @property
    def python(self) -> str:
        """The interpreter of its environment."""
        return sys.executable if self.peer is None else str(PEERS[self.peer].python)

    @property
    def installed(self) -> bool:
        """Whether its environment is there."""
        return self.peer is None or PEERS[self.peer].installed

    def build(self, shape: tuple[int, ...], v_th: float) -> Steps:
        """Its steps; to be called in its environment."""
        make = getattr(importlib.import_module(f"benchmarks.{self.module}"), self.function)
        return make(tuple(shape), v_th, **self.options)


def _own() -> dict[str, Contender]:
    found = {}
    for name in FRAMEWORKS:
        found[f"{name} by hand"] = Contender(f"by_hand_{name}")
        for rule, backward in (("BPTT", True), ("e-prop", False)):
            options = {"recurrent_backward": backward}
            found[f"{name} products of {rule}"] = Contender(f"by_hand_{name}", "products", options)
            found[f"{name} {rule}"] = Contender("by_neko", options={"backend": name, "rule": RULES[rule]})
        found[f"{name} chunk=64"] = Contender("by_neko", options={"backend": name, "rule": "Eprop", "chunk": 64})
    for plain in ("torch BPTT", "torch e-prop", "torch chunk=64"):
        found[f"{plain}, no kernels"] = Contender("by_neko", options=found[plain].options, variables=NO_KERNELS)
    return found


RULES = {"BPTT": "BPTT", "e-prop": "Eprop"}
STEPS = _own() | {
    "snnTorch": Contender("by_snntorch", peer="snntorch", network="snntorch"),
    "Norse": Contender("by_norse", peer="norse", network="norse"),
    "SpikingJelly": Contender("by_spikingjelly", peer="spikingjelly", network="spikingjelly"),
    "Spyx": Contender("by_spyx", peer="spyx", network="spyx"),
    "BrainTrace pp_prop": Contender("by_braintrace", options={"algorithm": "pp_prop"}, peer="braintrace"),
    "BrainTrace EProp": Contender("by_braintrace", options={"algorithm": "EProp"}, peer="braintrace"),
}
"""Whole training steps, by the names that tables show; those of the library begin with the framework."""
TORCH = {"backend": "torch"}
SPREAD = {"dg_min_dtod": 0.3, "dg_min_std": 0.3}
OTHERS = {
    "torch gradient": Contender("by_neko", "gradient", TORCH),
    "torch Manhattan": Contender("by_neko", "devices", TORCH),
    "torch Manhattan, noise and spread": Contender("by_neko", "devices", TORCH | SPREAD),
    "torch Langevin": Contender("by_neko", "langevin", TORCH),
}
"""Other steps with the same gradient."""
CONTENDERS = STEPS | OTHERS
