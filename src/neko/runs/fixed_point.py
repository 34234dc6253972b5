"""What a network loses on a chip of integers: its loss and metrics on held-out data, in float and in fixed point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from neko.datasets import Dataset
from neko.evaluator import Evaluator
from neko.exchange.fixed_point import FixedPoint, to_loihi
from neko.objective import Forward


def compared(model: Evaluator, data: Dataset, bits: Sequence[int]) -> dict[str, dict[str, float]]:
    """Loss and metrics of the test data by number format: ``float32``, and weights of each number of bits."""
    x, y, mask = model.intake.coded(data.x_test, data.y_test, data.mask_test)
    found = {model.xp.dtype_name: model.evaluate(data.x_test, data.y_test, data.mask_test)}
    for count in bits:
        network = to_loihi(model.model, bits=count).network  # type: ignore[arg-type]
        found[f"{count}-bit weights"] = evaluated(model, network, x, y, mask)
    return found


def evaluated(model: Evaluator, network: FixedPoint, x: Any, y: Any, mask: Any) -> dict[str, float]:
    """Loss and metrics of a network on the chip, for inputs that are spikes already."""
    xp, batch = model.xp, model.intake.prepare(x, y, mask)
    outputs, spikes = network.run(np.asarray(xp.to_numpy(batch.x)))
    with xp.scope():
        judged = model.batch(batch.x, batch.y, batch.mask)
        y = xp.permute_dims(xp.asarray(outputs, dtype=xp.dtype), (1, 0, 2))
        valid = np.asarray(xp.to_numpy(judged.valid), dtype=np.float64).T[:, :, None]
        rates = tuple(xp.asarray((z * valid).sum(axis=(0, 1)) / valid.sum(), dtype=xp.dtype) for z in spikes)
        objective = model.objective
        forward = Forward(objective.value(xp, y, judged), objective.pooled(xp, y, judged), rates)
        return model.finalise(model.measure(forward, judged, model.params))
