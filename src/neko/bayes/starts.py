"""Where chains start."""

from __future__ import annotations

from typing import Any

import numpy as np

from neko.arguments import check_choice
from neko.backend.protocol import Backend
from neko.models.network import Params
from neko.samplers import proposals

KINDS = ("both", "model", "prior")


def checked(starts: Any) -> str | list[dict[str, np.ndarray]]:
    """A word, or starts as NumPy arrays; TypeError or ValueError for anything else."""
    if not isinstance(starts, str):
        return proposals.check_starts(starts)
    check_choice("starts", starts, KINDS)
    return starts


def number(starts: str | list[Any], chains: int) -> int:
    """The number of chains: at least one for each given start."""
    return chains if isinstance(starts, str) else max(chains, len(starts))


def points(xp: Backend, own: Params, priors: dict[str, Any], starts: str | list[Any], chains: int, seed: int) -> Any:
    """Parameters for each chain, see `neko.bayes.sampling.Sampling`.

    Raises
    ------
    ValueError
        Unless given starts have the model's names and shapes.
    TypeError
        For a prior without draws, where a chain should start from one.
    """
    rng = np.random.default_rng(seed)

    def shuffled(name: str) -> np.ndarray:
        w = np.asarray(xp.to_numpy(own[name]))
        return rng.permutation(w.ravel()).reshape(w.shape)

    def drawn(name: str) -> np.ndarray:
        prior = priors[name]
        if not hasattr(prior, "draw"):
            raise TypeError(
                f"prior {prior!r} has no draw(rng, shape), from which a chain starts: expected one, or starts='model'"
            )
        return np.asarray(prior.draw(rng, tuple(own[name].shape)))

    if isinstance(starts, str):
        count = {"model": chains, "prior": 0, "both": chains - chains // 2}[starts]
        found: list[Params] = [own][:count]
        found += [{name: xp.asarray(shuffled(name)) for name in own} for _ in range(count - 1)]
    else:
        for i, start in enumerate(starts):
            proposals.check_names(f"starts[{i}]", start, own, complete=True)
        found = [{n: xp.asarray(np.array(start[n]), dtype=w.dtype) for n, w in own.items()} for start in starts]
    rest = range(chains - len(found))
    return found + [{n: xp.asarray(drawn(n), dtype=w.dtype) for n, w in own.items()} for _ in rest]
