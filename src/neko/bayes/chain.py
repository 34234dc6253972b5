"""One Markov chain over a network's weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from neko.backend.protocol import Backend
from neko.io import snapshot
from neko.models.network import Params
from neko.typing import Array


class Chain:
    """One Markov chain: its position, its random key, and its draws so far; `info` is that of its last transition."""

    def __init__(self, position: Params, key: Array) -> None:
        self.position = position
        self.key = key
        self.state: Any = None
        self.tuning: Any = None
        self.info: Any = None
        self.draws: list[dict[str, np.ndarray]] = []
        self.predictions: list[np.ndarray] = []
        self.logdensity: list[float] = []
        self.acceptance: list[float] = []

    def thin(self, by: int) -> None:
        """Keep every `by`-th draw, from the first on."""
        self.draws, self.predictions = self.draws[::by], self.predictions[::by]

    def exported(self, xp: Backend) -> dict[str, Any]:
        """The chain as NumPy arrays."""
        names = list(self.draws[0]) if self.draws else []
        return {
            "position": snapshot.exported(xp, self.position),
            "key": snapshot.exported(xp, self.key),
            "state": snapshot.exported(xp, self.state),
            "tuning": snapshot.exported(xp, self.tuning),
            "draws": {name: np.stack([draw[name] for draw in self.draws]) for name in names},
            "predictions": np.stack(self.predictions) if self.predictions else None,
            "logdensity": np.array(self.logdensity, dtype=np.float64),
            "acceptance": np.array(self.acceptance, dtype=np.float64),
        }

    def load(self, xp: Backend, saved: dict[str, Any], started: Any, tuning: Any) -> None:
        """Load what `exported` returned; `started` and `tuning` are states of the sampler and of its adaptation as
        templates."""
        self.position = snapshot.loaded(xp, self.position, saved["position"], "position")
        self.key = snapshot.loaded(xp, self.key, saved["key"], "key")
        self.state = snapshot.loaded(xp, started, saved["state"], "state")
        self.tuning = None if saved["tuning"] is None else snapshot.loaded(xp, tuning, saved["tuning"], "tuning")
        counts = {len(a) for a in saved["draws"].values()}
        self.draws = [{name: a[i] for name, a in saved["draws"].items()} for i in range(max(counts, default=0))]
        self.predictions = [] if saved["predictions"] is None else list(saved["predictions"])
        self.logdensity = saved["logdensity"].tolist()
        self.acceptance = saved["acceptance"].tolist()
