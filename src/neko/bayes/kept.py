"""Predictions of draws of the weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from neko.evaluator import Evaluator
from neko.samplers import proposals


def predictions(draws: dict[str, np.ndarray], model: Evaluator, x: Any, *, batch_size: int) -> np.ndarray:
    """See `Posterior.predict`."""
    model.build(x)
    xp, own = model.xp, model.params
    first = {name: w[0, 0] for name, w in draws.items()}
    proposals.check_names("the posterior", first, own, complete=True)
    chains, count = next(iter(draws.values())).shape[:2]
    try:
        found = []
        for at in np.ndindex(chains, count):
            with xp.scope():
                model.params = {name: xp.asarray(np.array(w[at]), dtype=own[name].dtype) for name, w in draws.items()}
            found.append(model.predict(x, batch_size=batch_size))
    finally:
        model.params = own
    return np.stack(found).reshape(chains, count, *found[0].shape)
