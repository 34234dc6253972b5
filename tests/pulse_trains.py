"""Pulse trains of simulated devices, as a measurement gives them."""

from __future__ import annotations

import numpy as np

from neko import backend as backends
from neko.devices.fitting import Pulses
from neko.devices.fitting.trains import Train


def simulated(device, count, *, devices=1, cycles=2, pulses=100, read=0.0, seed=0):
    """`count` measurements of devices that are new in each: `cycles` times up from the lower bound and down again.

    `read` is the noise of a conductance relative to half of the range.
    """
    xp = backends.get("torch", dtype="float64")
    half, rng = 0.5 * (device.g_max - device.g_min), np.random.default_rng(seed)
    start = xp.full((count, devices), device.g_min + 0.02 * half)
    state, keys = device.init(xp, xp.random.key(seed), start), iter(range(1, 1_000_000))
    trains = [[] for _ in range(count)]
    for cycle in range(cycles):
        for sign in (1.0, -1.0):
            path = [state.g.numpy().copy()]
            for _ in range(pulses):
                key = xp.random.fold(xp.random.key(seed + 1), next(keys))
                state = device.pulse(xp, key, state, xp.full((count, devices), sign))
                path.append(state.g.numpy().copy())
            g = np.array(path) + read * half * rng.standard_normal((len(path), count, devices))
            for k in range(count):
                for j in range(devices):
                    trains[k].append(Train(g[:, k, j], np.full(pulses, sign), str(j), str(cycle), 1))
        state = device.program(xp, state, start)
    return [Pulses(tuple(each)) for each in trains]
