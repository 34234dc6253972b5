"""Where the chains of a sampler start."""

from __future__ import annotations

from typing import Any

import numpy as np

from neko.models.network import Params
from neko.samplers import proposals
from neko.typing import Array


def positions(sampler: Any) -> list[Params]:
    """The starts that a person gave; else the model's parameters, then these shuffled within each tensor: as wide, and
    independent.

    Raises
    ------
    ValueError
        Unless what was given has the model's names and shapes.
    """
    xp, own = sampler.xp, sampler.model.params
    if sampler.starts is not None:
        for number, start in enumerate(sampler.starts):
            proposals.check_names(f"starts[{number}]", start, own, complete=True)
        return [
            {name: xp.asarray(np.array(start[name]), dtype=w.dtype) for name, w in own.items()}
            for start in sampler.starts
        ]
    rng = np.random.default_rng(sampler.seed)

    def shuffled(w: Array) -> Array:
        w = np.asarray(xp.to_numpy(w))
        return xp.asarray(rng.permutation(w.ravel()).reshape(w.shape))

    return [own] + [{name: shuffled(w) for name, w in own.items()} for _ in range(sampler.n_chains - 1)]
