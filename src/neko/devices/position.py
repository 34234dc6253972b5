"""Where between its bounds a device is."""

from __future__ import annotations

from neko.backend.protocol import Backend
from neko.devices.state import DeviceState
from neko.typing import Array


def relative(xp: Backend, state: DeviceState) -> Array:
    """ĝ, the conductance from -1 at the lower bound to 1 at the upper; 0 where both are the same."""
    middle, half = 0.5 * (state.upper + state.lower), 0.5 * (state.upper - state.lower)
    return (state.g - middle) / xp.where(half > 0.0, half, xp.ones_like(half))
