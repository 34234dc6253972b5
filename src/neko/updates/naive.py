"""The paper's naive optimizer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from neko.backend.update import Update
from neko.updates.registry import UPDATES


@UPDATES.register("naive")
@dataclass(frozen=True)
class Naive(Update):
    """``new = old - gradient``: no rate and no state, so that a weight's change is the negative gradient.

    References
    ----------
    Zhao et al. (2021), "Neko: a library for exploring neuromorphic learning rules", section 3.4.
    """

    def init(self, params: dict[str, Any]) -> None:
        """No state."""

    def step(self, params: dict[str, Any], gradients: dict[str, Any], state: None, rate: Any) -> Any:
        """Parameters minus gradients."""
        return {name: p - gradients[name] for name, p in params.items()}, state
