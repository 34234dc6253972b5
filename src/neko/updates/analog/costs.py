"""What learning costs a chip: pulses, failed devices, energy and time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from neko.backend.protocol import Backend
from neko.devices import Storage, Stored


def measured(xp: Backend, arrays: Iterable[tuple[Storage, Stored]]) -> dict[str, float]:
    """For the history, over all devices:

    - ``pulses``: mean number of pulses per device so far;
    - ``at_bounds``, ``stuck``, ``worn_out``: fractions of the devices that are saturated at a bound, stuck from the
      beginning, and worn out, the last two for devices with such an imperfection;
    - ``refreshes``: mean number of rewritten weights, of one-sided pairs;
    - ``write_energy``: energy of all pulses so far in joules, where the device states that of one;
    - ``write_time``: pulses so far of the busiest device, in seconds, where the device states the length of one. All
      devices can be pulsed at once, so that it is the least time that writing took.
    """
    pulses, refreshes = [], []
    conditions: dict[str, list[np.ndarray]] = {}
    spent: dict[str, list[float]] = {}
    for storage, stored in arrays:
        device = storage.device
        refreshes.append(np.ravel(xp.to_numpy(stored.refreshes)))
        for each in stored.devices:
            count = np.ravel(xp.to_numpy(each.pulses))
            pulses.append(count)
            for name, found in device.fractions(xp, each).items():
                conditions.setdefault(name, []).append(np.broadcast_to(xp.to_numpy(found), each.g.shape).ravel())
            if device.pulse_energy is not None:
                spent.setdefault("write_energy", []).append(device.pulse_energy * count.sum(dtype=np.float64))
            if device.pulse_time is not None:
                spent.setdefault("write_time", []).append(device.pulse_time * count.max(initial=0.0))
    if not pulses:
        return {}
    means = {"pulses": pulses, **conditions} | ({"refreshes": refreshes} if any(a.size > 1 for a in refreshes) else {})
    costs: dict[str, Any] = {name: np.concatenate(found).mean() for name, found in means.items()}
    costs |= {name: sum(found) if name == "write_energy" else max(found) for name, found in spent.items()}
    return {name: float(value) for name, value in costs.items()}
