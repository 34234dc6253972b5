"""What is stored of devices."""

from __future__ import annotations

from typing import Any, NamedTuple

from neko.typing import Array


class DeviceState(NamedTuple):
    """Devices of one array: conductance `g`, steps `step_up` and `step_down` at mid-range, bounds `lower` and
    `upper`, all in siemens, the number of `pulses` each device has had, and what each imperfection has of its `own`.
    What does not differ from device to device is a scalar."""

    g: Array
    step_up: Array
    step_down: Array
    lower: Array
    upper: Array
    pulses: Array
    own: tuple[Any, ...]

    def owning(self, index: int, g: Array, own: Any) -> DeviceState:
        """The devices with other conductances, and another state of one imperfection."""
        return self._replace(g=g, own=(*self.own[:index], own, *self.own[index + 1 :]))
