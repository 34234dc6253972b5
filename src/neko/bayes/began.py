"""The data and density at the start of a sampler's chains, which must not change, and warnings."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

from neko import identity
from neko.backend.protocol import Backend
from neko.errors import SamplingWarning
from neko.identity.fingerprint import DataSet
from neko.models.network import Params
from neko.objective import Batch


class Began(NamedTuple):
    """The examples of a call of train, the size of their data set, the density (see `Sampling.fixed`), and the
    loader, None for arrays."""

    data: DataSet
    size: int
    density: dict[str, Any]
    loader: Any

    def check(self, now: Began, *, renewing: bool) -> None:
        """ValueError unless a further call has the same data and density; with `renewing` the same loader may have
        other examples of its data set each time, because it drops or draws some."""
        one_loader = renewing and now.loader is not None and now.loader is self.loader
        if now.size != self.size or (now.data != self.data and not one_loader):
            raise ValueError(
                f"the chains are of {self.data}: this call has {now.data}; a chain has one posterior, so make "
                "a new sampler for other data (its `starts` may be this one's last draws)"
            )
        for path, then, other in identity.differences(self.density, now.density):
            raise ValueError(
                f"the chains began with {path}={identity.shown(then)}: now it is {identity.shown(other)}; a chain "
                "has one posterior, so make a new sampler for another (its `starts` may be this one's last draws)"
            )


def warn_of_change(xp: Backend, params: Params, position: Params) -> None:
    """Warn if the model's parameters were changed since the sampler's last epoch."""
    moved = [name for name, w in position.items() if not np.array_equal(xp.to_numpy(params[name]), xp.to_numpy(w))]
    if moved:
        warnings.warn(
            f"{moved[0]!r} of the model was changed since the sampler's last epoch: the chains continue from their "
            "own positions; for chains from other parameters make a new sampler",
            SamplingWarning,
            stacklevel=2,
        )


def warn_of_likelihood(batches: list[Batch]) -> None:
    """Warn of a loss that is the mean over steps, with a target at every step."""
    if any(batch.pooling is None and batch.valid.shape[0] > 1 for batch in batches):
        warnings.warn(
            "the target has a value at every step and the loss is their mean (reduction='mean'): the sampler's "
            "likelihood is that of one step a sequence; Evaluator(…, reduction='sum') is the likelihood of all steps",
            SamplingWarning,
            stacklevel=2,
        )
